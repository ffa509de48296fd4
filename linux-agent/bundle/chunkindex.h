/* SPDX-License-Identifier: MIT */
/*
 * The index entries of a bundle: where the parts of a payload are in its data
 * entries, and what they must yield. Little-endian; docs/FORMAT.md has each field.
 *
 *   NAME.index         one row a chunk: SHA-256, and what it has in NAME.img.zst: one
 *                      frame, a frame for each of its 4 KiB blocks, or those of a chunk
 *                      before it that holds the same
 *   NAME.4k.index      one row a block of the chunks that are in blocks: id, length of
 *                      its frame
 *   NAME.from-K.index  one row a chunk: regions of the base, length of its frame in
 *                      NAME.from-K.zst
 *
 * A chunk is the unit of verification, of resume and of writing: chunk i is the
 * payload's bytes from i << chunk_log on; the last one may be shorter. Frames lie one
 * after the other in chunk (and block) order, so that offsets are running sums.
 *
 * The bytes are pinned by the signed manifest (size, SHA-256), which the caller checks
 * before it decodes them; the decoders are total on any bytes nevertheless. They
 * fail with EX_DATAERR; messages name no file, the caller puts it in front.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CHUNK_MIN_LOG = 16,		/* 64 KiB */
	CHUNK_DEFAULT_LOG = 20,		/* 1 MiB */
	CHUNK_MAX_LOG = 23,		/* 8 MiB */
	CHUNKS_MAX = 1 << 20,
	BLOCK_LOG = 12,			/* 4 KiB */
	BLOCK_BYTES = 1 << BLOCK_LOG,
	BLOCKS_MAX = 1 << 22,		/* 16 GiB; larger payloads have no chunk in blocks */
	BASE_MAX_REGIONS = 4,
	BASE_MAX_PREFIX = 8 << 20,	/* all regions of one chunk together */
};

/* How many chunks or blocks of 1 << log bytes a payload has; size at least 1. */
static inline uint64_t chunkindex_parts(uint64_t size, unsigned log)
{
	return ((size - 1) >> log) + 1;
}

/* The longest a frame may be that holds len bytes: zstd's own bound. */
uint64_t chunkindex_frame_max(uint64_t len);

/* The longest that the frames of a chunk of len bytes may be, in blocks or not. */
uint64_t chunkindex_frames_max(uint64_t len);

/* --- NAME.index ------------------------------------------------------------ */

struct chunk {
	uint8_t sha256[32];	/* of its bytes, unpacked */
	uint64_t offset;	/* of its frames in the entry of frames */
	uint32_t frame;		/* length of its frames together, at least 1 */
	bool blocks;		/* a frame for each of its blocks; else one */
	bool repeats;		/* its frames are those of a chunk before it, which holds the same: */
	uint32_t same;		/* that one, which has its own; 0 where it has its own */
};

struct chunkindex {
	unsigned chunk_log;	/* CHUNK_MIN_LOG to CHUNK_MAX_LOG */
	uint32_t count;		/* 1 to CHUNKS_MAX; what size and chunk_log demand */
	uint64_t size;		/* of the payload, at least 1 */
	uint64_t frames_size;	/* of all frames, each once */
	struct chunk *chunks;
};

/* The bytes of chunk i, unpacked; i < count. */
uint32_t chunkindex_length(const struct chunkindex *index, uint32_t i);

/* How many blocks chunk i has; i < count. */
uint32_t chunkindex_blocks(const struct chunkindex *index, uint32_t i);

/* Whether the block index has rows for chunk i: it is in blocks, and they are its own. */
bool chunkindex_has_rows(const struct chunkindex *index, uint32_t i);

/* offset and frames_size are not looked at. The caller frees. */
int chunkindex_encode(const struct chunkindex *index, uint8_t **ret_data, size_t *ret_len,
		      struct err *err);
/* payload_size is what the manifest says. The caller clears. */
int chunkindex_decode(const uint8_t *data, size_t len, uint64_t payload_size,
		      struct chunkindex *ret_index, struct err *err);
void chunkindex_clear(struct chunkindex *index);

/* --- NAME.4k.index --------------------------------------------------------- */

/* An id is XXH64 (seed 0) of the block's bytes, cut to its lowest id_bytes bytes: a
 * hint for finding the block on a machine, never a proof (the chunk's SHA-256 is). Here are all
 * blocks of the payload: those of a chunk in one frame have id and length 0, those of a chunk
 * with the frames of another have what that one's have. */
struct blockindex {
	unsigned id_bytes;	/* 4 to 8 */
	uint32_t count;		/* of the payload: 1 to BLOCKS_MAX */
	uint64_t *ids;
	uint16_t *lengths;	/* of the frames */
};

/* ids and lengths for count blocks, all 0. The caller clears. */
int blockindex_make(unsigned id_bytes, uint32_t count, struct blockindex *ret_index,
		    struct err *err);

/* The id of a block's len bytes (BLOCK_BYTES, except for the last one). */
uint64_t blockindex_id(const void *block, size_t len, unsigned id_bytes);

/* The rows of the chunks that have them. The caller frees. */
int blockindex_encode(const struct blockindex *index, const struct chunkindex *chunks,
		      uint8_t **ret_data, size_t *ret_len, struct err *err);
/* Checked against the payload's chunks. The caller clears. */
int blockindex_decode(const uint8_t *data, size_t len, const struct chunkindex *chunks,
		      struct blockindex *ret_index, struct err *err);
void blockindex_clear(struct blockindex *index);

/* --- NAME.from-K.index ----------------------------------------------------- */

struct base_region {
	uint64_t offset;	/* in the base; the region lies within it */
	uint32_t length;	/* at least 1 */
};

/* The frame is decoded with the regions, one behind the other, as raw prefix. No frame:
 * the regions, one behind the other, are the chunk. */
struct base_chunk {
	uint64_t offset;	/* of its frame in the BASE entry; a running sum */
	uint32_t frame;		/* its length; 0: none, and the regions are as long as the chunk */
	uint32_t region_count;	/* at most BASE_MAX_REGIONS; 0: the frame stands alone */
	struct base_region regions[BASE_MAX_REGIONS];
};

struct baseindex {
	uint32_t count;		/* as in NAME.index */
	uint64_t base_size;	/* bytes, at least 1 */
	uint8_t base_sha256[32];
	uint64_t frames_size;
	struct base_chunk *chunks;
};

/* offset and frames_size are not looked at. The caller frees. */
int baseindex_encode(const struct baseindex *index, uint8_t **ret_data, size_t *ret_len,
		     struct err *err);
/* Checked against the payload's chunks. The caller clears. */
int baseindex_decode(const uint8_t *data, size_t len, const struct chunkindex *chunks,
		     struct baseindex *ret_index, struct err *err);
void baseindex_clear(struct baseindex *index);
