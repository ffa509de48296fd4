/* SPDX-License-Identifier: MIT */
#include "bytes.h"
#include "cmdline.h"
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRINT_MAX = 40 };

struct place place;
bool violation_is_fatal;
static uint64_t violations;

uint64_t violation_count(void)
{
	return violations;
}

/* The same in the same step is printed once. */
static bool is_known(const char *fmt)
{
	static struct {
		const char *fmt, *scenario, *mode;
		unsigned step;
	} known[PRINT_MAX];
	unsigned i = 0;

	for (; i < PRINT_MAX && known[i].fmt; i++)
		if (known[i].fmt == fmt && known[i].scenario == place.scenario &&
		    known[i].mode == place.mode && known[i].step == place.step)
			return true;
	if (i == PRINT_MAX)
		return true;
	known[i].fmt = fmt;
	known[i].scenario = place.scenario;
	known[i].mode = place.mode;
	known[i].step = place.step;
	return false;
}

void violation(const char *fmt, ...)
{
	va_list ap;

	violations++;
	if (is_known(fmt))
		return;
	(void)printf("VIOLATION: %s, %s: step %u (%s), cut %d, second cut %d, seed %llu: ",
		     place.scenario, place.mode, place.step, place.op, place.cut, place.cut2,
		     (unsigned long long)place.seed);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
	if (violation_is_fatal)
		exit(1);
}

void check_guard(struct world *w, const char *who)
{
	if (w->ghost.touched)
		violation("%s wrote to a slot that it must not touch", who);
	/* An entry that cannot be read counts as somebody else's. */
	if (w->ghost.exposed && w->fault.mode != FAULT_READ)
		violation("%s wrote to a slot whose direct entry is active", who);
	w->ghost.touched = w->ghost.exposed = false;
	w->ghost.guard = 0;
}

void check_tries(struct world *w, const struct state *at_begin)
{
	struct ghost *g = &w->ghost;

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		const struct slot *s = &at_begin->record.slots[slot];
		bool trial = s->status == SLOT_TRIAL;

		if (trial && (!g->trial[slot] || s->tries_left > g->left[slot])) {
			g->starts[slot] = 0;
			if (!g->agent_ran && !(sim_is_lost(at_begin) && !g->trial[slot]))
				violation("slot %c has got tries that nobody granted",
					  slot_letter(slot));
		}
		g->trial[slot] = trial;
		g->left[slot] = s->tries_left;
	}
	g->agent_ran = false;
}

static bool is_disturbed(const struct world *w)
{
	return w->fault.mode != FAULT_NONE || w->fault.store != STORE_OK;
}

/* Counted, and stored so that a power cut now would keep it. */
static void check_try(struct world *w, const struct slot *begin, unsigned slot)
{
	struct state kept = sim_state(w, true);
	const struct slot *now = &kept.record.slots[slot];

	if (now->status != SLOT_TRIAL || now->tries_left >= begin->tries_left)
		violation("slot %c starts before its try is durable", slot_letter(slot));
	w->ghost.left[slot] = now->tries_left;
	if (++w->ghost.starts[slot] > begin->tries_granted)
		violation("slot %c starts %u times on %u tries", slot_letter(slot),
			  w->ghost.starts[slot], begin->tries_granted);
}

/* Nothing says what the UKI should be, so a torn one cannot be told; but a whole
 * one must have its image. */
static void check_start_lost(const struct world *w, unsigned slot)
{
	if (sim_version_of(w, slot, true) >= 0 && sim_version_of(w, slot, false) < 0)
		violation("slot %c starts with the record lost: a whole UKI, but not its image",
			  slot_letter(slot));
}

/* Rather than nothing: the other one is not there, is torn, or failed before. Nothing
 * can be said of its image. */
static void check_start_unchecked(const struct world *w, const struct state *at_begin,
				  unsigned slot)
{
	unsigned other = 1 - slot;
	int version = sim_version_of(w, other, true);
	enum slot_status status = at_begin->record.slots[slot].status;
	enum slot_status others = at_begin->record.slots[other].status;

	if (version >= 0 && version != w->broken && w->refuse != (int)other &&
	    others != SLOT_EMPTY && others != SLOT_WRITING &&
	    sim_digest_is_right(w, &at_begin->record, other))
		violation("slot %c starts unchecked although the other one is whole",
			  slot_letter(slot));
	if ((status == SLOT_WRITING || status == SLOT_EMPTY) && !at_begin->unmirrored)
		violation("slot %c starts unchecked, which is %s", slot_letter(slot),
			  slot_status_text(status));
}

