/* SPDX-License-Identifier: MIT */
#include "mark.h"

#include "cmdline.h"
#include "direct.h"
#include "rollback_floor.h"
#include "install_check.h"
#include "kexec_intent.h"
#include "machine_entries.h"
#include "other_esp.h"
#include "readback.h"
#include "io.h"
#include "watchdog.h"

#include <string.h>

static bool uki_size(const struct machine *m, unsigned slot, uint64_t *ret_size)
{
	_cleanup_free_ char *path = NULL;
	struct disk_stat st;

	if (machine_slot_file(m, slot, "uki.efi", &path, NULL) < 0 ||
	    m->disk.stat(m->disk.ctx, path, &st) < 0)
		return false;
	*ret_size = st.size;
	return true;
}

/* A slot with an image of which nothing is known. */
static void slot_unknown(struct slot *slot)
{
	*slot = (struct slot){ .status = SLOT_BAD, .reason = REASON_STATE_LOST };
}

/* Without a record: the running slot evidently works, and the other one is the last
 * resort. */
static void record_make(struct machine *m)
{
	struct record *record = &m->state.record;
	uint64_t size, sequence = record->sequence;
	unsigned other = 1 - m->running.slot;

	record_init(record);
	record->sequence = sequence;
	slot_unknown(&record->slots[m->running.slot]);
	if (uki_size(m, other, &size))
		slot_unknown(&record->slots[other]);
}

/* 1: the slot's UKI is the one of the record, or there is none to look at; 0: it is not,
 * and ret_* are what it is; -1. */
static int digest_compare(struct machine *m, unsigned slot, uint64_t *ret_size,
			  uint8_t ret_sha256[32], struct err *err)
{
	const struct slot *s = &m->state.record.slots[slot];
	_cleanup_free_ char *path = NULL;

	if (!uki_size(m, slot, ret_size))
		return 1;
	if (machine_slot_file(m, slot, "uki.efi", &path, err) < 0 ||
	    readback_sha256(&m->disk, path, *ret_size, NULL, ret_sha256, err) < 0)
		return -1;
	return (s->flags & SLOT_FLAG_DIGEST) && s->uki_size == *ret_size &&
	       memcmp(s->uki_sha256, ret_sha256, 32) == 0;
}

/* What the record says of the running slot, against what runs. Is it the record of what
 * was on this disk before? Then a new one is made. Did somebody replace the UKI of a slot
 * that slotctl did not install? Then that one counts from now on. Of a slot that slotctl
 * did install, the digest stays, and the difference is told. After a kexec the file need
 * not be what runs. */
