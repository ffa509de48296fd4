/* SPDX-License-Identifier: MIT */
/* What happens to the machine between the cut and the next boot. */
#include "boot.h"
#include "explore.h"

#include <setjmp.h>
#include <string.h>

static void flip(uint8_t *data, size_t len, uint64_t random)
{
	if (len)
		data[random / 8 % len] ^= (uint8_t)(1u << random % 8);
}

static struct sim_file *file_at(struct world *w, enum sim_name name)
{
	int file = w->name_now[name];

	return file < 0 ? NULL : &w->files[file];
}

static void flip_uki(struct world *w, uint64_t random)
{
	struct state state = sim_state(w, false);

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		struct sim_file *f = file_at(w, NAME_UKI(slot));

		if (!f || state.record.slots[slot].status != SLOT_TRIAL ||
		    state.record.slots[1 - slot].status != SLOT_GOOD)
			continue;
		flip(f->now, f->size, random);
		memcpy(f->kept, f->now, SIM_FILE_MAX);
		w->ghost.flipped = true;
		return;
	}
}

/* The last byte, so that the firmware still takes them. */
static void flip_all(struct world *w)
{
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		struct sim_file *f = file_at(w, NAME_UKI(slot));

		if (!f || f->size == 0)
			continue;
		f->now[f->size - 1] ^= 1;
		f->kept[f->size - 1] = f->now[f->size - 1];
	}
	w->ghost.flipped = w->ghost.flipped_all = true;
}

static void lose_mirror(struct world *w)
{
	struct sim_file *f = file_at(w, NAME_STATE);

	if (!f)
		return;
	memset(f->now, 0xa5, SIM_FILE_MAX);
	memset(f->kept, 0xa5, SIM_FILE_MAX);
}

static void flip_mirror(struct world *w, uint64_t random)
{
	struct sim_file *f = file_at(w, NAME_STATE);

	if (!f)
		return;
	flip(f->now, simdisk_stored(f, f->size), random);
	memcpy(f->kept, f->now, SIM_FILE_MAX);
}

/* Somebody who can write the ESP wants the other slot to be preferred. */
static void forge(const struct record *record, uint64_t sequence, uint8_t ret[RECORD_BYTES])
{
	struct record r = *record;

	r.sequence = sequence;
	r.preferred ^= 1u;
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
		r.slots[slot].status = slot == r.preferred ? SLOT_GOOD : SLOT_BAD;
	record_encode(&r, ret);
}

static void check_same_record(struct world *w, const struct state *before, const char *what)
{
	struct state now = sim_state(w, false);
	uint8_t a[RECORD_BYTES], b[RECORD_BYTES];

	record_encode(&before->record, a);
	record_encode(&now.record, b);
	if (now.source != before->source || memcmp(a, b, sizeof a) != 0)
		violation("the record is another after %s", what);
}

/* Beside a valid variable, which must go on counting. */
static void forge_mirror(struct world *w, uint64_t random)
{
	struct state before = sim_state(w, false);
	struct sim_file *f = file_at(w, NAME_STATE);
	uint64_t ahead = (uint64_t)1 << 40;

	if (!f || f->size == 0 || before.var_error != SB_OK)
		return;
	for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++) {
		if (copy == before.mirror_newest &&
		    (before.source != STATE_VARIABLE_COPY || random & 1))
			continue;
		forge(&before.record, random & 2 ? RECORD_SEQUENCE_MAX
						 : before.record.sequence + ahead,
		      f->now + copy * SIM_SECTOR);
	}
	memcpy(f->kept, f->now, SIM_FILE_MAX);
	check_same_record(w, &before, "the mirror was forged");
}

/* --- a stick, on which slotboot is too --- */

struct stick {
	struct world *w;	/* whose variables it sees */
	bool has_mirror;
	uint8_t copies[STATE_MIRROR_COPIES][RECORD_BYTES];
	jmp_buf started;
};

static const uint8_t stick_esp[RECORD_GUID_BYTES] = { 9, 9, 9 };

static enum sb_error stick_var_read(void *ctx, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct stick *stick = ctx;
	struct state_ops ops = simloader_storage(stick->w, false);

	return ops.var_read(ops.ctx, buf, cap, ret_len);
}

