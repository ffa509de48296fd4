/* SPDX-License-Identifier: MIT */
#include "intent.h"

#include "cmdline.h"
#include "policy.h"

int intent_check_allowed(const struct machine *machine, bool force, struct err *err)
{
	unsigned failures = machine->state.record.kexec_failures;

	if (failures == 0 || force)
		return 0;
	return err_set(err, EX_CONFIG, "the last kexec into a new slot never came to mark-good (%u in "
		       "a row): use --activate=reboot, or --force to try it again", failures);
}

int intent_make(struct machine *machine, struct err *err)
{
	return kexec_nonce_new(&machine->state.record.kexec_nonce, err);
}

bool intent_forget(struct machine *machine)
{
	struct record *record = &machine->state.record;
	unsigned other = 1 - machine->running.slot;
	bool changed = false;

	if (record->kexec_nonce != machine->running.nonce) {
		changed = record->kexec_nonce != 0;
		record->kexec_nonce = 0;
	}
	if (machine->is_running && record->slots[other].status == SLOT_KEXEC_TRIAL)
		changed |= policy_apply(record, ON_KEXEC_FAILED, other,
					(uint8_t)machine->config->tries);
	return changed;
}

int intent_load(struct machine *machine, unsigned slot, struct kexec_image *image,
		struct err *err)
{
	if (kexec_load(machine, slot, machine->state.record.kexec_nonce, image, err) == 0)
		return 0;
	if (intent_forget(machine) && machine->state.source != STATE_LOST)
		(void)machine_save(machine, NULL);
	return -1;
}

int intent_jump(struct machine *machine, unsigned slot, struct err *err)
{
	if (machine->state.source == STATE_LOST)
		return 0;
	record_note(&machine->state.record, slot, ATTEMPT_KEXEC, REASON_NONE);
	return machine_save(machine, err);
}

int intent_check_arrival(const struct machine *machine, struct err *err)
{
	const struct record *record = &machine->state.record;
	const struct running *r = &machine->running;

	if (!r->kexec || record->slots[r->slot].status != SLOT_KEXEC_TRIAL ||
	    (record->kexec_nonce == r->nonce && r->bootloader != BOOTLOADER_IS_OTHER))
		return 0;
	return err_set(err, EX_CONFIG, "slot %c cannot be marked good: it does not run by the kexec "
		       "that the slot record knows (nonce %016llx there, %016llx on the command "
		       "line); slotctl mark-active %c, then reboot, has the firmware try it",
		       slot_letter(r->slot), (unsigned long long)record->kexec_nonce,
		       (unsigned long long)r->nonce, slot_letter(r->slot));
}
