/* SPDX-License-Identifier: MIT */
/*
 * What every verb works on: configuration, ESP, variables, the slot record and
 * the running slot, found in that order.
 */
#pragma once

#include "config.h"
#include "disk.h"
#include "espinfo.h"
#include "running.h"
#include "statefile.h"
#include "vars.h"

/* What could not be opened, or all of it. */
enum machine_step { MACHINE_AT_CONFIG, MACHINE_AT_VARS, MACHINE_AT_ESP, MACHINE_AT_SLOTS, MACHINE_OPEN };

/* Without the loader: what has become of the order to try the preferred slot. */
enum direct_trial {
	DIRECT_TRIAL_NONE,	/* it is not to be tried */
	DIRECT_TRIAL_WAITING,	/* the next boot through the firmware tries it */
	DIRECT_TRIAL_IGNORED,	/* the same, and the last ones have not looked at BootNext */
	DIRECT_TRIAL_MISSING,	/* BootNext does not name it any more, with no boot in between */
};

struct machine {
	enum machine_step step;
	struct config *config;
	int lock;			/* the record may be changed; -1: not now */
	int install_lock;		/* -1: this is no install */
	struct vars vars;
	struct disk disk;
	struct esp_info esp;		/* of two, the one that was booted from */
	struct esp_info other_esp;	/* the other one (other_esp.h); dir NULL: none is at hand */
	struct err other_esp_error;	/* two are configured, and what is wrong with the other one;
					 * exit 0: nothing */
	struct statefile statefile;
	struct state_ops storage;
	struct state state;
	struct trace trace;
	bool has_trace;
	bool trace_squatted;		/* SlotTrace is not the loader's: which slot it started is
					 * known, but not why */
	struct running running;
	bool is_running;		/* running was found */
	struct err running_error;	/* if not: why */
	enum direct_trial direct_trial;	/* direct.h */
	unsigned direct_ignored;	/* resets in a row in which BootNext was not looked at */
	struct err direct_error;	/* BootNext could not be read; or 0 */
	bool judged;			/* the record is not as stored: what this boot was, without
					 * the loader, has been added (direct.h) */
	const char *warning;		/* of the last save, for people; or NULL */
	const char *uki_warning;	/* of mark-good: the UKI is another; or NULL */
	bool mirror_failed;		/* the mirror did not take it */
	struct err esp_error;		/* the firmware booted from another ESP, or / is on another
					 * disk; exit 0: no */
	struct err entries_error;	/* boot entries were not written, which is borne; or 0 */
};

/* For what entries_error holds. */
#define MACHINE_ENTRIES_WARNING "the boot entries could not be written; the loader, which ran " \
				"in this boot, does without them: %s"

/* For what other_esp_error holds. */
#define MACHINE_OTHER_ESP_WARNING "%s; the machine goes on with the ESP at %s"

/* All but LOOK must know the running slot. */
enum machine_mode {
	MACHINE_LOOK,		/* no lock; an unknown running slot is no error */
	MACHINE_CHANGE,		/* takes the lock */
	MACHINE_CONFIRM,	/* the same, and waits for it: at boot nobody tries again */
	MACHINE_INSTALL,	/* one install at a time: the lock LOCK.install; machine_lock()
				 * is next, where the record is to be changed */
};

/* The object must stay where it is (the storage points into it); close it in
 * every case. EX_CONFIG, EX_TEMPFAIL, EX_NOPERM, EX_IOERR. */
int machine_open(const char *config_path, enum machine_mode mode, struct machine *machine,
		 struct err *err);
void machine_close(struct machine *machine);

/* Of an install, which takes its time between two changes: waits for the lock and reads
 * the record anew, as others may have changed it. Held already: nothing is done.
 * EX_TEMPFAIL: held by another all the while; EX_IOERR. */
int machine_lock(struct machine *machine, struct err *err);
void machine_unlock(struct machine *machine);

/* Stores the record, also on the other ESP, if it names that; before it, without the loader, a
 * BootNext that it no longer asks for is taken back. Durable on 0, in the variable or, where
 * somebody has made one that cannot be replaced, in the mirror. Sets or clears warning and
 * mirror_failed. */
int machine_save(struct machine *machine, struct err *err);
/* The same for a record that has not changed: writes the copies that do not hold it. */
int machine_repair(struct machine *machine, struct err *err);

/* Brings Boot#### and BootOrder to what the record says, less what the firmware has undone
 * too often (quirks.h). Where our loader started this
 * system it does without them: what cannot be written then goes to entries_error. */
int machine_sync_entries(struct machine *machine, struct err *err);

/* The same for the slot's direct entry, which is made inactive. Without the loader all entries
 * are brought to what the record says. */
int machine_hide_entry(struct machine *machine, unsigned slot, struct err *err);

/* What a loader said of this boot (the Boot Loader Interface's variables): the text, which
 * the caller frees, or NULL. It is gone at the next reset: a variable that stays was made
 * by somebody else, no loader can replace it, and it does not count. */
char *machine_loader_variable(const struct machine *machine, const char *name);

/* Path of a file in a slot's directory on the ESP; the caller frees. */
int machine_slot_file(const struct machine *machine, unsigned slot, const char *name,
		      char **ret_path, struct err *err);
