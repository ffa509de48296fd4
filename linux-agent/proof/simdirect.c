/* SPDX-License-Identifier: MIT */
/*
 * The firmware where there is no loader: BootNext, which it forgets and follows whether the entry is
 * active or not, then the active entries of BootOrder. What does not load it passes over, and
 * what gives control back it comes back from. What it starts must be whole, and by BootNext be
 * what the record has on trial.
 */
#include "bootentries.h"
#include "bytes.h"
#include "cmdline.h"
#include "loadoption.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_SLOT_A = 1, RESETS_MAX = 2 };

/* The slot that Boot#### leads to; -1: none, or (with active) it is inactive. */
static int slot_of(struct world *w, unsigned number, bool active)
{
	const struct sim_var *v;
	char name[16];

	(void)snprintf(name, sizeof name, "Boot%04X", number);
	v = simvars_find(w, VARS_GLOBAL, name);
	for (int slot = 0; v && slot < SLOT_COUNT; slot++)
		if (loadoption_is_ours(v->data, v->len, sim_esp.guid, bootentries_slot_path[slot]) &&
		    (!active || (le32_get(v->data) & LOADOPTION_ACTIVE)))
			return slot;
	return -1;
}

static bool loads(const struct world *w, unsigned slot)
{
	const struct sim_file *f = simdisk_find(w, NAME_UKI(slot));

	return f && w->refuse != (int)slot && sim_uki_loads(f);
}

static bool is_whole(const struct world *w, unsigned slot)
{
	return sim_version_of(w, slot, false) >= 0;
}

static void check_next(struct world *w, unsigned slot)
{
	struct state state = sim_state(w, false);
	const struct slot *s = &state.record.slots[slot];

	if (sim_is_lost(&state))
		return;
	if (s->status != SLOT_TRIAL || s->tries_left == 0 || state.record.preferred != slot)
		violation("BootNext starts slot %c, which is not to be tried (%s)", slot_letter(slot),
			  slot_status_text(s->status));
	if (++w->ghost.starts[slot] > s->tries_granted)
		violation("BootNext starts slot %c %u times on %u tries", slot_letter(slot),
			  w->ghost.starts[slot], s->tries_granted);
}

/* True: it stays up, or has reset the machine. */
static bool slot_start(struct world *w, unsigned slot, bool by_next, bool *ret_reset)
{
	if (!loads(w, slot))
		return false;
	if (by_next)
		check_next(w, slot);
	if (!is_whole(w, slot))
		violation("slot %c starts and is not one whole version", slot_letter(slot));
	*ret_reset = w->hangs >= 0 && sim_version_of(w, slot, true) == w->hangs;
	if (*ret_reset)
		return true;
	if (w->broken >= 0 && sim_version_of(w, slot, true) == w->broken)
		return false;
	w->session = (struct session){ .up = true, .running = slot, .staged = -1 };
	return true;
}

static bool boot_once(struct world *w, bool *ret_reset)
{
	struct sim_var *next = simvars_find(w, VARS_GLOBAL, "BootNext");
	const struct sim_var *order = simvars_find(w, VARS_GLOBAL, "BootOrder");
	int slot = next ? slot_of(w, le16_get(next->data), false) : -1;

	*ret_reset = false;
	if (next)
		next->used = false;
	if (slot >= 0 && slot_start(w, (unsigned)slot, true, ret_reset))
		return true;
	for (unsigned i = 0; order && i + 1 < order->len; i += 2) {
		slot = slot_of(w, le16_get(order->data + i), true);
		if (slot >= 0 && slot_start(w, (unsigned)slot, false, ret_reset))
			return true;
	}
	return false;
}

void simdirect_boot(struct world *w)
{
	bool reset = true;

	for (int resets = 0; reset; resets++) {
		if (resets > RESETS_MAX) {
			if (w->refuse < 0)
				violation("a slot that panics is started for ever");
			return;
		}
		if (!boot_once(w, &reset))
			return;
	}
}

void check_direct(struct world *w)
{
	const struct sim_var *order = simvars_find(w, VARS_GLOBAL, "BootOrder");
	struct state state = sim_state(w, false);
	int slot = -1;

	if (!w->direct || sim_is_lost(&state))
		return;
	for (unsigned i = 0; order && slot < 0 && i + 1 < order->len; i += 2)
		slot = slot_of(w, le16_get(order->data + i), true);
	if (slot < 0)
		violation("BootOrder starts no slot");
	else if (!is_whole(w, (unsigned)slot))
		violation("BootOrder starts slot %c, which is not one whole version",
			  slot_letter((unsigned)slot));
	else if (state.record.slots[slot].status != SLOT_GOOD &&
		 state.record.slots[1 - slot].status == SLOT_GOOD)
		violation("BootOrder starts slot %c, which is %s, and the other one is good",
			  slot_letter((unsigned)slot), slot_status_text(state.record.slots[slot].status));
}

void simdirect_provide(struct world *w)
{
	static const uint8_t order[] = { ENTRY_SLOT_A, 0, 0, 0, 4, 0 };
	struct vars vars = simvars(w);
	uint8_t *data;
	size_t len;

	if (loadoption_build(&sim_esp, LOADOPTION_ACTIVE, "whatever", BOOTENTRIES_A_PATH, NULL, 0, &data,
			     &len, NULL) < 0)
		abort();
	(void)vars.set(w, VARS_GLOBAL, "Boot0001", data, len, VARS_NV_BS_RT, NULL);
	(void)vars.set(w, VARS_GLOBAL, "BootOrder", order, sizeof order, VARS_NV_BS_RT, NULL);
	free(data);
}
