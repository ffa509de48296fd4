/* SPDX-License-Identifier: MIT */
#include "policy.h"

/* docs/STATES.md, "The loader" */
const struct policy_row policy_loader_table[] = {
	{ SLOT_EMPTY,       IF_ALWAYS,     DO_SKIP,         SLOT_EMPTY,   REASON_NONE },
	{ SLOT_WRITING,     IF_ALWAYS,     DO_SKIP,         SLOT_WRITING, REASON_NONE },
	{ SLOT_TRIAL,       IF_TRIES_LEFT, DO_BOOT_COUNTED, SLOT_TRIAL,   REASON_NONE },
	{ SLOT_TRIAL,       IF_WATCHDOG,   DO_SKIP,         SLOT_BAD,     REASON_WATCHDOG },
	{ SLOT_TRIAL,       IF_ALWAYS,     DO_SKIP,         SLOT_BAD,     REASON_TRIES },
	{ SLOT_KEXEC_TRIAL, IF_WATCHDOG,   DO_SKIP,         SLOT_BAD,     REASON_WATCHDOG },
	{ SLOT_KEXEC_TRIAL, IF_ALWAYS,     DO_SKIP,         SLOT_BAD,     REASON_KEXEC },
	{ SLOT_GOOD,        IF_LIMIT_OFF,  DO_BOOT,         SLOT_GOOD,    REASON_NONE },
	{ SLOT_GOOD,        IF_LIMIT_LEFT, DO_BOOT_NOTED,   SLOT_GOOD,    REASON_NONE },
	{ SLOT_GOOD,        IF_ALWAYS,     DO_SKIP,         SLOT_BAD,     REASON_GOOD_LIMIT },
	{ SLOT_BAD,         IF_ALWAYS,     DO_SKIP,         SLOT_BAD,     REASON_NONE },
};
const size_t policy_loader_rows = sizeof policy_loader_table / sizeof policy_loader_table[0];

static bool condition_holds(enum policy_condition condition, const struct record *record,
			    const struct slot *slot, bool hung)
{
	switch (condition) {
	case IF_ALWAYS:
		return true;
	case IF_TRIES_LEFT:
		return slot->tries_left > 0;
	case IF_WATCHDOG:
		return hung;
	case IF_LIMIT_OFF:
		return record->good_limit == 0;
	case IF_LIMIT_LEFT:
		return slot->good_boots < record->good_limit;
	}
	return false;
}

static const struct policy_row *row_find(const struct record *record, unsigned slot,
					 bool hung)
{
	const struct slot *s = &record->slots[slot];

	for (size_t i = 0; i < policy_loader_rows; i++) {
		const struct policy_row *row = &policy_loader_table[i];

		if (row->status == s->status && condition_holds(row->condition, record, s, hung))
			return row;
	}
	return &policy_loader_table[0];	/* out of range: as if empty */
}

bool policy_slot_bootable(const struct record *record, unsigned slot)
{
	return row_find(record, slot, false)->action != DO_SKIP;
}

static void slot_fail(struct record *record, unsigned slot, enum slot_reason reason,
		      uint64_t efi_status)
{
	struct slot *s = &record->slots[slot];
	unsigned other = 1 - slot;

	s->status = SLOT_BAD;
	s->reason = reason;
	s->efi_status = efi_status;
	s->tries_left = 0;
	s->flags &= (uint8_t)~SLOT_FLAG_KEXEC_GOOD;
	record_note(record, slot, ATTEMPT_FAILED, reason);
	if (record->preferred == slot && policy_slot_bootable(record, other))
		record->preferred = (uint8_t)other;
}

/* Lets the table's row happen to the slot; says what is to be done. */
static enum policy_action row_apply(struct boot_policy *policy, unsigned slot)
{
	const struct policy_row *row = row_find(&policy->record, slot, policy->hung[slot]);
	struct slot *s = &policy->record.slots[slot];

	if (row->action == DO_BOOT_COUNTED) {
		s->tries_left--;
		if (policy->hung[slot])
			record_note(&policy->record, slot, ATTEMPT_FAILED, REASON_WATCHDOG);
		record_note(&policy->record, slot, ATTEMPT_STARTED, REASON_NONE);
		policy->dirty = true;
	} else if (row->action == DO_BOOT_NOTED) {
		s->good_boots++;
		policy->dirty = true;
	} else if (row->next != s->status) {
		slot_fail(&policy->record, slot, row->reason, 0);
		policy->dirty = true;
	}
	return row->action;
}

