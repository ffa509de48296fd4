/* SPDX-License-Identifier: MIT */
/* Leaving the running system: for the firmware, or for a staged kernel. */
#pragma once

#include "err.h"

#include <stdbool.h>

enum activate {
	ACTIVATE_NONE,
	ACTIVATE_REBOOT,
	ACTIVATE_KEXEC,
};

/* "none", "reboot", "kexec"; EX_USAGE otherwise (also for NULL: it must be given). */
int activate_parse(const char *text, enum activate *ret_activate, struct err *err);

/* Below, sysroot is the configuration's: "" on a real machine. Programs are looked for
 * in the system's own directories under it, never by PATH. */

/* What was named: nothing, activate_reboot() or activate_kexec(). After a jump that
 * failed nothing is staged any more; the caller puts right what it has stored, and
 * then calls activate_recover(). */
int activate_now(const char *sysroot, enum activate how, struct err *err);

/* After a failed activate_kexec(): a firmware reboot, unless systemd runs, which
 * has left the system as it was. */
void activate_recover(const char *sysroot);

bool activate_systemd_runs(const char *sysroot);

/* Runs a program to its end, with the signals of a shutdown blocked. EX_UNAVAILABLE: it
 * cannot be run, or fails. */
int activate_run(const char *sysroot, char *const argv[], struct err *err);

/* Asks the init system for a reboot through the firmware; returns once that was asked
 * for. EX_OSERR: it was refused. */
int activate_reboot(const char *sysroot, struct err *err);

/* Jumps to the staged kernel: through systemd where it runs, else jump.h. Returns
 * only on failure, or when systemd was asked. */
int activate_kexec(const char *sysroot, struct err *err);
