/* SPDX-License-Identifier: MIT */
#include "direct.h"

#include "bootentries.h"
#include "bootnext.h"
#include "io.h"
#include "machine_entries.h"
#include "policy.h"
#include "trip.h"

#include <string.h>

bool machine_is_direct(const struct machine *machine)
{
	return machine->config->activation == CONFIG_ACTIVATION_DIRECT;
}

/* The preferred slot is on trial, and has its try. */
static bool is_waiting(const struct record *record)
{
	const struct slot *s = &record->slots[record->preferred];

	return s->status == SLOT_TRIAL && s->tries_left > 0;
}

/* The slot that BootNext is to name; -1: none. */
static int next_wanted(const struct record *record)
{
	return is_waiting(record) && machine_entries_first(record) != record->preferred
		       ? record->preferred : -1;
}

/* A firmware boot has come first, unless it is this boot that is about to jump. */
static bool kexec_failed(const struct machine *m)
{
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		if (m->state.record.slots[slot].status == SLOT_KEXEC_TRIAL &&
		    !trip_never_left(m, slot))
			return true;
	return false;
}

/* Whether the preferred slot, on trial, has had its turn. */
static bool is_spent(const struct machine *m, bool reset, bool named)
{
	const struct record *record = &m->state.record;
	bool runs = m->running.slot == record->preferred;

	if (record->slots[record->preferred].status != SLOT_TRIAL)
		return false;
	if (!is_waiting(record))
		return !runs;
	return reset && (runs || !named);
}

/* The loader's part, after the fact. */
static void record_judge(struct machine *m, bool spent)
{
	struct record *record = &m->state.record;
	struct boot_policy policy;

	policy_boot_begin(&policy, record, false, false);
	/* It has one, whatever it was granted; that another slot was started is not known. */
	if (spent)
		policy.record.slots[record->preferred].tries_left = record->preferred == m->running.slot;
	if (spent)
		(void)policy_boot_next(&policy);
	*record = policy.record;
	m->judged = true;
}

/* By which boot BootNext was set, and how often it was not looked at since. */
static bool reset_since(struct machine *m, bool named)
{
	unsigned preferred = m->state.record.preferred;
	char boot_id[QUIRKS_BOOT_ID_BYTES];
	struct quirks quirks;
	struct quirk *quirk = &quirks.of[QUIRK_NEXT];
	bool reset;

	machine_quirks_read(m, &quirks);
	trip_boot_id(m, boot_id);
	reset = *quirk->boot_id && *boot_id ? strcmp(quirk->boot_id, boot_id) != 0 : !named;
	if (is_waiting(&m->state.record))
		(void)quirk_judge(quirk, named && m->running.slot != preferred, preferred, boot_id);
	m->direct_ignored = quirk->undone;
	return reset;
}

void direct_judge(struct machine *machine)
{
	const struct record *record = &machine->state.record;
	enum boot_next next;
	bool reset, spent;

	machine->judged = false;
	machine->direct_trial = DIRECT_TRIAL_NONE;
	machine->direct_error = (struct err){ 0 };
	if (!machine_is_direct(machine) || machine->state.source == STATE_LOST || !machine->is_running ||
	    machine->running.kexec || machine->has_trace)
		return;
	/* Then it is not known whether the slot has had its try: direct_arm() gives no other. */
	if (bootnext_get(&machine->vars, &machine->esp, bootentries_slot_path[record->preferred], &next,
			 &machine->direct_error) < 0) {
		machine->direct_trial = is_waiting(record) ? DIRECT_TRIAL_WAITING : DIRECT_TRIAL_NONE;
		return;
	}
	reset = reset_since(machine, next == BOOT_NEXT_OURS);
	spent = is_spent(machine, reset, next == BOOT_NEXT_OURS);
	if (spent || kexec_failed(machine))
		record_judge(machine, spent);
	if (!is_waiting(record))
		return;
	machine->direct_trial = next_wanted(record) >= 0 && next != BOOT_NEXT_OURS ? DIRECT_TRIAL_MISSING
				: machine->direct_ignored > 0 ? DIRECT_TRIAL_IGNORED : DIRECT_TRIAL_WAITING;
}

int direct_disarm(struct machine *machine, struct err *err)
{
	int wanted = next_wanted(&machine->state.record);

	for (int slot = 0; machine_is_direct(machine) && slot < SLOT_COUNT; slot++)
		if (slot != wanted &&
		    bootnext_clear(&machine->vars, &machine->esp, bootentries_slot_path[slot], err) < 0)
			return -1;
	return 0;
}

/* Somebody else's order for the next boot is not written over. */
static int check_free(const struct machine *m, int status, struct err *err)
{
	bool other = true;
	enum boot_next next;

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		if (bootnext_get(&m->vars, &m->esp, bootentries_slot_path[slot], &next, err) < 0)
			return -1;
		other = other && next == BOOT_NEXT_OTHER;
	}
	if (!other)
		return 0;
	return err_set(err, status, "BootNext is set to another entry, which the next boot is meant for: "
		       "reboot first, or efibootmgr -N takes it back");
}

/* Note it before BootNext is set: a write that a power cut prevents counts, too. */
static void note(struct machine *m)
{
	unsigned preferred = m->state.record.preferred;
	char boot_id[QUIRKS_BOOT_ID_BYTES];
	struct quirks quirks;
	struct quirk *quirk = &quirks.of[QUIRK_NEXT];
	bool waiting = is_waiting(&m->state.record), same;

	machine_quirks_read(m, &quirks);
	trip_boot_id(m, boot_id);
	same = !waiting || (strcmp(quirk->boot_id, boot_id) == 0 && quirk->wish == preferred);
	if (!*boot_id || (same && quirk->undone == m->direct_ignored))
		return;
	quirk->undone = m->direct_ignored;
	if (waiting)
		quirk_wrote(quirk, preferred, boot_id);
	machine_quirks_write(m, &quirks);
}

int direct_arm(struct machine *machine, struct err *err)
{
	int wanted = next_wanted(&machine->state.record);

	if (!machine_is_direct(machine))
		return 0;
	note(machine);
	if (direct_disarm(machine, err) < 0)
		return -1;
	if (wanted < 0)
		return 0;
	if (machine->direct_error.exit) {
		if (err)
			*err = machine->direct_error;
		return -1;
	}
	if (check_free(machine, EX_IOERR, err) < 0)
		return -1;
	return bootnext_set(&machine->vars, &machine->esp, bootentries_slot_path[wanted], err);
}

int direct_check(const struct machine *machine, struct err *err)
{
	struct quirks quirks;

	if (!machine_is_direct(machine))
		return 0;
	machine_quirks_read(machine, &quirks);
	if (quirk_is_given_up(&quirks.of[QUIRK_NEXT]))
		return err_set(err, EX_CONFIG, "this firmware has not looked at BootNext in %d resets, so that "
			       "it would not try the new slot: use the loader (activation = loader, in "
			       "slotboot.conf); slotctl doctor --repair has it tried again",
			       QUIRKS_UNDONE_MAX);
	return check_free(machine, EX_CONFIG, err);
}

int direct_check_tries(const struct machine *machine, unsigned tries, struct err *err)
{
	if (!machine_is_direct(machine) || tries <= 1)
		return 0;
	return err_set(err, EX_CONFIG, "--tries=%u: without the loader (activation = direct) a trial has one "
		       "try", tries);
}