/* The record is as the loader stored it when it started the slot: what ran until
 * the reset was this slot. */
static bool was_last(const struct record *record, unsigned slot, enum attempt_event event)
{
	const struct attempt *last = &record->attempts[RECORD_ATTEMPTS - 1];

	return last->event == event && last->slot == slot &&
	       last->sequence == (uint32_t)record->sequence;
}

/* A firmware boot has come first. A jump that was never begun has not failed. */
static void kexec_trial_fail(struct boot_policy *policy, unsigned slot)
{
	bool jumped = was_last(&policy->record, slot, ATTEMPT_KEXEC);

	(void)row_apply(policy, slot);
	policy->hung[slot] = false;	/* noted */
	if (jumped && policy->record.kexec_failures < UINT8_MAX)
		policy->record.kexec_failures++;
}

bool policy_reset_matters(const struct record *record)
{
	if (record->watchdog == WATCHDOG_NONE)
		return false;
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		if (record->slots[slot].status == SLOT_TRIAL ||
		    record->slots[slot].status == SLOT_KEXEC_TRIAL)
			return true;
	return record->watchdog_s > 0 && (record->watchdog_flags & WATCHDOG_FLAG_GOOD);
}

/* Nothing is known but that some image must be started, and the other when it hangs. */
static void record_provide(struct record *record)
{
	record_init(record);
	record->flags = RECORD_FLAG_PROVISIONAL;
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		record->slots[slot] = (struct slot){ .status = SLOT_TRIAL,
						     .tries_left = POLICY_PROVISIONAL_TRIES,
						     .tries_granted = POLICY_PROVISIONAL_TRIES };
}

void policy_boot_begin(struct boot_policy *policy, const struct record *record,
		       bool unmirrored, bool watchdog_reset)
{
	static const struct boot_policy fresh;

	*policy = fresh;
	if (!record) {
		record_provide(&policy->record);
		return;
	}
	policy->record = *record;
	policy->unmirrored = unmirrored;
	policy->chosen = record->preferred;
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		policy->hung[slot] = watchdog_reset &&
				     (record->slots[slot].status == SLOT_KEXEC_TRIAL ||
				      was_last(record, slot, ATTEMPT_STARTED));
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		if (policy->record.slots[slot].status == SLOT_KEXEC_TRIAL)
			kexec_trial_fail(policy, slot);
}

/* Not for the last resort: a reset would only start the same slot again. */
static uint16_t watchdog_seconds(const struct record *record, enum policy_action action)
{
	unsigned flag = action == DO_BOOT_COUNTED ? WATCHDOG_FLAG_TRIAL : WATCHDOG_FLAG_GOOD;

	if (record->watchdog == WATCHDOG_NONE || !(record->watchdog_flags & flag))
		return 0;
	return record->watchdog_s;
}

static bool next_normal(struct boot_policy *policy, struct boot_step *ret_step)
{
	unsigned first = policy->considered[0] || policy->considered[1]
				 ? (policy->considered[0] ? 1u : 0u)
				 : policy->once ? policy->once - 1u : policy->record.preferred;

	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		unsigned slot = i == 0 ? first : 1 - first;
		enum policy_action action;

		if (policy->considered[slot])
			continue;
		policy->considered[slot] = true;
		action = row_apply(policy, slot);
		if (action == DO_SKIP)
			continue;
		*ret_step = (struct boot_step){
			.slot = slot,
			.save = policy->dirty,
			.save_required = action == DO_BOOT_COUNTED &&
					 !(policy->record.flags & RECORD_FLAG_PROVISIONAL),
			.check_digest = action == DO_BOOT_COUNTED || policy->record.flags & RECORD_FLAG_CHECK,
			.watchdog_s = watchdog_seconds(&policy->record, action),
		};
		return true;
	}
	return false;
}

/* Where both slots have failed, the one that failed last is no better: the preference
 * is what it was. */
static void preference_restore(struct boot_policy *policy)
{
	struct record *record = &policy->record;

	if (record->preferred == policy->chosen || policy_slot_bootable(record, 0) ||
	    policy_slot_bootable(record, 1))
		return;
	record->preferred = policy->chosen;
	policy->dirty = true;
}

