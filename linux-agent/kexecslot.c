/* SPDX-License-Identifier: MIT */
#include "kexecslot.h"

#include "cmdline.h"
#include "espfile.h"
#include "policy.h"
#include "util.h"

int kexecslot_check(const struct machine *machine, unsigned slot, struct err *err)
{
	const struct slot *s = &machine->state.record.slots[slot];

	if (machine->state.source == STATE_LOST || s->status == SLOT_KEXEC_TRIAL ||
	    policy_slot_bootable(&machine->state.record, slot))
		return 0;
	return err_set(err, EX_CONFIG, "slot %c cannot be started: it is %s%s",
		       slot_letter(slot), slot_status_text(s->status),
		       s->status == SLOT_BAD ? "; slotctl mark-active gives it new tries" : "");
}

bool kexecslot_is_known(const struct machine *machine, unsigned slot)
{
	_cleanup_free_ char *path = NULL;

	if (machine->state.source != STATE_LOST &&
	    (machine->state.record.slots[slot].flags & SLOT_FLAG_DIGEST))
		return true;
	return espfile_path(machine->esp.dir, slot, "manifest.p7s", &path, NULL) == 0 &&
	       access(path, F_OK) == 0;
}

typedef int take_fn(const char *dir, const struct slot *slot, const char *keyring,
		    const struct cms_rules *rules, struct envelope *ret_envelope, struct err *err);

static int take(const struct machine *machine, unsigned slot, take_fn *how,
		struct envelope *ret_envelope, struct err *err)
{
	_cleanup_free_ char *dir = NULL;
	const struct slot *s = &machine->state.record.slots[slot];

	if (espfile_path(machine->esp.dir, slot, NULL, &dir, err) < 0)
		return -1;
	/* While an install writes the slot, its digest there is still the old image's. */
	if (machine->state.source == STATE_LOST || s->status == SLOT_WRITING)
		s = NULL;
	return how(dir, s, machine->config->keyring, &machine->config->rules, ret_envelope, err);
}

int kexecslot_open(const struct machine *machine, unsigned slot,
		   struct envelope *ret_envelope, struct err *err)
{
	return take(machine, slot, envelope_open, ret_envelope, err);
}

int kexecslot_begin(const struct machine *machine, unsigned slot,
		    struct envelope *ret_envelope, struct err *err)
{
	return take(machine, slot, envelope_begin, ret_envelope, err);
}
