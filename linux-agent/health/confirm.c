/* SPDX-License-Identifier: MIT */
#include "confirm.h"

#include "cmdline.h"
#include "health_note.h"
#include "kexec.h"
#include "kexec_intent.h"
#include "mark.h"
#include "policy.h"

bool confirm_is_on_trial(const struct machine *machine)
{
	const struct slot *slot = &machine->state.record.slots[machine->running.slot];

	return (slot->status == SLOT_TRIAL || slot->status == SLOT_KEXEC_TRIAL) &&
	       !policy_slot_confirmed(slot, machine->running.kexec);
}

/* Write the note first: after a power cut in between there is a note without a bad slot,
 * which is ignored. */
int confirm_fail(struct machine *machine, const struct health_finding *finding,
		 struct err *note_error, struct err *entries_error, struct err *err)
{
	const struct record *record = &machine->state.record;
	unsigned slot = machine->running.slot, other = 1 - slot;

	if (!policy_slot_bootable(record, other))
		return err_set(err, EX_CONFIG, "slot %c is not well, and there is no slot to go to: "
			       "slot %c is %s; it stays on trial, and the machine stays up",
			       slot_letter(slot), slot_letter(other),
			       slot_status_text(record->slots[other].status));
	(void)kexec_cancel(machine->config, NULL);	/* the reboot is one through the firmware */
	(void)kexec_intent_forget(machine);
	(void)health_note_write(machine, slot, finding, note_error);
	if (mark_store(machine, ON_HEALTH_FAILED, slot, err) < 0)
		return -1;
	(void)mark_entries(machine, entries_error);
	return 0;
}
