/* SPDX-License-Identifier: MIT */
#include "state.h"

#include "bytes.h"

static enum sb_error var_load(const struct state_ops *ops, struct record *ret_record)
{
	uint8_t bytes[RECORD_BYTES];
	size_t len = 0;
	enum sb_error error = ops->var_read(ops->ctx, bytes, sizeof bytes, &len);

	if (error != SB_OK)
		return error;
	if (len > sizeof bytes)
		return SB_LONG;
	return record_decode(bytes, len, ret_record);
}

/* The newest valid copy; the first copy's error when none is valid. */
static enum sb_error mirror_load(const struct state_ops *ops, struct record *ret_record,
				 unsigned *ret_newest)
{
	enum sb_error first_error = SB_OK;
	bool found = false;

	for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++) {
		uint8_t bytes[RECORD_BYTES];
		struct record r;
		enum sb_error error = ops->mirror_read(ops->ctx, copy, bytes);

		if (error == SB_OK)
			error = record_decode(bytes, sizeof bytes, &r);
		if (error != SB_OK) {
			if (first_error == SB_OK)
				first_error = error;
			continue;
		}
		if (!found || r.sequence > ret_record->sequence) {
			*ret_record = r;
			*ret_newest = copy;
		}
		found = true;
	}
	return found ? SB_OK : first_error;
}

void state_load(const struct state_ops *ops, bool whole, struct state *ret_state)
{
	struct state s = { .source = STATE_LOST };
	struct record mirror;
	bool steady;

	record_init(&s.record);
	s.var_error = var_load(ops, &s.record);
	if (s.var_error == SB_OK)
		s.source = STATE_VARIABLE_COPY;
	/* Under good-limit every boot is counted, if need be in the mirror. */
	steady = s.source == STATE_VARIABLE_COPY && s.record.good_limit == 0 &&
		 s.record.slots[s.record.preferred].status == SLOT_GOOD;
	if (steady && !whole) {
		*ret_state = s;
		return;
	}
	s.mirror_error = mirror_load(ops, &mirror, &s.mirror_newest);
	if (s.mirror_error == SB_OK &&
	    (s.source == STATE_LOST || mirror.sequence > s.record.sequence)) {
		s.record = mirror;
		s.source = STATE_MIRROR_COPY;
	}
	s.mirror_behind = s.mirror_error == SB_OK && mirror.sequence < s.record.sequence;
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
				 const uint8_t bytes[RECORD_BYTES])
{
	unsigned copy = (state->mirror_newest + 1) % STATE_MIRROR_COPIES;
	uint8_t back[RECORD_BYTES];
	enum sb_error error = ops->mirror_write(ops->ctx, copy, bytes);

	if (error == SB_OK)
		error = ops->mirror_read(ops->ctx, copy, back);
	if (error != SB_OK)
		return error;
	if (!bytes_equal(bytes, back, RECORD_BYTES))
		return SB_READBACK;
	state->mirror_newest = copy;
	return SB_OK;
}

/* A variable that was not there, or not valid, may be lost again with the power: a
 * store that forgets takes writes and reads them back. The mirror must know too. */
static enum sb_error loader_save(const struct state_ops *ops, struct state *state,
				 const uint8_t bytes[RECORD_BYTES])
{
	enum sb_error error = var_save(ops, bytes);
	struct record newest;

	if (error == SB_OK && state->var_error == SB_OK)
		return SB_OK;
	/* The steady boot has not looked: the newest copy must stay. */
	(void)mirror_load(ops, &newest, &state->mirror_newest);
	return mirror_save(ops, state, bytes);
}

enum sb_error state_save(const struct state_ops *ops, enum state_save_mode mode,
			 struct state *state, enum sb_error *ret_mirror)
{
	uint8_t bytes[RECORD_BYTES];
	enum sb_error error, mirror = SB_OK;

	state->record.sequence++;
	record_encode(&state->record, bytes);
	if (mode == STATE_SAVE_LOADER)
		return loader_save(ops, state, bytes);
	error = var_save(ops, bytes);
	if (error == SB_OK)
		mirror = mirror_save(ops, state, bytes);
	if (ret_mirror)
		*ret_mirror = mirror;
	return error;
}
