/* SPDX-License-Identifier: MIT */
#include "state.h"

#include "bytes.h"

static enum sb_error var_load(const struct state_ops *ops, struct state *s,
			      struct record *ret_foreign)
{
	uint8_t bytes[RECORD_BYTES];
	struct record r;
	size_t len = 0;
	enum sb_error error = ops->var_read(ops->ctx, bytes, sizeof bytes, &len);

	if (error != SB_OK)
		return error;
	if (len > sizeof bytes)
		return SB_LONG;
	error = record_decode(bytes, len, &r);
	if (error != SB_OK)
		return error;
	if (!record_belongs(&r, ops->esp)) {
		s->var_is_foreign = !(r.flags & RECORD_FLAG_PROVISIONAL);
		*ret_foreign = r;
		return SB_FOREIGN;
	}
	s->record = r;
	s->source = STATE_VARIABLE_COPY;
	return SB_OK;
}

static enum sb_error copy_load(const struct state_ops *ops, const struct state *s, unsigned copy,
			       struct record *ret_record)
{
	uint8_t bytes[RECORD_BYTES];
	enum sb_error error = ops->mirror_read(ops->ctx, copy, bytes);

	if (error == SB_OK)
		error = record_decode(bytes, sizeof bytes, ret_record);
	if (error != SB_OK)
		return error;
	if (!record_belongs(ret_record, ops->esp))
		return SB_FOREIGN;
	if (s->var_error == SB_OK && ret_record->sequence > s->record.sequence &&
	    ret_record->sequence - s->record.sequence > STATE_AHEAD_MAX)
		return SB_RANGE;
	return SB_OK;
}

/* The newest copy that counts; the first copy's error when none does. */
static enum sb_error mirror_load(const struct state_ops *ops, struct state *s,
				 struct record *ret_record)
{
	enum sb_error first_error = SB_OK;
	bool found = false;

	for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++) {
		struct record r;
		enum sb_error error = copy_load(ops, s, copy, &r);

		if (error != SB_OK) {
			if (first_error == SB_OK)
				first_error = error;
			continue;
		}
		if (!found || r.sequence > ret_record->sequence) {
			*ret_record = r;
			s->mirror_newest = copy;
		}
		found = true;
	}
	return found ? SB_OK : first_error;
}

static bool same_uki(const struct slot *a, const struct slot *b)
{
	return a->uki_size == b->uki_size && bytes_equal(a->uki_sha256, b->uki_sha256, sizeof a->uki_sha256);
}

static bool holds_the_same(const struct slot *a, const struct slot *b)
{
	const uint8_t what = SLOT_FLAG_DIGEST | SLOT_FLAG_INSTALLED | SLOT_FLAG_HEARSAY;

	return (a->flags & what) == (b->flags & what) && same_uki(a, b);
}

/* s->record is still the variable's, where that counts. */
static void mirror_take(struct state *s, const struct record *mirror)
{
	struct record var = s->record;

	s->record = *mirror;
	s->source = STATE_MIRROR_COPY;
	for (unsigned i = 0; i < SLOT_COUNT; i++)
		if (s->var_error != SB_OK || !holds_the_same(&var.slots[i], &mirror->slots[i]))
			s->record.slots[i].flags |= SLOT_FLAG_HEARSAY;
}

void state_compare(const struct state_ops *ops, struct state *s)
{
	uint8_t bytes[RECORD_BYTES], found[RECORD_BYTES];

	record_encode(&s->record, bytes);
	for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++)
		s->mirror_current[copy] =
			ops->mirror_read(ops->ctx, copy, found) == SB_OK &&
			bytes_equal(bytes, found, sizeof bytes);
}

/* This ESP and another were in step once, and the record went on with the other alone. */
static void successor_find(const struct record *mirror, const struct record *foreign,
			   struct state *s)
{
	for (int i = 0; s->var_is_foreign && i < RECORD_ESPS; i++) {
		if (!record_belongs(foreign, mirror->esps[i]))
			continue;
		s->left_behind = true;
		bytes_copy(s->successor, mirror->esps[i], sizeof s->successor);
	}
}

static bool has_image(enum slot_status status)
{
	return status != SLOT_EMPTY && status != SLOT_WRITING;
}

/* Before an install writes a byte, both copies have its slot in writing. Where they have an image that the
 * variable does not have there, the disk is another one with the same GUIDs, from an image that brought a
 * state.bin, or nothing was written yet. */
static bool mirror_has_another_image(const struct record *var, const struct record *mirror)
{
	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		const struct slot *v = &var->slots[i], *m = &mirror->slots[i];

		if (!has_image(m->status))
			continue;
		if (!has_image(v->status))
			return true;
		if (m->flags & SLOT_FLAG_DIGEST && !same_uki(v, m))
			return true;
	}
	return false;
}

void state_load(const struct state_ops *ops, struct state *ret_state)
{
	struct state s = { .source = STATE_LOST };
	struct record mirror, foreign;

	record_init(&s.record);
	s.var_error = s.mirror_error = SB_FOREIGN;
	if (ops->esp) {
		s.var_error = var_load(ops, &s, &foreign);
		s.mirror_error = mirror_load(ops, &s, &mirror);
	}
	if (s.mirror_error == SB_OK &&
	    (s.source == STATE_LOST || mirror.sequence > s.record.sequence))
		mirror_take(&s, &mirror);
	if (s.mirror_error == SB_OK)
		successor_find(&mirror, &foreign, &s);
	s.unmirrored = s.source == STATE_VARIABLE_COPY &&
		       (s.mirror_error == SB_NOT_FOUND ||
			(s.mirror_error == SB_OK && mirror_has_another_image(&s.record, &mirror)));
	*ret_state = s;
}

