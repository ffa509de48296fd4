/* SPDX-License-Identifier: MIT */
/* A slot as something to kexec: may it be started, and is its UKI what was installed? */
#pragma once

#include "slot_uki.h"
#include "machine.h"

/* The loader would start it too, or it was installed for a kexec. EX_CONFIG. */
int kexec_slot_check(const struct machine *machine, unsigned slot, struct err *err);

/* Whether there is anything to hold the slot's UKI against: a digest in the variable's
 * record or a signature beside it. */
bool kexec_slot_is_known(const struct machine *machine, unsigned slot);

/* slot_uki_open() with what the machine knows about the slot. A signed manifest is
 * demanded under Secure Boot and kernel lockdown, of a slot that slotctl installed, where
 * there is a rollback floor, and where the record is not the variable's. The caller
 * closes. */
int kexec_slot_open(struct machine *machine, unsigned slot, struct slot_uki *ret_uki,
		    struct err *err);
