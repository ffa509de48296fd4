/* SPDX-License-Identifier: MIT */
/* Leaving the running system: for the firmware, or for a staged kernel. */
#pragma once

#include "activation.h"
#include "machine.h"
#include "report.h"
#include "trip.h"

/* Below, sysroot is the configuration's: "" on a real machine. */

/* What was named: nothing, leave_reboot() or leave_kexec(). After a jump that
 * failed nothing is staged any more; the caller puts right what it has stored, and
 * then calls leave_recover(). */
int leave_now(const char *sysroot, enum activate how, struct err *err);

/* After a failed leave_kexec(): a firmware reboot, unless systemd runs, which
 * has left the system as it was. */
void leave_recover(const char *sysroot);

/* Asks the init system for a reboot through the firmware; returns once that was asked
 * for. EX_OSERR: it was refused. */
int leave_reboot(const char *sysroot, struct err *err);

/* The same at once, for a system that is not well: nothing that inhibits a shutdown is
 * asked, and where systemd refuses, the reboot is done without it. */
int leave_reboot_now(const char *sysroot, struct err *err);

/* Jumps to the staged kernel: through systemd where it runs, else jump.h. Returns
 * only on failure, or when systemd was asked. */
int leave_kexec(const char *sysroot, struct err *err);

/* Leaves for slot, whatever the record already says of it: the watchdog is armed where
 * it has to run across a kexec, the ledger and the ring of attempts are told. Where it fails,
 * the watchdog is stopped, what was noted is taken back, and after a kexec
 * leave_recover() follows, which may not return. EX_OSERR, EX_UNAVAILABLE; EX_IOERR: the
 * jump could not be noted. ACTIVATE_NONE: nothing. */
int leave_for(struct machine *machine, enum activate how, unsigned slot,
	      const struct trip_times *times, struct report *report, struct err *err);
