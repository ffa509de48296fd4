/* SPDX-License-Identifier: MIT */
/* What is said between unpack.c and unpack_child.c; no one else includes it but tests. */
#pragma once

#include "child.h"
#include "unpack.h"

struct unpack {
	struct unpack_options options;
	struct chunk_decode *here;	/* SANDBOX_NO, and in the process itself */
	struct child child;
	uint8_t *memory, *frames, *prefix, *out;
	struct err why;			/* nothing more is asked of the process */
	struct unpack *next;		/* in struct unpackers */
};

/* What the process is asked; its answers are one byte, 0 or 1. */
struct unpack_ask {
	const struct chunkdict *dict;	/* was there before the fork */
	uint32_t prefix_len, count;
	struct unpack_part parts[UNPACK_PARTS_MAX];
};

/* The process; unpack is its copy of struct unpack. */
void unpack_child(void *unpack, int channel, uint8_t *area);

/* Where frames, prefix and out are in memory. */
void unpack_place(struct unpack *unpack, uint8_t *memory);

/* By unpack->here. */
bool unpack_parts(struct unpack *unpack, const struct unpack_ask *ask, uint8_t *out);