static enum sb_error stick_var_write(void *ctx, const uint8_t bytes[RECORD_BYTES])
{
	struct stick *stick = ctx;
	struct state_ops ops = simloader_storage(stick->w, false);

	return ops.var_write(ops.ctx, bytes);
}

static enum sb_error stick_mirror_read(void *ctx, unsigned copy, uint8_t buf[RECORD_BYTES])
{
	const struct stick *stick = ctx;

	if (!stick->has_mirror)
		return SB_NOT_FOUND;
	memcpy(buf, stick->copies[copy], RECORD_BYTES);
	return SB_OK;
}

static enum sb_error stick_mirror_write(void *ctx, unsigned copy,
					const uint8_t bytes[RECORD_BYTES])
{
	struct stick *stick = ctx;

	if (!stick->has_mirror)
		return SB_NOT_FOUND;
	memcpy(stick->copies[copy], bytes, RECORD_BYTES);
	return SB_OK;
}

static enum slot_reason stick_start(void *ctx, unsigned slot, const uint8_t *digest,
				    uint64_t size, uint64_t *ret_efi_status)
{
	struct stick *stick = ctx;

	(void)slot, (void)digest, (void)size, (void)ret_efi_status;
	longjmp(stick->started, 1);
}

static void stick_report(void *ctx, const struct trace *trace)
{
	(void)ctx;
	(void)trace;
}

/* Its own record of both slots on trial, so that it has something to store; or one that
 * was forged to be the machine's, or both theirs. */
static void stick_fill(struct stick *stick, const struct state *machine, uint64_t random)
{
	struct record r;

	stick->has_mirror = random & 3;
	if ((random & 3) > 1) {
		forge(&machine->record, machine->record.sequence + 1000, stick->copies[0]);
		(void)record_decode(stick->copies[0], RECORD_BYTES, &r);
	} else {
		record_init(&r);
		r.sequence = 1 + (random & 4) * 1000;
	}
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		r.slots[slot].status = SLOT_TRIAL;
		r.slots[slot].tries_left = r.slots[slot].tries_granted = SIM_TRIES;
	}
	if ((random & 3) == 3)
		memcpy(r.esps[1], stick_esp, sizeof stick_esp);
	else if ((random & 3) == 1)
		record_adopt(&r, stick_esp);
	record_encode(&r, stick->copies[0]);
	memcpy(stick->copies[1], stick->copies[0], RECORD_BYTES);
}

/* The loader runs once from it. */
static void stick_boot(struct world *w, uint64_t random)
{
	struct state before = sim_state(w, false);
	struct sim_var *v = simvars_find(w, VARS_SLOTBOOT, VARS_SLOT_STATE);
	struct sim_var old = v ? *v : (struct sim_var){ 0 };
	struct stick stick = { .w = w };
	struct boot_ops ops = {
		.ctx = &stick, .start = stick_start, .report = stick_report,
		.storage = { .ctx = &stick, .var_read = stick_var_read,
			     .var_write = stick_var_write, .mirror_read = stick_mirror_read,
			     .mirror_write = stick_mirror_write, .esp = stick_esp },
	};
	struct trace trace;

	stick_fill(&stick, &before, random);
	if (setjmp(stick.started) == 0)
		boot_run(&ops, &trace);
	if (before.var_error != SB_OK || sim_is_lost(&before))
		return;		/* a place that it may take */
	if (!v->used || memcmp(v, &old, sizeof old) != 0)
		violation("the loader of a stick wrote the variable");
	check_same_record(w, &before, "a boot from a stick");
}

/* --- disks and stores --- */

/* To what it was before the step: once, or, where the mirror is newer and can tell, at
 * every boot from now on. */
static void fall_back(struct world *w, const struct job *job)
{
	struct world before = *job->before;
	const struct sim_var *old = simvars_find(&before, VARS_SLOTBOOT, VARS_SLOT_STATE);
	struct sim_var *v = simvars_find(w, VARS_SLOTBOOT, VARS_SLOT_STATE);
	struct state then = sim_state(&before, false);

	if (!v || !old || then.var_error != SB_OK)
		return;
	w->old_state = *old;
	*v = *old;
	w->falls_back = sim_mirror_sequence(w, true) > then.record.sequence;
}

