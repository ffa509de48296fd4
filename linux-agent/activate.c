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

bool activate_systemd_runs(const char *sysroot)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/run/systemd/system", sysroot) < 0) {
		path = NULL;
		return false;
	}
	return access(path, F_OK) == 0;
}

/* Not by PATH, which is the caller's: sudo may hand it on. NULL with errno. */
static char *find_program(const char *sysroot, const char *name)
{
	static const char *const places[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin" };

	if (strchr(name, '/'))
		return strdup(name);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		char *path;

		if (asprintf(&path, "%s%s/%s", sysroot, places[i], name) < 0)
			return NULL;
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	errno = ENOENT;
	return NULL;
}

/* What init was asked for begins with signals to all, also to who has just asked and
 * waits for the answer. */
static int spawn(const char *sysroot, char *const argv[], pid_t *ret_pid)
{
	_cleanup_free_ char *program = find_program(sysroot, argv[0]);
	posix_spawnattr_t attr;
	sigset_t blocked;
	int error;

	if (!program)
		return errno;
	error = posix_spawnattr_init(&attr);
	if (error)
		return error;
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigaddset(&blocked, SIGINT);
	(void)sigaddset(&blocked, SIGHUP);
	(void)posix_spawnattr_setsigmask(&attr, &blocked);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	error = posix_spawn(ret_pid, program, NULL, &attr, argv, environ);
	(void)posix_spawnattr_destroy(&attr);
	return error;
}

int activate_run(const char *sysroot, char *const argv[], struct err *err)
{
	pid_t pid;
	int status, error;

	(void)signal(SIGCHLD, SIG_DFL);	/* ignored, as inherited, no end would be told */
	error = spawn(sysroot, argv, &pid);
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

/* systemctl would jump into what is staged, or start what is on /run/nextroot, and call
 * it a reboot; what the firmware is to start next would never be tried. */
static int reboot_ask(const char *sysroot, struct err *err)
{
	char *systemd[] = { "systemctl", "reboot", NULL };
	char *other[] = { "reboot", NULL };

	sync();
	if (!activate_systemd_runs(sysroot))
		return activate_run(sysroot, other, err);
	if (setenv("SYSTEMCTL_SKIP_AUTO_KEXEC", "1", 1) < 0 ||
	    setenv("SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT", "1", 1) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to set the environment");
	return activate_run(sysroot, systemd, err);
}

int activate_reboot(const char *sysroot, struct err *err)
{
	if (reboot_ask(sysroot, err) == 0)
		return 0;
	if (err)
		err->exit = EX_OSERR;
	return err_prefix(err, "the reboot was refused");
}

int activate_kexec(const char *sysroot, struct err *err)
{
	char *systemd[] = { "systemctl", "kexec", NULL };

	sync();
	if (activate_systemd_runs(sysroot))
		return activate_run(sysroot, systemd, err);
	return jump_run(&jump_posix, err);
}

int activate_now(const char *sysroot, enum activate how, struct err *err)
{
	switch (how) {
	case ACTIVATE_NONE:
		return 0;
	case ACTIVATE_REBOOT:
		return activate_reboot(sysroot, err);
	case ACTIVATE_KEXEC:
		if (activate_kexec(sysroot, err) == 0)
			return 0;
		(void)kexec_unload(NULL);	/* or a later shutdown would jump into it */
		return -1;
	}
	return 0;
}

void activate_recover(const char *sysroot)
{
	if (activate_systemd_runs(sysroot) || activate_reboot(sysroot, NULL) == 0 || *sysroot)
		return;
	sync();
	(void)reboot(RB_AUTOBOOT);	/* there is nobody else to ask */
}
