/* SPDX-License-Identifier: MIT */
/*
 * Where the slot record lives: the EFI variable SlotState is the primary, two
 * 512-byte copies in \EFI\slotboot\state.bin are the mirror. The valid copy
 * with the highest sequence wins. Storage is reached only through struct
 * state_ops, so that the loader, the agent and a test that cuts the power can
 * each bring their own.
 *
 * Why the variable is written first: the loader's steady boot reads nothing
 * else, so no moment may exist at which the mirror knows more than a variable
 * that could be written.
 */
#pragma once

#include "record.h"

#define STATE_VARIABLE "SlotState"
#define STATE_MIRROR_COPIES 2
#define STATE_SECTOR 512u	/* copy N is at byte N * STATE_SECTOR of state.bin */
#define STATE_MIRROR_BYTES (STATE_MIRROR_COPIES * STATE_SECTOR)

struct state_ops {
	void *ctx;
	/* Reads the variable: at most cap bytes, its true length in *ret_len. */
	enum sb_error (*var_read)(void *ctx, uint8_t *buf, size_t cap, size_t *ret_len);
	/* Replaces it; durable on SB_OK. */
	enum sb_error (*var_write)(void *ctx, const uint8_t bytes[RECORD_BYTES]);
	/* Reads or overwrites the first RECORD_BYTES of a mirror copy in place;
	 * never changes the file's size. A write is durable on SB_OK. */
	enum sb_error (*mirror_read)(void *ctx, unsigned copy, uint8_t buf[RECORD_BYTES]);
	enum sb_error (*mirror_write)(void *ctx, unsigned copy,
				      const uint8_t bytes[RECORD_BYTES]);
};

enum state_source {
	STATE_LOST,		/* no valid copy anywhere; record is record_init()'s */
	STATE_VARIABLE_COPY,
	STATE_MIRROR_COPY,
};

struct state {
	struct record record;
	enum state_source source;
	enum sb_error var_error;	/* of reading the variable; SB_OK: valid */
	enum sb_error mirror_error;	/* SB_OK: a valid copy, or not looked at */
	bool mirror_behind;		/* it holds an older record than the variable */
	unsigned mirror_newest;		/* index of the newest valid copy; 0 if none */
};

/* Reads the variable; then the mirror, if whole is set (the agent) or the
 * variable is missing, invalid or does not say that the preferred slot is good
 * (the loader). Always fills *ret_state and never writes. */
void state_load(const struct state_ops *ops, bool whole, struct state *ret_state);

enum state_save_mode {
	STATE_SAVE_LOADER,	/* the mirror only if the variable was not valid, or
				 * does not take; SB_OK only if the mirror took then */
	STATE_SAVE_AGENT,	/* both; SB_OK only if the variable took */
};

/* Raises record.sequence by one, writes, and reads back what it wrote. On SB_OK
 * the record is durable. Otherwise the old one still stands in every copy that
 * could not be written, and record.sequence has grown all the same. In agent
 * mode *ret_mirror (may be NULL) says how the mirror fared, which does not
 * count against success. */
enum sb_error state_save(const struct state_ops *ops, enum state_save_mode mode,
			 struct state *state, enum sb_error *ret_mirror);