static bool next_last_resort(struct boot_policy *policy, struct boot_step *ret_step)
{
	static const enum slot_status order[] = { SLOT_TRIAL, SLOT_BAD };

	preference_restore(policy);
	for (unsigned i = 0; i < 2 * SLOT_COUNT; i++) {
		unsigned slot = i % 2 ? 1u - policy->record.preferred : policy->record.preferred;

		if (policy->started[slot] || policy->record.slots[slot].status != order[i / 2])
			continue;
		*ret_step = (struct boot_step){
			.slot = slot,
			.save = policy->dirty,
			.check_digest = true,
			.last_resort = true,
		};
		return true;
	}
	return false;
}

/* Rather than no system at all: what the digest alone has stopped, in this boot or in
 * the last resort. */
static bool next_unchecked(struct boot_policy *policy, struct boot_step *ret_step)
{
	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		unsigned slot = i ? 1u - policy->record.preferred : policy->record.preferred;
		enum slot_status status = policy->record.slots[slot].status;

		if (policy->loaded[slot] || (!policy->unmirrored && status != SLOT_TRIAL &&
					     status != SLOT_BAD))
			continue;
		policy->loaded[slot] = true;
		*ret_step = (struct boot_step){
			.slot = slot,
			.save = policy->dirty,
			.last_resort = true,
			.unchecked = true,
		};
		return true;
	}
	return false;
}

struct boot_step policy_boot_next(struct boot_policy *policy)
{
	struct boot_step step = { .firmware = true };

	if (next_normal(policy, &step) || next_last_resort(policy, &step) ||
	    next_unchecked(policy, &step)) {
		policy->started[step.slot] = true;
		return step;
	}
	step.save = policy->dirty;
	return step;
}

void policy_boot_saved(struct boot_policy *policy, const struct boot_step *step, bool durable)
{
	policy->dirty = false;	/* one attempt for each change: no loop on a dead store */
	if (!durable && step->save_required)
		policy->started[step->slot] = false;
}

void policy_boot_failed(struct boot_policy *policy, const struct boot_step *step,
			enum slot_reason reason, uint64_t efi_status)
{
	policy->loaded[step->slot] |= reason != REASON_DIGEST;
	if (step->last_resort)
		return;
	slot_fail(&policy->record, step->slot, reason, efi_status);
	policy->dirty = true;
}