void check_start(struct world *w, const struct state *at_begin,
		 const struct trace_step *step)
{
	unsigned slot = step->slot;
	const struct slot *s = &at_begin->record.slots[slot];
	bool last_resort = step->last_resort;
	const char name = slot_letter(slot);

	if (sim_is_lost(at_begin)) {
		check_start_lost(w, slot);
		return;
	}
	if (step->unchecked) {
		check_start_unchecked(w, at_begin, slot);
		return;
	}
	if (sim_version_of(w, slot, false) < 0 &&
	    !(w->ghost.flipped_all && s->status == SLOT_GOOD && !last_resort))
		violation("slot %c (%s) starts and is not one whole version", name,
			  slot_status_text(s->status));
	if (s->status == SLOT_WRITING || s->status == SLOT_EMPTY)
		violation("slot %c starts, which is %s", name, slot_status_text(s->status));
	if (s->status == SLOT_KEXEC_TRIAL && !last_resort)
		violation("slot %c starts, which is a kexec-trial", name);
	if (s->status != SLOT_TRIAL)
		return;
	if (!last_resort)
		check_try(w, s, slot);
	else if (!is_disturbed(w) && s->tries_left > 0)
		violation("trial %c is a last resort without need", name);
}

void check_armed(const struct state *at_begin, unsigned slot, bool last_resort,
		 unsigned armed)
{
	const struct record *r = &at_begin->record;
	unsigned want = 0;

	if (!sim_is_lost(at_begin) && r->watchdog != WATCHDOG_NONE && !last_resort &&
	    r->slots[slot].status == SLOT_TRIAL)
		want = r->watchdog_s;
	if (armed != want)
		violation("slot %c (%s) starts with the watchdog at %u s, not %u s",
			  slot_letter(slot), slot_status_text(r->slots[slot].status), armed,
			  want);
}

/* Where a try was left, and stored: the entry before the one of the next start. */
static void check_hang_noted(const struct record *now, unsigned slot)
{
	for (unsigned i = 0; i < RECORD_ATTEMPTS; i++) {
		const struct attempt *a = &now->attempts[i];

		if (a->slot == slot && a->event == ATTEMPT_FAILED &&
		    a->reason == REASON_WATCHDOG && a->sequence == (uint32_t)now->sequence)
			return;
	}
	violation("slot %c was reset by the watchdog, and no attempt says so",
		  slot_letter(slot));
}

void check_hang(struct world *w, const struct state *at_begin, unsigned slot)
{
	const struct slot *was = &at_begin->record.slots[slot];
	struct state state = sim_state(w, false);
	const struct slot *now = &state.record.slots[slot];

	if (state.record.sequence == at_begin->record.sequence)
		return;		/* nothing could be stored */
	if (now->status == SLOT_TRIAL && now->tries_left < was->tries_left)
		check_hang_noted(&state.record, slot);
	if (now->status == SLOT_BAD && was->status != SLOT_BAD && was->tries_left == 0 &&
	    now->reason != REASON_WATCHDOG)
		violation("slot %c hung, and is bad for another reason (%s)",
			  slot_letter(slot), slot_reason_text(now->reason));
}

void check_stored(struct world *w, const struct state *at_begin, const struct sim_var *before)
{
	const struct sim_var *v = simvars_find(w, VARS_SLOTBOOT, VARS_SLOT_STATE);

	if (at_begin->var_is_foreign) {
		if (!v || memcmp(v, before, sizeof *v) != 0)
			violation("the loader wrote over another disk's record");
		return;
	}
	if (at_begin->source == STATE_LOST && at_begin->var_error != SB_ATTRIBUTES &&
	    w->session.up && !is_disturbed(w) && sim_state(w, true).source == STATE_LOST)
		violation("the record was lost, and the loader has stored none");
}

void check_copies(struct world *w)
{
	struct state_ops ops = simloader_storage(w, false);
	uint8_t first[RECORD_BYTES], bytes[RECORD_BYTES];
	struct state state = sim_state(w, false);
	size_t len = 0;

	if (sim_is_lost(&state))
		violation("the record is a provisional one after mark-good");
	if (ops.mirror_read(w, 0, first) != SB_OK || ops.mirror_read(w, 1, bytes) != SB_OK ||
	    memcmp(first, bytes, sizeof first) != 0)
		violation("the two copies of the mirror differ after mark-good");
	if (ops.var_read(w, bytes, sizeof bytes, &len) != SB_ATTRIBUTES &&
	    memcmp(first, bytes, sizeof first) != 0)
		violation("variable and mirror differ after mark-good");
}

static void check_other_slots(struct world *w, const struct record *record, const char *when)
{
	bool whole[SLOT_COUNT];

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		whole[slot] = sim_digest_is_right(w, record, slot);
	simdisk_swap(w);
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		enum slot_status status = record->slots[slot].status;

		if ((status == SLOT_GOOD || status == SLOT_TRIAL) && whole[slot] &&
		    !sim_digest_is_right(w, record, slot))
			violation("slot %c on the other ESP is not the record's %s",
				  slot_letter(slot), when);
	}
	simdisk_swap(w);
}

