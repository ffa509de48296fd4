/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 on a thread of its own, over pieces in the order in which they are put: who
 * brings the bytes goes on with the next piece while one is hashed. A few wait at most;
 * with more, hasher_buffer() waits.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { HASHER_PIECE = 256 * 1024 };

struct hasher;

/* 0, or -1 with errno. */
int hasher_open(struct hasher **ret_hasher);
/* Room for the next piece, of HASHER_PIECE bytes; the hasher's own. */
uint8_t *hasher_buffer(struct hasher *hasher);
/* Its first len bytes are there; they stay as they are from now on. */
void hasher_put(struct hasher *hasher, size_t len);
/* Waits until all is hashed. 0, or -1 with errno. */
int hasher_finish(struct hasher *hasher, uint8_t ret_sha256[32]);
/* Also of one that is not finished; NULL is fine. */
void hasher_close(struct hasher *hasher);
void hasher_closep(struct hasher **hasher);
