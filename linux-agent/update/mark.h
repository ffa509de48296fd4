/* SPDX-License-Identifier: MIT */
/* What mark-good, mark-bad, mark-active and rollback do to the record: apply the
 * policy's event, store it, and bring the boot entries in line. */
#pragma once

#include "machine.h"
#include "policy.h"

/* mark-good of the running slot. Where the record was lost, a new one is made. After a
 * firmware boot the rollback floor rises last, if the slot's manifest says so.
 * Writes nothing if nothing changes, so that it can run at every boot. */
int mark_good(struct machine *machine, struct err *err);

/* Behind mark_good(), once the loader is looked after: of two ESPs the other one is brought up,
 * or left out, and its boot entry is made. Writes nothing if nothing changes. 1: it was behind,
 * and is in step now; 0; -1. */
int mark_other_esp(struct machine *machine, struct err *err);

/* Any other event on a slot. EX_CONFIG: the policy refuses it for the slot's
 * status. */
int mark_apply(struct machine *machine, enum policy_event event, unsigned slot,
	       struct err *err);

/* The two steps of mark_apply(): the record, durable on 0; and then the boot entries. */
int mark_store(struct machine *machine, enum policy_event event, unsigned slot,
	       struct err *err);
int mark_entries(struct machine *machine, struct err *err);
