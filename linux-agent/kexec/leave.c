/* SPDX-License-Identifier: MIT */
#include "leave.h"

#include "init.h"
#include "jump.h"
#include "kexec.h"
#include "kexec_intent.h"
#include "io.h"
#include "trip.h"
#include "watchdog.h"

#include <errno.h>
#include <sys/reboot.h>

/* Otherwise systemctl could jump into a staged kernel, or start what is on /run/nextroot,
 * and call it a reboot: the firmware would never try the new slot. */
static int reboot_ask(const char *sysroot, char *const systemd[], struct err *err)
{
	char *other[] = { "reboot", NULL };

	sync();
	if (!init_is_systemd(sysroot))
		return init_run(sysroot, other, err);
	if (setenv("SYSTEMCTL_SKIP_AUTO_KEXEC", "1", 1) < 0 ||
	    setenv("SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT", "1", 1) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to set the environment");
	return init_run(sysroot, systemd, err);
}

static int reboot_or_refused(const char *sysroot, char *const systemd[], struct err *err)
{
	if (reboot_ask(sysroot, systemd, err) == 0)
		return 0;
	if (err)
		err->exit = EX_OSERR;
	return err_prefix(err, "the reboot was refused");
}

int leave_reboot(const char *sysroot, struct err *err)
{
	char *systemd[] = { "systemctl", "reboot", NULL };

	return reboot_or_refused(sysroot, systemd, err);
}

int leave_reboot_now(const char *sysroot, struct err *err)
{
	char *systemd[] = { "systemctl", "--no-block", "--check-inhibitors=no", "reboot", NULL };
	char *forced[] = { "systemctl", "--force", "--force", "reboot", NULL };	/* without the manager */

	if (reboot_or_refused(sysroot, systemd, err) == 0)
		return 0;
	return init_is_systemd(sysroot) ? init_run(sysroot, forced, NULL) : -1;
}

int leave_kexec(const char *sysroot, struct err *err)
{
	char *systemd[] = { "systemctl", "kexec", NULL };

	sync();
	if (init_is_systemd(sysroot))
		return init_run(sysroot, systemd, err);
	return jump_run(&jump_posix, err);
}

int leave_now(const char *sysroot, enum activate how, struct err *err)
{
	switch (how) {
	case ACTIVATE_NONE:
		return 0;
	case ACTIVATE_REBOOT:
		return leave_reboot(sysroot, err);
	case ACTIVATE_KEXEC:
		if (leave_kexec(sysroot, err) == 0)
			return 0;
		(void)kexec_unload(NULL);	/* or a later shutdown would jump into it */
		return -1;
	}
	return 0;
}

void leave_recover(const char *sysroot)
{
	if (init_is_systemd(sysroot) || leave_reboot(sysroot, NULL) == 0 || *sysroot)
		return;
	sync();
	(void)reboot(RB_AUTOBOOT);	/* there is no other init to ask */
}

static int kexec_for(struct machine *m, unsigned slot, const struct trip_times *times,
		     struct report *report, struct err *err)
{
	char say[512];
	int watchdog = kexec_intent_watch(m, slot, say, sizeof say);

	if (*say)
		report_warning(report, "%s", say);
	trip_depart(m, ACTIVATE_KEXEC, slot, times);
	if (kexec_intent_jump(m, slot, err) == 0 &&
	    leave_now(m->config->sysroot, ACTIVATE_KEXEC, err) == 0)
		return 0;	/* the watchdog runs on: the jump is under way */
	watchdog_disarm(watchdog);
	if (kexec_intent_forget(m) && m->state.source != STATE_LOST)
		(void)machine_save(m, NULL);
	leave_recover(m->config->sysroot);
	return -1;
}

int leave_for(struct machine *machine, enum activate how, unsigned slot,
	      const struct trip_times *times, struct report *report, struct err *err)
{
	if (how == ACTIVATE_KEXEC)
		return kexec_for(machine, slot, times, report, err);
	trip_depart(machine, how, slot, times);
	if (leave_now(machine->config->sysroot, how, err) == 0)
		return 0;
	trip_stay(machine);
	return -1;
}
