/* SPDX-License-Identifier: MIT */
/*
 * Frames into bytes, by a process without rights (cage.h) for each who unpacks: frames
 * are nobody's word, and libzstd sees them there alone. It shares the memory that frames are
 * read into; what they yield is copied out of it once, and only then is it hashed.
 *
 * Without a sandbox it is chunk_decode.h, in this process.
 */
#pragma once

#include "cage.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunkdict;
struct unpack;
struct unpackers;

struct unpack_options {
	enum sandbox sandbox;
	size_t frames, prefix, out;	/* room for each, in bytes */
	const volatile int *cancel;	/* looked at while it is waited for; may be NULL */
	const struct chunkdict *dict;	/* what unpack_run() will be given; may be NULL */
	struct unpackers *idle;		/* processes that were used before; may be NULL */
};

/* Processes that nobody uses, of one install: to start one costs milliseconds. Not for two
 * threads at once. NULL: out of memory. */
struct unpackers *unpackers_new(void);
void unpackers_free(struct unpackers *idle);	/* NULL is accepted */

/* One frame, or those of a chunk in blocks, and where its bytes go. */
struct unpack_part {
	uint32_t frame, frame_len;	/* in unpack_frames() */
	uint32_t at, len;		/* in out; so many it must yield */
	bool blocks;			/* not one frame: one for each block of 4 KiB */
};

#define UNPACK_PARTS_MAX 64
#define UNPACK_NO_PREFIX UINT32_MAX

/* Fork before there are threads; dictionaries are made before. What SANDBOX_AUTO cannot have of
 * the cage is in lack, "" if nothing. EX_CONFIG: with SANDBOX_REQUIRE; EX_SOFTWARE. The
 * caller closes. */
int unpack_open(const struct unpack_options *options, struct unpack **ret_unpack,
		char lack[static CAGE_LACK_BYTES], struct err *err);
void unpack_close(struct unpack *unpack);	/* into options->idle; NULL is accepted */

/* Where frames and the prefix are put; whole pages; NULL where there is no room. */
uint8_t *unpack_frames(struct unpack *unpack);
uint8_t *unpack_prefix(struct unpack *unpack);

/* At most UNPACK_PARTS_MAX. dict may be NULL, and is not looked at with a prefix; prefix_len or
 * UNPACK_NO_PREFIX: for a part alone, in one frame. false: a
 * frame is not what the format has, or yields something else; or unpack_check() fails. */
bool unpack_run(struct unpack *unpack, const struct chunkdict *dict, uint32_t prefix_len,
		const struct unpack_part *parts, size_t count, uint8_t *out);

/* EX_SOFTWARE: the process ended, hung or spoke nonsense; EX_TEMPFAIL: cancelled. */
int unpack_check(const struct unpack *unpack, struct err *err);
