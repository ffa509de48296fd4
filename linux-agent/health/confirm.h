/* SPDX-License-Identifier: MIT */
/* What becomes of the running slot once its health is known. */
#pragma once

#include "health.h"
#include "machine.h"

/* Whether a failed health check is this slot's end: it runs, and is not confirmed. A slot
 * that is good, was marked good since its kexec, or is bad (a last resort) is left alone:
 * no try bounds what a reboot would begin. */
bool confirm_is_on_trial(const struct machine *machine);

/* The running slot is on trial and not well: the finding is noted for status, nothing
 * stays staged, the slot is bad and the other preferred; all durable on 0, and a reboot
 * leads there. note_error (exit 0: none) says why there is no note, which is borne;
 * entries_error that the boot entries could not be brought in line, which keeps no machine
 * in a slot that has failed: by the record nothing reboots it a second time.
 * EX_CONFIG: the other slot cannot be booted; nothing has changed. */
int confirm_fail(struct machine *machine, const struct health_finding *finding,
		 struct err *note_error, struct err *entries_error, struct err *err);