static int record_hold_against_uki(struct machine *m, unsigned slot, struct err *err)
{
	struct slot *s = &m->state.record.slots[slot];
	bool known = s->flags & SLOT_FLAG_DIGEST;
	uint8_t sha256[32];
	uint64_t size = 0;
	int r;

	if (m->running.kexec && known)
		return 0;
	r = digest_compare(m, slot, &size, sha256, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	if (known && m->state.unmirrored)
		record_make(m);
	else if (known && (s->flags & SLOT_FLAG_INSTALLED)) {
		m->uki_warning = "the UKI of the running slot is not the one that slotctl "
				 "installed: somebody has replaced it; install the slot again";
		return 0;
	}
	s->uki_size = size;
	memcpy(s->uki_sha256, sha256, sizeof s->uki_sha256);
	s->flags |= SLOT_FLAG_DIGEST;
	return 0;
}

/* Ring and sequence change with every event; compare only the rest. */
static bool record_differs(const struct record *a, const struct record *b)
{
	uint8_t x[RECORD_BYTES], y[RECORD_BYTES];
	struct record c = *a, d = *b;

	c.sequence = d.sequence = 0;
	memset(c.attempts, 0, sizeof c.attempts);
	memset(d.attempts, 0, sizeof d.attempts);
	record_encode(&c, x);
	record_encode(&d, y);
	return memcmp(x, y, sizeof x) != 0;
}

/* There is no valid record of this machine: the running slot cannot be half written. */
static bool record_is_void(const struct machine *m)
{
	const struct state *state = &m->state;
	enum slot_status status = state->record.slots[m->running.slot].status;

	return state->source == STATE_LOST || (state->record.flags & RECORD_FLAG_PROVISIONAL) ||
	       (state->unmirrored && status == SLOT_WRITING && !m->running.kexec);
}

/* The event has added to the ring in memory; what is stored stays as it is. */
static int mark_repair(struct machine *machine, const struct record *before, struct err *err)
{
	machine->state.record = *before;
	return machine_repair(machine, err);
}

/* The record decides and comes first: a slot that works must be confirmed also on
 * firmware that lets no boot entry be written. */
int mark_entries(struct machine *machine, struct err *err)
{
	if (machine_sync_entries(machine, err) < 0 || direct_arm(machine, err) < 0)
		return err_prefix(err, "the slot record is stored, but the boot entries could not "
				  "be brought in line");
	return 0;
}

/* Only for a slot that the firmware has proven: what a kexec confirmed may still have
 * to be replaced by what was there before. A manifest that nobody vouches for raises
 * nothing, and is no reason to fail. */
static int raise_floor(struct machine *machine, struct err *err)
{
	_cleanup_(signed_manifest_clear) struct signed_manifest m = { 0 };
	struct err why = { 0 };
	int r;

	if (machine->running.kexec)
		return 0;
	r = install_check_slot_signed(machine, machine->running.slot, &m, &why);
	if (r == 1 && m.manifest->raises_floor)
		r = rollback_floor_raise(machine, &m, &why);
	if (r >= 0)
		return 0;
	if (why.exit == EX_DATAERR || why.exit == EX_CONFIG) {
		machine->warning = "the rollback floor was not looked at: the signed manifest beside "
				   "the UKI cannot be verified with this keyring";
		return 0;
	}
	*err = why;
	return err_prefix(err, "slot %c is marked good, but the rollback floor could not be raised",
			  slot_letter(machine->running.slot));
}

int mark_good(struct machine *machine, struct err *err)
{
	struct record *record = &machine->state.record;
	enum policy_event event = machine->running.kexec ? ON_GOOD_KEXEC : ON_GOOD_FIRMWARE;
	unsigned slot = machine->running.slot;
	struct record before;

	machine_quirks_judge_record(machine);
	before = *record;
	if (record_is_void(machine))
		record_make(machine);
	if (record->slots[slot].status == SLOT_EMPTY)
		slot_unknown(&record->slots[slot]);	/* put there by hand */
	if (kexec_intent_check_arrival(machine, err) < 0 ||
	    record_hold_against_uki(machine, slot, err) < 0)
		return -1;
	settings_to_record(machine->config, record);
	if (!policy_apply(record, event, slot, (uint8_t)machine->config->tries))
		return err_set(err, EX_CONFIG, "slot %c cannot be marked good: an install into it "
			       "was begun and not completed (status %s)", slot_letter(slot),
			       slot_status_text(record->slots[slot].status));
	if ((machine->judged || record_differs(&before, record) ? machine_save(machine, err)
					     : mark_repair(machine, &before, err)) < 0)
		return -1;
	if (mark_entries(machine, err) < 0)
		return -1;
	return raise_floor(machine, err);
}

int mark_other_esp(struct machine *machine, struct err *err)
{
	bool behind = other_esp_state(machine) == OTHER_ESP_BEHIND;

	if (other_esp_bring_up(machine, err) < 0)
		return -1;
	if (other_esp_state(machine) != OTHER_ESP_IN_STEP)
		return 0;
	return mark_entries(machine, err) < 0 ? -1 : behind;
}

int mark_store(struct machine *machine, enum policy_event event, unsigned slot,
	       struct err *err)
{
	struct record *record = &machine->state.record;

	if (machine->state.source == STATE_LOST)
		return err_set(err, EX_CONFIG, "there is no valid slot record on this machine; "
			       "slotctl mark-good makes one");
	if (!policy_apply(record, event, slot, (uint8_t)machine->config->tries))
		return err_set(err, EX_CONFIG, "%s is not possible: slot %c is %s",
			       policy_event_text(event), slot_letter(slot),
			       slot_status_text(record->slots[slot].status));
	/* Without the loader BootOrder starts a slot whatever the record says: it leaves one that
	 * is to be bad before that is stored. */
	if (machine_is_direct(machine) && machine_sync_entries(machine, err) < 0)
		return -1;
	return machine_save(machine, err);
}

int mark_apply(struct machine *machine, enum policy_event event, unsigned slot,
	       struct err *err)
{
	return mark_store(machine, event, slot, err) < 0 ? -1 : mark_entries(machine, err);
}
