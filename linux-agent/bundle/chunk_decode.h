/* SPDX-License-Identifier: MIT */
/*
 * One worker's tools: zstd frames to chunks, and their SHA-256. Frames come from
 * nobody: each is what FORMAT.md says before libzstd decodes it, what it yields is exactly
 * as long as asked for or nothing, and memory is bounded by that length, not by what a
 * frame says. Not for two threads at once.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunk_decode;
struct chunk;
struct chunkdict;

/* NULL: out of memory. */
struct chunk_decode *chunk_decode_new(void);
void chunk_decode_free(struct chunk_decode *code);	/* NULL is accepted */

/* A dictionary of frames, for every worker; any bytes. EX_DATAERR, with its
 * name: zstd's magic is there and no dictionary behind it. chunkdict_free() frees it. */
int chunkdict_new(const char *name, const void *data, size_t len, struct chunkdict **ret_dict,
		  struct err *err);
void chunkdict_free(struct chunkdict *dict);	/* NULL is accepted */

/* Is it one frame of RFC 8878 and nothing else, which says that it holds len bytes, and
 * has neither a checksum nor a dictionary id? */
bool chunk_decode_frame_is(const void *frame, size_t frame_len, size_t len);

/* One such frame that must yield exactly len bytes; dict may be NULL. */
bool chunk_decode(struct chunk_decode *code, const void *frame, size_t frame_len, void *out,
		  size_t len);
bool chunk_decode_dict(struct chunk_decode *code, const struct chunkdict *dict,
		       const void *frame, size_t frame_len, void *out, size_t len);
/* A frame for each block of BLOCK_BYTES of these len bytes, one behind the other. */
bool chunk_decode_blocks(struct chunk_decode *code, const struct chunkdict *dict,
			 const void *frames, size_t frames_len, void *out, size_t len);
/* What a chunk has in the entry of frames, chunk->frame bytes: one frame, or one for each block. */
bool chunk_decode_chunk(struct chunk_decode *code, const struct chunkdict *dict,
			const struct chunk *chunk, const void *frames, void *out, size_t len);
bool chunk_decode_prefix(struct chunk_decode *code, const void *prefix, size_t prefix_len,
			 const void *frame, size_t frame_len, void *out, size_t len);

bool chunk_decode_is(struct chunk_decode *code, const void *data, size_t len, const uint8_t sha256[32]);

/* "FILE: chunk I is damaged or altered: ...": EX_DATAERR, -1. */
int chunk_decode_damaged(const char *file, uint32_t chunk, struct err *err);
