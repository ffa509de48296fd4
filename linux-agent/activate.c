/* SPDX-License-Identifier: MIT */
#include "activate.h"

#include "jump.h"
#include "kexec.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>

extern char **environ;

int activate_parse(const char *text, enum activate *ret_activate, struct err *err)
{
	static const char *const names[] = { "none", "reboot", "kexec" };

	for (size_t i = 0; text && i < ARRAY_SIZE(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*ret_activate = (enum activate)i;
			return 0;
		}
	if (text)
		return err_set(err, EX_USAGE, "--activate=%s: must be none, reboot or kexec", text);
	return err_set(err, EX_USAGE, "--activate=none, reboot or kexec must be given: say what "
		       "is to happen when the image is in place");
}

bool activate_systemd_runs(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

/* What init was asked for begins with signals to all, also to who has just asked and
 * waits for the answer. */
static int spawn(char *const argv[], pid_t *ret_pid)
{
	posix_spawnattr_t attr;
	sigset_t blocked;
	int error = posix_spawnattr_init(&attr);

	if (error)
		return error;
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigaddset(&blocked, SIGINT);
	(void)sigaddset(&blocked, SIGHUP);
	(void)posix_spawnattr_setsigmask(&attr, &blocked);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	error = posix_spawnp(ret_pid, argv[0], NULL, &attr, argv, environ);
	(void)posix_spawnattr_destroy(&attr);
	return error;
}

int activate_run(char *const argv[], struct err *err)
{
	pid_t pid;
	int status, error = spawn(argv, &pid);

	if (error)
		return err_errno(err, EX_UNAVAILABLE, error, "failed to run %s", argv[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, EX_UNAVAILABLE, errno, "failed to wait for %s",
					 argv[0]);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, EX_UNAVAILABLE, "failed to run %s %s: it ended with status %d",
			       argv[0], argv[1] ? argv[1] : "",
			       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return 0;
}

int activate_reboot(struct err *err)
{
	char *systemd[] = { "systemctl", "reboot", NULL };
	char *other[] = { "reboot", NULL };

	sync();
	return activate_run(activate_systemd_runs() ? systemd : other, err);
}

int activate_kexec(struct err *err)
{
	char *systemd[] = { "systemctl", "kexec", NULL };

	sync();
	if (activate_systemd_runs())
		return activate_run(systemd, err);
	return jump_run(&jump_posix, err);
}

int activate_now(enum activate how, struct err *err)
{
	switch (how) {
	case ACTIVATE_NONE:
		return 0;
	case ACTIVATE_REBOOT:
		return activate_reboot(err);
	case ACTIVATE_KEXEC:
		if (activate_kexec(err) == 0)
			return 0;
		(void)kexec_unload(NULL);	/* or a later shutdown would jump into it */
		return -1;
	}
	return 0;
}

void activate_recover(void)
{
	if (activate_systemd_runs() || activate_reboot(NULL) == 0)
		return;
	sync();
	(void)reboot(RB_AUTOBOOT);	/* there is nobody else to ask */
}
