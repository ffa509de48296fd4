/* SPDX-License-Identifier: MIT */
#include "kexec_intent.h"

#include "cmdline.h"
#include "policy.h"
#include "trip.h"
#include "watchdog.h"

int kexec_intent_check_allowed(const struct machine *machine, bool force, struct err *err)
{
	unsigned failures = machine->state.record.kexec_failures;

	if (failures == 0 || force)
		return 0;
	return err_set(err, EX_CONFIG, "the last kexec into a new slot never came to mark-good (%u in "
		       "a row): use --activate=reboot, or --force to try it again", failures);
}

int kexec_intent_make(struct machine *machine, unsigned slot, struct err *err)
{
	return kexec_nonce_new(slot, &machine->state.record.kexec_nonce, err);
}

int kexec_intent_staged(const struct machine *machine, unsigned *ret_slot, struct err *err)
{
	uint64_t nonce = machine->state.record.kexec_nonce;

	if (nonce == 0 || nonce == machine->running.nonce)
		return err_set(err, EX_CONFIG, "kexec exec: slotctl did not stage the kernel that is "
			       "loaded: slotctl kexec exec a|b stages a slot and jumps into it, "
			       "slotctl kexec unload forgets what is loaded");
	*ret_slot = nonce & 1;
	return 0;
}

bool kexec_intent_forget(struct machine *machine)
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

int kexec_intent_load(struct machine *machine, unsigned slot, struct kexec_image *image,
		      struct err *err)
{
	if (kexec_load(machine, slot, machine->state.record.kexec_nonce, image, err) == 0)
		return 0;
	if (kexec_intent_forget(machine) && machine->state.source != STATE_LOST)
		(void)machine_save(machine, NULL);
	return -1;
}

int kexec_intent_jump(struct machine *machine, unsigned slot, struct err *err)
{
	if (machine->state.source == STATE_LOST)
		return 0;
	record_note(&machine->state.record, slot, ATTEMPT_KEXEC, REASON_NONE);
	return machine_save(machine, err);
}

/* As the loader does: watch a slot that is not yet proven; watch a good slot only if the
 * configuration says so. */
static bool is_watched(const struct machine *m, unsigned slot)
{
	if (m->config->watchdog != CONFIG_WATCHDOG_TRIAL)
		return m->config->watchdog == CONFIG_WATCHDOG_ALWAYS;
	return m->state.source != STATE_LOST &&
	       !policy_slot_confirmed(&m->state.record.slots[slot], true);
}

int kexec_intent_watch(const struct machine *machine, unsigned slot, char *say, size_t cap)
{
	int fd = -1;

	*say = 0;
	if (is_watched(machine, slot))
		(void)watchdog_arm(machine->config, &fd, say, cap);
	return fd;
}

/* The slot is unproven, and it is known why. */
static bool is_unproven(const struct slot *slot)
{
	return slot->status != SLOT_WRITING && slot->reason != REASON_STATE_LOST &&
	       !policy_slot_confirmed(slot, true);
}

void kexec_intent_look(const struct machine *machine, struct kexec_arrival *ret_arrival)
{
	const struct running *r = &machine->running;
	struct kexec_arrival a = {
		.nonce = r->nonce != 0 && r->nonce == machine->state.record.kexec_nonce,
		.bootloader = r->bootloader == BOOTLOADER_IS_KEXEC,
	};
	struct ledger ledger;

	trip_read(machine, &ledger);
	a.boot_id = trip_boot_changed(machine, &ledger);
	a.meant = a.nonce && r->bootloader != BOOTLOADER_IS_OTHER &&
		  !trip_never_left(machine, r->slot);
	*ret_arrival = a;
}

int kexec_intent_check_arrival(const struct machine *machine, struct err *err)
{
	const struct record *record = &machine->state.record;
	const struct running *r = &machine->running;
	struct kexec_arrival arrival;

	if (!r->kexec || !is_unproven(&record->slots[r->slot]))
		return 0;
	kexec_intent_look(machine, &arrival);
	if (arrival.meant)
		return 0;
	return err_set(err, EX_CONFIG, "slot %c cannot be marked good: it does not run by the kexec "
		       "that the slot record knows (nonce %016llx there, %016llx on the command "
		       "line%s); slotctl mark-active %c, then reboot, has the firmware try it",
		       slot_letter(r->slot), (unsigned long long)record->kexec_nonce,
		       (unsigned long long)r->nonce, trip_never_left(machine, r->slot) ? "; boot_id as before the jump" : "",
		       slot_letter(r->slot));
}
