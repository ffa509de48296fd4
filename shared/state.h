/* SPDX-License-Identifier: MIT */
/*
 * Where the slot record lives: the EFI variable SlotState is the primary, two
 * copies in \EFI\slotboot\state.bin are the mirror. Storage is reached only through
 * struct state_ops, so that the loader, the agent and a test that cuts the power can
 * each bring their own.
 *
 * Which copy counts, for both programs:
 *
 *   - only one that names the ESP at hand. A record of another disk is neither
 *     believed nor, by the loader, overwritten; without an ESP (a network boot)
 *     nothing is read or written at all;
 *   - of those the highest sequence. So a store that falls back to an older valid
 *     variable undoes no update, and a mirror that the loader had to write counts;
 *   - but a mirror more than STATE_AHEAD_MAX ahead of a valid variable is damage;
 *   - a record may name two ESPs, of mirrored disks. It names one exactly as long as that
 *     one holds what the record says, and each has a mirror of its own;
 *   - what a slot holds (size, digest) is hearsay when only the mirror says so: the
 *     mirror is a file that anybody with the ESP can write. SLOT_FLAG_HEARSAY.
 *
 * docs/DESIGN.md has the reasons, and what each costs.
 */
#pragma once

#include "record.h"

#define STATE_VARIABLE "SlotState"
#define STATE_MIRROR_COPIES 2
#define STATE_SECTOR 512u	/* what is written of a copy: the record, then zeros */
#define STATE_STRIDE 4096u	/* copy N is at byte N * STATE_STRIDE of state.bin */
#define STATE_MIRROR_BYTES (STATE_MIRROR_COPIES * STATE_STRIDE)
#define STATE_AHEAD_MAX ((uint64_t)1 << 32)

struct state_ops {
	void *ctx;
	/* Reads the variable: at most cap bytes, its true length in *ret_len. */
	enum sb_error (*var_read)(void *ctx, uint8_t *buf, size_t cap, size_t *ret_len);
	/* Replaces it; durable on SB_OK. SB_ATTRIBUTES: it is there with others, and can
	 * be neither replaced nor removed; or the firmware takes none as long as this
	 * program runs. The mirror has to do, then. */
	enum sb_error (*var_write)(void *ctx, const uint8_t bytes[RECORD_BYTES]);
	/* Reads or overwrites the first RECORD_BYTES of a mirror copy in place;
	 * never changes the file's size. A write is durable on SB_OK. SB_NOT_FOUND:
	 * there is no state.bin. */
	enum sb_error (*mirror_read)(void *ctx, unsigned copy, uint8_t buf[RECORD_BYTES]);
	enum sb_error (*mirror_write)(void *ctx, unsigned copy,
				      const uint8_t bytes[RECORD_BYTES]);
	/* The ESP's partition GUID, RECORD_GUID_BYTES, valid as long as the ops; NULL:
	 * there is none. */
	const uint8_t *esp;
};

enum state_source {
	STATE_LOST,		/* no copy that counts; record is record_init()'s */
	STATE_VARIABLE_COPY,
	STATE_MIRROR_COPY,
};

struct state {
	struct record record;
	enum state_source source;
	enum sb_error var_error;	/* of reading the variable; SB_OK: it may count */
	enum sb_error mirror_error;	/* SB_OK: a copy that may count */
	bool var_is_foreign;		/* another disk's record, no provisional one */
	bool left_behind;		/* the variable names an ESP that the mirror names, too,
					 * and not this one: what is here is older */
	uint8_t successor[RECORD_GUID_BYTES];	/* ... that ESP */
	bool unmirrored;		/* a variable, and no state.bin, or one with an image that
					 * it does not have: the disk may be newer than the record */
	bool mirror_current[STATE_MIRROR_COPIES];	/* it holds this very record */
	unsigned mirror_newest;		/* index of the newest copy that counts; 0 if none */
};

/* Reads the variable and both copies of the mirror. Always fills *ret_state and
 * never writes. */
void state_load(const struct state_ops *ops, struct state *ret_state);

enum state_save_mode {
	STATE_SAVE_LOADER,	/* the variable, unless it is another disk's. The mirror only
				 * where that is not enough: the variable did not take, or
				 * the record did not come from it. SB_OK only if all that
				 * was needed took */
	STATE_SAVE_AGENT,	/* the agent's, and the loader's before a reset: the variable,
				 * then both copies of the mirror; SB_OK only if the variable took, or a copy of the mirror where the
				 * variable cannot be replaced (SB_ATTRIBUTES) */
};

/* Raises record.sequence by one, makes the record this ESP's, writes, and reads back
 * what it wrote. On SB_OK the record is durable. Otherwise the old one still stands in
 * every copy that could not be written, and record.sequence has grown all the same.
 * Without an ESP: SB_FOREIGN, nothing is written. In agent mode *ret_mirror (may be
 * NULL) says how the mirror fared, and source where the record now is. */
enum sb_error state_save(const struct state_ops *ops, enum state_save_mode mode,
			 struct state *state, enum sb_error *ret_mirror);

/* Sets mirror_current of each copy: it holds the record, byte for byte. */
void state_compare(const struct state_ops *ops, struct state *state);

/* The agent's, of the mirror alone: the record as it stands to the copies that do not hold it;
 * that of mirror_newest last, so that one is whole at any time. The first error ends it. */
enum sb_error state_mirror(const struct state_ops *ops, struct state *state);

/* The agent's: writes the record as it stands to the copies that do not hold it, and
 * to no other. Results as of state_save(). */
enum sb_error state_repair(const struct state_ops *ops, struct state *state,
			   enum sb_error *ret_mirror);
