/* SPDX-License-Identifier: MIT */
/*
 * The boot entries of this machine as a reconciler has them: what the record asks for,
 * what the variables hold, and the writes between the two. machine_sync_entries() carries
 * them out; slotctl doctor looks at them.
 */
#pragma once

#include "bootentries.h"
#include "machine.h"
#include "quirks.h"
#include "ukifile.h"

struct machine_entries {
	uint8_t *options[SLOT_COUNT];	/* the want's */
	struct boot_want want;
	struct boot_view view;
	struct boot_plan plan;		/* without what is given up */
	struct quirks quirks;		/* as the file has them, and judged by this boot */
	bool quirks_changed;
	char boot_id[QUIRKS_BOOT_ID_BYTES];	/* "": not known, and no quirk is judged */
};

/* Writes nothing. The caller clears *ret_entries in every case. EX_IOERR, EX_SOFTWARE. */
int machine_entries_plan(const struct machine *machine, struct machine_entries *ret_entries,
			 struct err *err);
void machine_entries_clear(struct machine_entries *entries);

/* The slot whose direct entry comes first: the preferred one, unless the other alone is good, or
 * the preferred one is new and there is another: the firmware would start what hangs again and
 * again. */
unsigned machine_entries_first(const struct record *record);

/* The optional data of a slot's own entry: what the loader would pass, without which the kernel
 * would get the wrong command line. The caller frees; *ret_data and *ret_len stay as they are
 * where nothing is passed, or the UKI's command line cannot be read. */
void machine_entries_options(const struct ukifile *uki, unsigned slot, uint8_t **ret_data,
			     size_t *ret_len);

/* The file; empty if there is none. */
void machine_quirks_read(const struct machine *machine, struct quirks *ret_quirks);

/* If the file cannot be written, neither can the mirror, and that is reported: no error. */
void machine_quirks_write(struct machine *machine, const struct quirks *quirks);

/* Forgets what was given up, so that it is tried anew. Durable on 0. */
int machine_quirks_forget(struct machine *machine, struct err *err);

/* After a firmware boot, before the record is stored: was the variable behind its mirror,
 * as where the firmware does not keep it? A file is written only if it was, or was before. */
void machine_quirks_judge_record(struct machine *machine);
