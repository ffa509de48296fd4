/* SPDX-License-Identifier: MIT */
#include "kexec_slot.h"

#include "cmdline.h"
#include "espfile.h"
#include "rollback_floor.h"
#include "secureboot.h"
#include "policy.h"
#include "io.h"

#include <errno.h>
#include <string.h>

int kexec_slot_check(const struct machine *machine, unsigned slot, struct err *err)
{
	const struct slot *s = &machine->state.record.slots[slot];

	if (machine->state.source == STATE_LOST || s->status == SLOT_KEXEC_TRIAL ||
	    policy_slot_bootable(&machine->state.record, slot))
		return 0;
	return err_set(err, EX_CONFIG, "slot %c cannot be started: it is %s%s",
		       slot_letter(slot), slot_status_text(s->status),
		       s->status == SLOT_BAD ? "; slotctl mark-active gives it new tries" : "");
}

/* Use only the record in the variable: anyone who can write to the ESP can forge the
 * mirror. */
static bool is_recorded(const struct machine *machine)
{
	return machine->state.source == STATE_VARIABLE_COPY;
}

bool kexec_slot_is_known(const struct machine *machine, unsigned slot)
{
	_cleanup_free_ char *path = NULL;

	if (is_recorded(machine) &&
	    (machine->state.record.slots[slot].flags & SLOT_FLAG_DIGEST))
		return true;
	return espfile_path(machine->esp.dir, slot, "manifest.p7s", &path, NULL) == 0 &&
	       access(path, F_OK) == 0;
}

/* "none [integrity] confidentiality"; without that file the command line still tells. */
static bool is_locked_down(const struct machine *machine)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ uint8_t *text = NULL;
	const char *cmdline = machine->running.cmdline;
	size_t len;

	if (asprintf(&path, "%s/sys/kernel/security/lockdown", machine->config->sysroot) < 0)
		return true;
	if (read_file(path, 4096, &text, &len) == 0)
		return !strstr((char *)text, "[none]");
	return errno != ENOENT || (cmdline && cmdline_get(cmdline, "lockdown", &len));
}

/* Why the slot needs a signed manifest; NULL: it does not. */
static int demand_find(struct machine *machine, unsigned slot, const struct rollback_floor *floor,
		       const char **ret_why, struct err *err)
{
	const struct slot *s = &machine->state.record.slots[slot];
	const char *why = NULL;
	bool secure;

	if (secureboot_is_on(&machine->vars, &secure, err) < 0)
		return -1;
	if (secure)
		why = "Secure Boot is on";
	else if (is_locked_down(machine))
		why = "the running kernel is locked down";
	else if (!is_recorded(machine))
		why = "the slot record is not from the EFI variable";
	else if (s->flags & SLOT_FLAG_HEARSAY)
		why = "what it holds is known from the mirror on the ESP alone";
	else if ((s->flags & SLOT_FLAG_INSTALLED) || s->status == SLOT_WRITING)
		why = "slotctl installed it";
	else if (*floor->version)
		why = "there is a rollback floor";
	*ret_why = why;
	return 0;
}

int kexec_slot_open(struct machine *machine, unsigned slot, struct slot_uki *ret_uki,
		    struct err *err)
{
	const struct slot *s = &machine->state.record.slots[slot];
	struct slot_uki_trust trust = {
		/* While an install writes the slot, its digest there is still the old image's. */
		.slot = is_recorded(machine) && s->status != SLOT_WRITING ? s : NULL,
		.keyring = machine->config->keyring,
		.rules = &machine->config->rules,
		.compatible = machine->config->compatible,
	};
	_cleanup_free_ char *dir = NULL;
	struct rollback_floor floor;

	if (espfile_path(machine->esp.dir, slot, NULL, &dir, err) < 0 ||
	    rollback_floor_load(machine, &floor, err) < 0 ||
	    demand_find(machine, slot, &floor, &trust.demand, err) < 0)
		return -1;
	trust.floor = *floor.version ? floor.version : NULL;
	return slot_uki_open(dir, &trust, ret_uki, err);
}