/* Slot a on trial, older than any other record. */
static void state_provide(struct world *w)
{
	const struct sim_version *v = &sim_versions[0];
	uint8_t state[STATE_MIRROR_COPIES * SIM_SECTOR] = { 0 };
	struct record r;

	record_init(&r);
	record_adopt(&r, simdisk_esp(w));
	r.sequence = 1;
	(void)policy_apply(&r, ON_INSTALL_BEGIN, 0, 0);
	r.slots[0].flags = SLOT_FLAG_DIGEST | SLOT_FLAG_INSTALLED;
	r.slots[0].uki_size = v->uki_len;
	sim_sha256(v->uki, v->uki_len, r.slots[0].uki_sha256);
	(void)policy_apply(&r, ON_INSTALL_REBOOT, 0, SIM_TRIES);
	for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++)
		record_encode(&r, state + copy * SIM_SECTOR);
	simdisk_put(w, NAME_STATE, state, sizeof state);
	power_down(w);
}

/* The disk is a new one, as before a scenario's first step, under the old variables. */
static void world_reimage(struct world *w, bool has_state)
{
	struct world fresh;

	scenario_disk(w->device, w->loader, &fresh);
	if (has_state)
		state_provide(&fresh);
	w->ghost.loaders |= 1;
	memcpy(w->files, fresh.files, sizeof w->files);
	memcpy(w->name_now, fresh.name_now, sizeof w->name_now);
	memcpy(w->name_kept, fresh.name_kept, sizeof w->name_kept);
	memcpy(w->dir_now, fresh.dir_now, sizeof w->dir_now);
	memcpy(w->dir_kept, fresh.dir_kept, sizeof w->dir_kept);
	memset(w->ghost.trial, 0, sizeof w->ghost.trial);
	w->ghost.floor = 0;
	w->ghost.mirror_floor = 0;
}

/* --- two ESPs --- */

static bool other_is_named(struct world *w)
{
	struct state state = sim_state(w, false);

	return !sim_is_lost(&state) && record_belongs(&state.record, simdisk_other_esp(w));
}

/* Its loader comes with a state.bin: other_esp.h. */
static bool other_has_a_loader(struct world *w)
{
	uint64_t sequence;

	simdisk_swap(w);
	sequence = sim_mirror_sequence(w, false);
	simdisk_swap(w);
	return sequence > 0;
}

static void disks_change(struct world *w, enum after what)
{
	struct state state = sim_state(w, false);
	bool named = other_is_named(w);

	if (!w->two || w->other_lost)
		return;
	if (what == AFTER_PULL_OTHER) {
		w->other_lost = true;
	} else if (what == AFTER_OTHER) {
		if (!named && !other_has_a_loader(w))
			return;
		w->ghost.left_behind = !named && !sim_is_lost(&state) &&
				       state.source == STATE_VARIABLE_COPY;
		simdisk_swap(w);
	} else if (named) {
		simdisk_swap(w);
		w->other_lost = true;
	}
}

void after_cut(struct world *w, const struct job *job, uint64_t random)
{
	enum after what = job->mode->after;
	struct sim_var *v = simvars_find(w, VARS_SLOTBOOT, VARS_SLOT_STATE);

	if (what == AFTER_NOTHING)
		return;
	w->ghost.agent_ran = true;	/* an older record may hold more tries */
	if (what >= AFTER_PULL_FIRST)
		disks_change(w, what);
	if (v && (what == AFTER_LOSE_VAR || what == AFTER_LOSE_ALL ||
		  (what == AFTER_PULL_FIRST_VAR && w->swapped)))
		v->used = false;
	else if (v && what == AFTER_FLIP_VAR)
		flip(v->data, v->len, random);
	if (what == AFTER_REFUSE)
		w->refuse = sim_state(w, false).record.preferred;
	if (what == AFTER_LOSE_ALL)
		lose_mirror(w);
	else if (what == AFTER_FLIP_MIRROR)
		flip_mirror(w, random);
	else if (what == AFTER_FLIP_UKI)
		flip_uki(w, random);
	else if (what == AFTER_FLIP_ALL)
		flip_all(w);
	else if (what == AFTER_FORGE)
		forge_mirror(w, random);
	else if (what == AFTER_STICK)
		stick_boot(w, random);
	else if (what == AFTER_FALL_BACK)
		fall_back(w, job);
	else if (what == AFTER_REIMAGE)
		world_reimage(w, job->mode->has_state);
}