static enum sb_error var_save(const struct state_ops *ops, const uint8_t bytes[RECORD_BYTES])
{
	uint8_t back[RECORD_BYTES];
	size_t len = 0;
	enum sb_error error = ops->var_write(ops->ctx, bytes);

	if (error == SB_OK)
		error = ops->var_read(ops->ctx, back, sizeof back, &len);
	if (error != SB_OK)
		return error;
	return len == RECORD_BYTES && bytes_equal(bytes, back, len) ? SB_OK : SB_READBACK;
}

static enum sb_error mirror_save(const struct state_ops *ops, struct state *state,
				 unsigned copy, const uint8_t bytes[RECORD_BYTES])
{
	uint8_t back[RECORD_BYTES];
	enum sb_error error = ops->mirror_write(ops->ctx, copy, bytes);

	if (error == SB_OK)
		error = ops->mirror_read(ops->ctx, copy, back);
	if (error != SB_OK)
		return error;
	if (!bytes_equal(bytes, back, RECORD_BYTES))
		return SB_READBACK;
	state->mirror_newest = copy;
	state->mirror_current[copy] = true;
	return SB_OK;
}

/* A record that did not come from the variable may be lost there again with the power:
 * a store that forgets, or falls back, takes writes and reads them back. The mirror
 * must know too, where there is one. */
static enum sb_error loader_write(const struct state_ops *ops, struct state *state,
				  const uint8_t bytes[RECORD_BYTES])
{
	enum sb_error error = state->var_is_foreign ? SB_FOREIGN : var_save(ops, bytes);

	if (error == SB_OK &&
	    (state->source == STATE_VARIABLE_COPY || state->mirror_error == SB_NOT_FOUND))
		return SB_OK;
	return mirror_save(ops, state, (state->mirror_newest + 1) % STATE_MIRROR_COPIES, bytes);
}

/* The newest copy last, so that one is whole at any time. */
static enum sb_error mirrors_write(const struct state_ops *ops, struct state *state,
				   const uint8_t bytes[RECORD_BYTES])
{
	unsigned older = (state->mirror_newest + 1) % STATE_MIRROR_COPIES;

	for (unsigned i = 0; i < STATE_MIRROR_COPIES; i++) {
		unsigned copy = (older + i) % STATE_MIRROR_COPIES;
		enum sb_error error = state->mirror_current[copy]
					      ? SB_OK : mirror_save(ops, state, copy, bytes);

		if (error != SB_OK)
			return error;
	}
	return SB_OK;
}

static enum sb_error agent_write(const struct state_ops *ops, struct state *state,
				 bool var_current, const uint8_t bytes[RECORD_BYTES],
				 enum sb_error *ret_mirror)
{
	enum sb_error error = var_current ? SB_OK : var_save(ops, bytes), mirror;

	if (error != SB_OK && error != SB_ATTRIBUTES)
		return error;
	mirror = mirrors_write(ops, state, bytes);
	if (ret_mirror)
		*ret_mirror = mirror;
	if (error == SB_ATTRIBUTES && !state->mirror_current[0] && !state->mirror_current[1])
		return error;	/* one copy that took it is the record at the next boot */
	state->source = error == SB_OK ? STATE_VARIABLE_COPY : STATE_MIRROR_COPY;
	return SB_OK;
}

enum sb_error state_save(const struct state_ops *ops, enum state_save_mode mode,
			 struct state *state, enum sb_error *ret_mirror)
{
	struct record *record = &state->record;
	uint8_t bytes[RECORD_BYTES];

	if (ret_mirror)
		*ret_mirror = SB_OK;
	if (!ops->esp)
		return SB_FOREIGN;
	/* Beyond the last number the mirror's old copies are too far ahead to count. */
	record->sequence = record->sequence < RECORD_SEQUENCE_MAX ? record->sequence + 1 : 1;
	record_adopt(record, ops->esp);
	record_encode(record, bytes);
	if (mode == STATE_SAVE_LOADER)
		return loader_write(ops, state, bytes);
	for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++)
		state->mirror_current[copy] = false;
	return agent_write(ops, state, false, bytes, ret_mirror);
}

enum sb_error state_mirror(const struct state_ops *ops, struct state *state)
{
	uint8_t bytes[RECORD_BYTES];

	state_compare(ops, state);
	record_encode(&state->record, bytes);
	return mirrors_write(ops, state, bytes);
}

enum sb_error state_repair(const struct state_ops *ops, struct state *state,
			   enum sb_error *ret_mirror)
{
	uint8_t bytes[RECORD_BYTES];

	if (ret_mirror)
		*ret_mirror = SB_OK;
	state_compare(ops, state);
	record_encode(&state->record, bytes);
	return agent_write(ops, state, state->source == STATE_VARIABLE_COPY, bytes, ret_mirror);
}