/* docs/STATES.md, "The agent" */
#define ANY SLOT_STATUS_COUNT
const struct policy_event_row policy_event_table[] = {
	{ ON_INSTALL_BEGIN,  ANY,              true,  SLOT_WRITING,     REASON_NONE,        PREFER_OTHER },
	{ ON_INSTALL_NONE,   SLOT_WRITING,     true,  SLOT_TRIAL,       REASON_NONE,        PREFER_KEEP },
	{ ON_INSTALL_REBOOT, SLOT_WRITING,     true,  SLOT_TRIAL,       REASON_NONE,        PREFER_THIS },
	{ ON_INSTALL_KEXEC,  SLOT_WRITING,     true,  SLOT_KEXEC_TRIAL, REASON_NONE,        PREFER_KEEP },
	{ ON_KEXEC_FAILED,   SLOT_KEXEC_TRIAL, true,  SLOT_TRIAL,       REASON_NONE,        PREFER_KEEP },
	{ ON_KEXEC_FAILED,   ANY,              false, SLOT_EMPTY,       REASON_NONE,        PREFER_KEEP },
	{ ON_GOOD_FIRMWARE,  SLOT_EMPTY,       false, SLOT_EMPTY,       REASON_NONE,        PREFER_KEEP },
	{ ON_GOOD_FIRMWARE,  SLOT_WRITING,     false, SLOT_WRITING,     REASON_NONE,        PREFER_KEEP },
	{ ON_GOOD_FIRMWARE,  SLOT_GOOD,        true,  SLOT_GOOD,        REASON_NONE,        PREFER_IF_NEEDED },
	{ ON_GOOD_FIRMWARE,  ANY,              true,  SLOT_GOOD,        REASON_NONE,        PREFER_THIS },
	{ ON_GOOD_KEXEC,     SLOT_EMPTY,       false, SLOT_EMPTY,       REASON_NONE,        PREFER_KEEP },
	{ ON_GOOD_KEXEC,     SLOT_WRITING,     false, SLOT_WRITING,     REASON_NONE,        PREFER_KEEP },
	{ ON_GOOD_KEXEC,     SLOT_GOOD,        true,  SLOT_GOOD,        REASON_NONE,        PREFER_IF_NEEDED },
	{ ON_GOOD_KEXEC,     ANY,              true,  SLOT_TRIAL,       REASON_NONE,        PREFER_THIS },
	{ ON_MARK_BAD,       SLOT_EMPTY,       false, SLOT_EMPTY,       REASON_NONE,        PREFER_KEEP },
	{ ON_MARK_BAD,       SLOT_WRITING,     false, SLOT_WRITING,     REASON_NONE,        PREFER_KEEP },
	{ ON_MARK_BAD,       ANY,              true,  SLOT_BAD,         REASON_OPERATOR,    PREFER_OTHER },
	{ ON_MARK_ACTIVE,    SLOT_EMPTY,       false, SLOT_EMPTY,       REASON_NONE,        PREFER_KEEP },
	{ ON_MARK_ACTIVE,    SLOT_WRITING,     false, SLOT_WRITING,     REASON_NONE,        PREFER_KEEP },
	{ ON_MARK_ACTIVE,    SLOT_GOOD,        true,  SLOT_GOOD,        REASON_NONE,        PREFER_THIS },
	{ ON_MARK_ACTIVE,    ANY,              true,  SLOT_TRIAL,       REASON_NONE,        PREFER_THIS },
	{ ON_ROLLBACK_FROM,  SLOT_GOOD,        true,  SLOT_GOOD,        REASON_NONE,        PREFER_OTHER },
	{ ON_ROLLBACK_FROM,  SLOT_TRIAL,       true,  SLOT_BAD,         REASON_ROLLED_BACK, PREFER_OTHER },
	{ ON_ROLLBACK_FROM,  SLOT_KEXEC_TRIAL, true,  SLOT_BAD,         REASON_ROLLED_BACK, PREFER_OTHER },
	{ ON_ROLLBACK_FROM,  SLOT_BAD,         true,  SLOT_BAD,         REASON_ROLLED_BACK, PREFER_OTHER },
	{ ON_ROLLBACK_FROM,  ANY,              false, SLOT_EMPTY,       REASON_NONE,        PREFER_KEEP },
	{ ON_HEALTH_FAILED,  SLOT_TRIAL,       true,  SLOT_BAD,         REASON_HEALTH,      PREFER_OTHER_ONLY },
	{ ON_HEALTH_FAILED,  SLOT_KEXEC_TRIAL, true,  SLOT_BAD,         REASON_HEALTH,      PREFER_OTHER_ONLY },
	{ ON_HEALTH_FAILED,  ANY,              false, SLOT_EMPTY,       REASON_NONE,        PREFER_KEEP },
};
#undef ANY
const size_t policy_event_rows = sizeof policy_event_table / sizeof policy_event_table[0];

static const struct policy_event_row *event_find(enum policy_event event,
						 enum slot_status status)
{
	for (size_t i = 0; i < policy_event_rows; i++) {
		const struct policy_event_row *row = &policy_event_table[i];

		if (row->event == event &&
		    (row->status == status || row->status == SLOT_STATUS_COUNT))
			return row;
	}
	return NULL;
}

static void slot_enter(struct slot *s, enum slot_status status, enum slot_reason reason,
		       uint8_t tries)
{
	s->status = status;
	s->reason = reason;
	s->good_boots = 0;
	/* A kexec-trial keeps the grant for the trial it becomes at mark-good. */
	s->tries_granted = status == SLOT_TRIAL || status == SLOT_KEXEC_TRIAL ? tries : 0;
	s->tries_left = status == SLOT_TRIAL ? tries : 0;
	s->efi_status = 0;
	if (status != SLOT_TRIAL)
		s->flags &= (uint8_t)~SLOT_FLAG_KEXEC_GOOD;
}

