/* SPDX-License-Identifier: MIT */
/*
 * Machines without the loader (activation = direct): the firmware starts the slots' own entries.
 * The record says the same as with the loader, and here it is made into what firmware knows:
 *
 *   BootOrder   the entry of the slot that the firmware has proven (machine_entries_first()), then
 *               the other's, as a last resort; that of a slot in writing is inactive
 *   BootNext    the entry of the preferred slot, while it waits for its one try, and is not first
 *               in BootOrder already
 *
 * In this order, so that a cut leaves a BootOrder that begins with a good slot, and a slot is
 * tried by BootNext only once the record says so: BootNext is taken back (direct_disarm()), the
 * record is stored, entries and BootOrder are written, BootNext is set (direct_arm()). What a slot
 * loses, its place in BootOrder or the active bit of its entry, it loses before the record says so.
 *
 * Nobody looks at the record at boot. So the agent does afterwards, whenever it reads the
 * record, what the loader would have done to it (direct_judge()), by the loader's own table.
 */
#pragma once

#include "machine.h"

/* The one place that tells the two apart. */
bool machine_is_direct(const struct machine *machine);

/* What the boot that started this system means for the record, in memory; machine->judged says
 * whether that has changed it. The preferred slot's try is spent if the slot runs; it is bad
 * (REASON_TRIES) if another runs and BootNext is spent, whether the firmware has started it
 * or not, which nothing here tells. With BootNext still there it was not tried, and waits. A
 * kexec-trial has failed. Nothing after a kexec, nor where a loader has started this system.
 * Sets direct_trial and direct_ignored. Without the boot_id of who set BootNext, BootNext
 * itself says whether there was a reset since. */
void direct_judge(struct machine *machine);

/* BootNext goes, if it names a slot that by the record is not to be tried. EX_IOERR. With the
 * loader nothing, in all that follows. */
int direct_disarm(struct machine *machine, struct err *err);

/* Behind the record and the entries: BootNext, if the record asks for it, and in quirks.json which
 * boot has set it. Writes nothing that is there. EX_IOERR: also where somebody
 * else's order stands in BootNext, and where direct_judge() could not read it. */
int direct_arm(struct machine *machine, struct err *err);

/* A trial has one try. EX_CONFIG: more were asked for; 0: none were, the configuration's count. */
int direct_check_tries(const struct machine *machine, unsigned tries, struct err *err);

/* Before an install that the firmware is to try: EX_CONFIG if its BootNext was not looked at
 * QUIRKS_UNDONE_MAX times in a row, or holds somebody else's order; EX_IOERR. */
int direct_check(const struct machine *machine, struct err *err);