void check_named(struct world *w)
{
	struct state state = sim_state(w, false);

	if (w->two && !sim_is_lost(&state) && record_belongs(&state.record, simdisk_other_esp(w)))
		check_other_slots(w, &state.record, "that names it");
}

void check_other(struct world *w)
{
	struct state here = sim_state(w, false), there;
	uint8_t a[RECORD_BYTES], b[RECORD_BYTES];

	if (!record_belongs(&here.record, simdisk_esp(w)) ||
	    !record_belongs(&here.record, simdisk_other_esp(w)))
		violation("the record does not name both ESPs after mark-good");
	check_copies(w);
	simdisk_swap(w);
	there = sim_state(w, false);
	record_encode(&here.record, a);
	record_encode(&there.record, b);
	if (memcmp(a, b, sizeof a) != 0)
		violation("the other ESP's loader has another record after mark-good");
	check_copies(w);
	simdisk_swap(w);
	check_other_slots(w, &here.record, "after mark-good");
}

static void check_foreign(struct world *w, const char *name, const char *content)
{
	const struct sim_var *v = simvars_find(w, VARS_GLOBAL, name);

	if (!v || v->len != strlen(content) || memcmp(v->data, content, v->len) != 0)
		violation("the foreign entry %s was changed", name);
}

void check_entries(struct world *w)
{
	const struct sim_var *order = simvars_find(w, VARS_GLOBAL, "BootOrder");
	unsigned foreign = 0;

	check_foreign(w, "Boot0000", "foreign zero");
	check_foreign(w, "Boot0004", "foreign four");
	if (!order) {
		violation("there is no BootOrder");
		return;
	}
	for (unsigned i = 0; i + 1 < order->len; i += 2) {
		unsigned number = le16_get(order->data + i);
		char name[16];

		(void)snprintf(name, sizeof name, "Boot%04X", number);
		if (!simvars_find(w, VARS_GLOBAL, name))
			violation("BootOrder names %s, which does not exist", name);
		if (number == 0 || number == 4)
			foreign = foreign * 16 + number + 1;
	}
	if (foreign != 0x15)
		violation("BootOrder no longer has the foreign entries in their order");
}

/* But for the ring and the sequence: mark-good of a good slot adds to them in
 * memory only. And but for which copy it was, and for the other ESP, which a mark-good that
 * could not bring it up has left out: check_other(). */
static bool record_is(const struct state *state, const uint8_t *record)
{
	uint8_t a[RECORD_BYTES], b[RECORD_BYTES];
	struct record x = state->record, y;

	if (record_decode(record, RECORD_BYTES, &y) != SB_OK)
		return false;
	x.sequence = y.sequence = 0;
	memset(x.attempts, 0, sizeof x.attempts);
	memset(y.attempts, 0, sizeof y.attempts);
	memset(x.esps, 0, sizeof x.esps);
	memset(y.esps, 0, sizeof y.esps);
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		x.slots[slot].flags &= (uint8_t)~SLOT_FLAG_HEARSAY;
		y.slots[slot].flags &= (uint8_t)~SLOT_FLAG_HEARSAY;
	}
	record_encode(&x, a);
	record_encode(&y, b);
	return memcmp(a, b, sizeof a) == 0;
}

/* The mirror alone, as after the loss of the variable. */
static void check_mirror(struct world *w, const uint8_t *record)
{
	struct sim_var *v = simvars_find(w, VARS_SLOTBOOT, VARS_SLOT_STATE);
	struct state state;

	if (!v)
		return;
	v->used = false;
	state = sim_state(w, false);
	v->used = true;
	if (!record_is(&state, record))
		violation("success was reported, and the mirror alone does not keep it");
}

void check_done(struct world *w, const struct step *step, const uint8_t *record,
		bool mirror_too)
{
	struct state state = sim_state(w, false);

	if (!record_is(&state, record))
		violation("success was reported, and the record did not last");
	if (mirror_too)
		check_mirror(w, record);
	for (unsigned target = 0; step->op == OP_INSTALL && target < SLOT_COUNT; target++)
		if (sim_version_of(w, target, false) == step->arg)
			return;
	if (step->op == OP_INSTALL)
		violation("success was reported, and no slot holds the new version");
}

/* A slot without a manifest (the first one) raises nothing, and neither does what a
 * kexec has confirmed. */
void check_floor(const struct world *before, const struct world *w)
{
	unsigned slot = before->session.running;

	if (before->session.kexec || !simdisk_find(before, slot ? NAME_JSON_B : NAME_JSON_A))
		return;
	if (sim_floor(w, false) < sim_version_of(before, slot, true) + 1)
		violation("success was reported, and the rollback floor is not raised");
}

void check_booted(struct world *w)
{
	struct state kept = sim_state(w, true);

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		if (kept.record.slots[slot].status == SLOT_KEXEC_TRIAL)
			violation("slot %c is a kexec-trial after a firmware boot",
				  slot_letter(slot));
}
