/* SPDX-License-Identifier: MIT */
/*
 * The updates of KEK, db and dbx that bundles have brought (payloads "efi-auth"), from beside the UKI of
 * a slot into the firmware's variables, by appending (UEFI 2.10, section 8.2.2):
 *
 *   - of slots that are good, by mark-good in a system that the firmware has started; files as
 *     the slot's signed manifest has them
 *   - in the order KEK, db, dbx, and of a variable by number. What can still be applied holds
 *     back what comes behind it
 *   - one a boot, so that each has booted once before the next
 *   - never one of dbx after which the firmware would not start a slot that may be booted (good
 *     or on trial), or the loader: judged by the rules as they would be then (secureboot.h). It
 *     waits, and holds nothing back
 *   - what the firmware refuses is not tried again; what fails for another reason KEY_TRIES times
 *
 * Done is what the variable has. So a power cut at any instant loses nothing: the write is the
 * firmware's, whole or not at all, and that it was begun is noted before (key_note.h).
 */
#pragma once

#include "efi_auth.h"
#include "key_note.h"
#include "machine.h"

enum key_state {
	KEY_APPLIED,
	KEY_READY,		/* the next mark-good after a boot applies it */
	KEY_WAITS,
	KEY_FAILED,		/* it is not tried any more */
	KEY_STATES
};

enum key_reason {
	KEY_REASON_NONE,
	/* it waits */
	KEY_REASON_SLOT_STATUS,	/* its slot is not good */
	KEY_REASON_UNSIGNED,	/* no signed manifest vouches for it */
	KEY_REASON_OFF,		/* Secure Boot */
	KEY_REASON_SETUP,	/* Setup Mode: there is no PK */
	KEY_REASON_UNREADABLE,	/* a variable */
	KEY_REASON_ORDER,	/* another comes first */
	KEY_REASON_KEXEC,	/* this system was not started by the firmware */
	KEY_REASON_BOOT,	/* one was applied in this boot */
	KEY_REASON_SLOT_A,	/* which the firmware would not start any more */
	KEY_REASON_SLOT_B,
	KEY_REASON_LOADER,
	KEY_REASON_SHIM,	/* or it is not known which one that is */
	/* it has failed */
	KEY_REASON_DAMAGED,	/* its file */
	KEY_REASON_REFUSED,
	KEY_REASON_GIVEN_UP,
	KEY_REASONS
};

struct key_update {
	unsigned slot;			/* of the bundle; of both, that of the running one, if it is good */
	char name[16];			/* "dbx-1" */
	enum efi_auth_variable variable;
	unsigned number;
	uint8_t sha256[32];		/* of the file, by the manifest */
	uint64_t size;
	char *path;
	enum key_state state;
	enum key_reason reason;
	char words[768];		/* why; "" where there is nothing to say */
};

struct key_updates {
	struct key_update list[KEY_NOTE_MAX];	/* in the order in which they are applied */
	size_t count;
};

/* What there is, and how far it is: for status, and for the next. Changes nothing. The caller
 * frees *ret_updates. EX_SOFTWARE. */
int key_updates_find(const struct machine *machine, struct key_updates **ret_updates, struct err *err);
void key_updates_freep(struct key_updates **updates);

/* At mark-good, with the running slot confirmed and the record locked: applies one, if one is
 * ready, and writes nothing otherwise. 1: *ret_update is what was tried, with its new state (applied;
 * ready: it failed and is tried again; failed), and err (which must not be NULL) has why it failed;
 * 0: nothing was to be done; -1: EX_IOERR (it could not be noted, and so was not tried), EX_SOFTWARE. */
int key_updates_apply(struct machine *machine, struct key_update *ret_update, struct err *err);

/* Its file. NULL: it cannot be read, or is not the manifest's. The caller frees. */
uint8_t *key_update_read(const struct key_update *update, size_t *ret_len);

/* For machine-readable output: "applied", "ready", "waiting", "failed"; "slot-b", "refused", ... */
const char *key_state_text(enum key_state state);
const char *key_reason_text(enum key_reason reason);

/* --- key_judge.c --- */

/* The rules as they are, and as they would be with an update of dbx appended. */
struct key_rules;
/* NULL: no memory, or the rules cannot be read; why says which. */
struct key_rules *key_rules_read(const struct vars *vars, struct err *why);
void key_rules_free(struct key_rules *rules);
bool key_rules_on(const struct key_rules *rules);

/* Whether the firmware starts all that it must start after the update of dbx. KEY_REASON_NONE: it
 * does; else what it would not, and *ret_words has why. */
enum key_reason key_judge(const struct machine *machine, const struct key_rules *rules,
			  const struct efi_auth *auth, char *ret_words, size_t size);
