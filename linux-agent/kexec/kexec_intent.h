/* SPDX-License-Identifier: MIT */
/*
 * A kexec as a transaction:
 *
 *   1. intent   a nonce in the record, durably, before anything is staged; the
 *               record is already such that a firmware boot takes the old slot
 *   2. stage    the same nonce goes onto the new kernel's command line
 *   3. jump     noted in the record; after which nothing of this system can speak for itself
 *   4. arrival  at the first mark-good the new system's nonce must be the record's; the
 *               boot loader's type and the ledger's boot_id must not speak against it
 *
 * What is given up in between is unloaded and forgotten, so that neither a later
 * reboot nor a later mark-good takes it for what was meant.
 */
#pragma once

#include "kexec.h"
#include "machine.h"

/* Whether a kexec into a slot not yet proven may be tried: EX_CONFIG where the
 * last one never came to mark-good, unless forced. */
int kexec_intent_check_allowed(const struct machine *machine, bool force, struct err *err);

/* Puts a fresh nonce for slot into the record in memory; the caller saves it. */
int kexec_intent_make(struct machine *machine, unsigned slot, struct err *err);

/* The slot of what the kernel holds, by the record's nonce. EX_CONFIG: the record knows
 * of nothing that is still to be jumped to, so another program put it there. */
int kexec_intent_staged(const struct machine *machine, unsigned *ret_slot, struct err *err);

/* Stages the image with the record's nonce. Where that fails, the intent is taken
 * back, durably: a slot in kexec-trial becomes a trial that nothing prefers. */
int kexec_intent_load(struct machine *machine, unsigned slot, struct kexec_image *image,
		      struct err *err);

/* The jump is next: noted in the ring of attempts, durably, so that the loader can
 * tell a jump that failed from one that was never begun. */
int kexec_intent_jump(struct machine *machine, unsigned slot, struct err *err);

/* Before the jump: has the watchdog run across it where the loader would arm it for
 * the slot. Returns what watchdog_disarm() takes; say is "" or what is missing. */
int kexec_intent_watch(const struct machine *machine, unsigned slot, char *say, size_t cap);

/* Takes the intent back in memory; the caller saves it. Whether anything changed.
 * What runs keeps its own nonce. */
bool kexec_intent_forget(struct machine *machine);

/* What the running system and the record say of the kexec that led here. */
struct kexec_arrival {
	bool nonce;		/* what runs has the nonce of the record; none at all is not one */
	bool bootloader;	/* the boot loader's type says kexec */
	bool boot_id;		/* the ledger says that it has changed */
	bool meant;		/* it is the kexec that was meant: the nonce is the record's, and
				 * neither the boot loader's type nor the ledger speaks against
				 * it. A ledger that is missing says nothing. */
};

/* Only for a machine that runs by kexec. */
void kexec_intent_look(const struct machine *machine, struct kexec_arrival *ret_arrival);

/* At mark-good: whether what runs is what was meant. EX_CONFIG: a slot that nothing has
 * proven was reached by a kexec that the record does not know. A slot of which nothing at
 * all is known is taken as it is. */
int kexec_intent_check_arrival(const struct machine *machine, struct err *err);
