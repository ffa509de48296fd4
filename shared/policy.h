/* SPDX-License-Identifier: MIT */
/*
 * The boot policy: what the loader does with a slot, and what each verb of the
 * agent does to one. Two const tables in policy.c, first match wins; the same
 * rows stand in docs/STATES.md and a test compares them. No I/O here: the
 * caller saves what changed, when the functions say so.
 *
 * How the loader walks (policy_boot_next):
 *   1. a slot in kexec-trial is marked bad: a firmware boot came first, for the
 *      watchdog's sake or otherwise;
 *   2. the preferred slot, or the one that somebody wants for this boot, then the other,
 *      each through the loader's table;
 *   3. last resort: any slot with an image that this boot has not started yet,
 *      trial before bad, the preferred one first, nothing spent; the digest is checked;
 *   4. the same of what has not been loaded yet, whatever its digest;
 *   5. back to the firmware, which goes on with BootOrder.
 * With every copy of the record lost: by a provisional record, in which both slots are
 * on trial, a first, and a try need not be stored.
 */
#pragma once

#include "record.h"

enum policy_condition {
	IF_ALWAYS,
	IF_TRIES_LEFT,		/* tries_left > 0 */
	IF_WATCHDOG,		/* the watchdog has reset it: boot_policy.hung */
	IF_LIMIT_OFF,		/* good_limit == 0 */
	IF_LIMIT_LEFT,		/* good_boots < good_limit */
};

enum policy_action {
	DO_SKIP,
	DO_BOOT,		/* boot it; save first only if something else changed */
	DO_BOOT_COUNTED,	/* spend a try; it must be durable before the start */
	DO_BOOT_NOTED,		/* count a good boot; saved if that can be done */
};

struct policy_row {
	enum slot_status status;
	enum policy_condition condition;
	enum policy_action action;
	enum slot_status next;
	enum slot_reason reason;	/* why, when next is bad */
};

extern const struct policy_row policy_loader_table[];
extern const size_t policy_loader_rows;

enum { POLICY_PROVISIONAL_TRIES = 3 };

struct boot_policy {
	struct record record;
	bool unmirrored;	/* the disk may be newer than the record: see state.h */
	bool dirty;		/* record differs from what is stored */
	uint8_t chosen;		/* the preferred slot as the boot began */
	uint8_t once;		/* the slot for this boot alone, + 1; 0: none */
	bool hung[SLOT_COUNT];	/* it ran last, and the watchdog reset it */
	bool considered[SLOT_COUNT];
	bool started[SLOT_COUNT];
	bool loaded[SLOT_COUNT];	/* the firmware was given its image */
};

struct boot_step {
	bool firmware;		/* nothing left: return to the firmware */
	unsigned slot;
	bool save;		/* store policy.record before starting ... */
	bool save_required;	/* ... and do not start if that failed */
	bool check_digest;	/* compare the UKI with slot.uki_sha256 first */
	bool last_resort;
	bool unchecked;		/* a last resort whose digest is not looked at */
	uint16_t watchdog_s;	/* arm the watchdog for so many seconds; 0: do not */
};

/* Whether it matters for this record what caused the last reset: there is a
 * watchdog to ask, and something unconfirmed that it may have reset, or that is
 * about to be started with it. False wherever the steady boot shall cost nothing. */
bool policy_reset_matters(const struct record *record);

/* record NULL: everything lost. unmirrored: it may be of what was on the disk
 * before (see state.h); then, before the firmware goes on, also what
 * it calls empty or half written is tried. watchdog_reset: the last reset was the
 * watchdog's. It is laid to the slot that the loader started last, if nothing was
 * stored since, and to a slot in kexec-trial. */
void policy_boot_begin(struct boot_policy *policy, const struct record *record,
		       bool unmirrored, bool watchdog_reset);

/* Behind it: this slot goes first in this boot, whatever is preferred, which stays as it is.
 * One that is bad, or has no try left, gets one for it. One that is empty or in writing is
 * not started. The caller has seen to it that the next boot is not told the same. */
void policy_boot_once(struct boot_policy *policy, unsigned slot);

/* The next thing to do. Changes policy->record as the table says. */
struct boot_step policy_boot_next(struct boot_policy *policy);

/* After step.save: whether it is durable. When save_required and it is not, the
 * slot is left to the last resort; call policy_boot_next() again. */
void policy_boot_saved(struct boot_policy *policy, const struct boot_step *step,
		       bool durable);

/* The slot of the last step did not start, or came back. It is marked bad,
 * the other one becomes preferred if it can be booted; nothing changes in the
 * last resort. */
void policy_boot_failed(struct boot_policy *policy, const struct boot_step *step,
			enum slot_reason reason, uint64_t efi_status);

/* --- the agent's verbs --- */

enum policy_event {
	ON_INSTALL_BEGIN,	/* the idle slot is about to be written */
	ON_INSTALL_NONE,	/* complete, not to be booted yet */
	ON_INSTALL_REBOOT,	/* complete, the next firmware boot tries it */
	ON_INSTALL_KEXEC,	/* complete, jumped to by kexec */
	ON_KEXEC_FAILED,	/* the jump did not happen; the old system runs on */
	ON_GOOD_FIRMWARE,	/* mark-good of a slot that the firmware booted */
	ON_GOOD_KEXEC,		/* mark-good of a slot reached by kexec */
	ON_MARK_BAD,
	ON_MARK_ACTIVE,		/* prefer it from the next firmware boot on */
	ON_ROLLBACK_FROM,	/* leave this slot for the other */
	ON_HEALTH_FAILED,	/* the running slot, unconfirmed, fails its health check */
	ON_EVENT_COUNT
};

enum policy_prefer {
	PREFER_KEEP,
	PREFER_THIS,		/* the slot of the event */
	PREFER_IF_NEEDED,	/* the slot of the event, if the preferred one cannot be booted */
	PREFER_OTHER,		/* the other one, if it can be booted */
	PREFER_OTHER_ONLY,	/* the other one; if it cannot be booted, the event is refused */
};

struct policy_event_row {
	enum policy_event event;
	enum slot_status status;	/* SLOT_STATUS_COUNT: any other */
	bool allowed;
	enum slot_status next;
	enum slot_reason reason;
	enum policy_prefer prefer;
};

extern const struct policy_event_row policy_event_table[];
extern const size_t policy_event_rows;

/* Applies an event to a slot. tries (1 to 255) is granted where the slot becomes
 * a trial. False, and nothing changed, where the table does not allow it. */
bool policy_apply(struct record *record, enum policy_event event, unsigned slot,
		  uint8_t tries);

/* Confirmed: good; or, if it was reached by kexec, marked good since. A firmware
 * boot of such a slot is on trial, and wants a mark-good of its own. */
bool policy_slot_confirmed(const struct slot *slot, bool by_kexec);

/* Whether the loader would start it other than as a last resort. */
bool policy_slot_bootable(const struct record *record, unsigned slot);

const char *policy_action_text(enum policy_action action);
const char *policy_condition_text(enum policy_condition condition);
const char *policy_event_text(enum policy_event event);
const char *policy_prefer_text(enum policy_prefer prefer);
