/* SPDX-License-Identifier: MIT */
/* A slot as something to kexec: may it be started, and is its UKI what was installed? */
#pragma once

#include "envelope.h"
#include "machine.h"

/* The loader would start it too, or it was installed for a kexec. EX_CONFIG. */
int kexecslot_check(const struct machine *machine, unsigned slot, struct err *err);

/* Whether there is anything to hold the slot's UKI against: a digest in the variable's
 * record or a signature beside it. */
bool kexecslot_is_known(const struct machine *machine, unsigned slot);

/* envelope_open() with what the machine knows about the slot. A signed manifest is
 * demanded under Secure Boot and kernel lockdown, of a slot that slotctl installed, where
 * there is a rollback floor, and where the record is not the variable's. The caller
 * closes. */
int kexecslot_open(struct machine *machine, unsigned slot, struct envelope *ret_envelope,
		   struct err *err);
/* envelope_begin() likewise. */
int kexecslot_begin(struct machine *machine, unsigned slot, struct envelope *ret_envelope,
		    struct err *err);
