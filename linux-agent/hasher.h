/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 on a thread of its own, over pieces of memory in the order in which they are
 * put: who copies the bytes goes on with the next while one is hashed. A few pieces
 * wait at most; with more, putting waits.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Part of a mapping (mmap(2)); the whole of that is unmapped when it is done with. */
struct hasher_piece {
	uint8_t *map;
	size_t map_len, begin, len;
};

struct hasher;

/* 0, or -1 with errno. */
int hasher_open(struct hasher **ret_hasher);
/* Takes over the mapping. */
void hasher_put(struct hasher *hasher, const struct hasher_piece *piece);
/* Waits until all is hashed. 0, or -1 with errno. */
int hasher_finish(struct hasher *hasher, uint8_t ret_sha256[32]);
/* Also of one that is not finished; NULL is fine. */
void hasher_close(struct hasher *hasher);
void hasher_closep(struct hasher **hasher);
