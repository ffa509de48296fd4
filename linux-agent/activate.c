/* SPDX-License-Identifier: MIT */
#include "activate.h"

#include "kexec.h"
#include "util.h"

#include <errno.h>
#include <linux/reboot.h>
#include <net/if.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

int activate_run(char *const argv[], struct err *err)
{
	pid_t pid;
	int status, error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);

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

/* A card left running may write into the new kernel's memory. */
static void interfaces_down(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *i = all; fd >= 0 && i && i->if_index; i++) {
		struct ifreq req = { 0 };

		(void)snprintf(req.ifr_name, sizeof req.ifr_name, "%s", i->if_name);
		if (ioctl(fd, SIOCGIFFLAGS, &req) < 0)
			continue;
		req.ifr_flags = (short)(req.ifr_flags & ~IFF_UP);
		(void)ioctl(fd, SIOCSIFFLAGS, &req);
	}
	if (all)
		if_freenameindex(all);
}

int activate_kexec(struct err *err)
{
	char *systemd[] = { "systemctl", "kexec", NULL };

	sync();
	if (activate_systemd_runs())
		return activate_run(systemd, err);
	interfaces_down();
	sync();
	(void)syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		      LINUX_REBOOT_CMD_KEXEC, NULL);
	return err_errno(err, EX_UNAVAILABLE, errno, "failed to jump to the staged kernel");
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
	if (!activate_systemd_runs())
		(void)activate_reboot(NULL);
}