void policy_boot_once(struct boot_policy *policy, unsigned slot)
{
	struct slot *s = &policy->record.slots[slot];

	if (s->status == SLOT_EMPTY || s->status == SLOT_WRITING)
		return;
	policy->once = (uint8_t)(slot + 1);
	if (s->status == SLOT_GOOD || s->tries_left > 0)
		return;
	slot_enter(s, SLOT_TRIAL, REASON_NONE, 1);
	policy->dirty = true;
}

/* mark-good after a kexec again, or mark-active of a trial: no fresh tries, or a
 * health check that runs at every boot would keep a failing slot on trial. */
static bool keeps_its_tries(enum policy_event event, const struct slot *s)
{
	if (s->status != SLOT_TRIAL || s->tries_left == 0)
		return false;
	return event == ON_MARK_ACTIVE ||
	       (event == ON_GOOD_KEXEC && (s->flags & SLOT_FLAG_KEXEC_GOOD));
}

static void event_note(struct record *record, enum policy_event event, unsigned slot)
{
	if (event == ON_INSTALL_NONE || event == ON_INSTALL_REBOOT || event == ON_INSTALL_KEXEC)
		record_note(record, slot, ATTEMPT_INSTALLED, REASON_NONE);
	if (event == ON_GOOD_FIRMWARE || event == ON_GOOD_KEXEC)
		record_note(record, slot, ATTEMPT_CONFIRMED, REASON_NONE);
	if ((event == ON_MARK_BAD || event == ON_ROLLBACK_FROM || event == ON_HEALTH_FAILED) &&
	    record->slots[slot].status == SLOT_BAD)
		record_note(record, slot, ATTEMPT_FAILED, record->slots[slot].reason);
}

bool policy_apply(struct record *record, enum policy_event event, unsigned slot, uint8_t tries)
{
	struct slot *s = &record->slots[slot];
	const struct policy_event_row *row = event_find(event, s->status);
	unsigned other = 1 - slot;

	if (!row || !row->allowed ||
	    (row->prefer == PREFER_OTHER_ONLY && !policy_slot_bootable(record, other)))
		return false;
	if (event == ON_INSTALL_BEGIN)
		s->flags = 0;
	if (s->status == SLOT_KEXEC_TRIAL && s->tries_granted > 0)
		tries = s->tries_granted;
	if (!keeps_its_tries(event, s))
		slot_enter(s, row->next, row->reason, tries);
	if (event == ON_GOOD_KEXEC) {
		s->flags |= SLOT_FLAG_KEXEC_PROVEN;
		record->kexec_failures = 0;
	}
	if (event == ON_GOOD_KEXEC && s->status == SLOT_TRIAL)
		s->flags |= SLOT_FLAG_KEXEC_GOOD;
	if (row->prefer == PREFER_THIS || (row->prefer == PREFER_IF_NEEDED &&
					   !policy_slot_bootable(record, record->preferred)))
		record->preferred = (uint8_t)slot;
	else if ((row->prefer == PREFER_OTHER || row->prefer == PREFER_OTHER_ONLY) &&
		 policy_slot_bootable(record, other))
		record->preferred = (uint8_t)other;
	event_note(record, event, slot);
	return true;
}

bool policy_slot_confirmed(const struct slot *slot, bool by_kexec)
{
	return slot->status == SLOT_GOOD || (by_kexec && slot->status == SLOT_TRIAL &&
					     (slot->flags & SLOT_FLAG_KEXEC_GOOD));
}

const char *policy_action_text(enum policy_action action)
{
	static const char *const text[] = { "skip", "boot", "spend a try, boot",
					    "count it, boot" };

	return text[action];
}

const char *policy_condition_text(enum policy_condition condition)
{
	static const char *const text[] = { "always", "tries left", "reset by the watchdog",
					    "good-limit off", "below good-limit" };

	return text[condition];
}

const char *policy_event_text(enum policy_event event)
{
	static const char *const text[ON_EVENT_COUNT] = {
		"install begins", "install --activate=none", "install --activate=reboot",
		"install --activate=kexec", "the jump failed", "mark-good (firmware boot)", "mark-good (kexec)",
		"mark-bad", "mark-active", "rollback, the slot left", "its health check failed",
	};

	return text[event];
}

const char *policy_prefer_text(enum policy_prefer prefer)
{
	static const char *const text[] = { "as before", "this slot", "this slot, if needed",
					    "the other, if bootable", "the other, or refused" };

	return text[prefer];
}
