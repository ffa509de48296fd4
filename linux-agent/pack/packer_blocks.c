/* SPDX-License-Identifier: MIT */
#include "packer.h"

#include "packer_frame.h"
#include "io.h"
#include "pool.h"

#include <string.h>
#include <zdict.h>
#include <zstd.h>

enum {
	DICTIONARY_MAX = 112640,	/* what zstd --train makes by default */
	DICTIONARY_SHARE = 100,		/* it must save more than its own transfer costs */
	SAMPLES_MAX = 4096,		/* 16 MiB of blocks to train on */
	SAMPLES_MIN = 16,
	BLOCKS_LEVEL = 19,
};

struct blocks {
	const struct packer *packer;
	FILE *out;
	ZSTD_CDict *cdict;
	const ZSTD_DDict *ddict;
	struct blockindex *index;
};

/* The frames of one chunk's blocks. */
struct blocks_slot {
	uint8_t *chunk;
	struct packer_buffer frames;
	uint16_t *lengths;
	uint64_t *ids;
};

static void slot_clear(void *data)
{
	struct blocks_slot *slot = data;

	free(slot->chunk);
	free(slot->lengths);
	free(slot->ids);
	packer_buffer_clear(&slot->frames);
}

static void cctx_freep(ZSTD_CCtx **ctx)
{
	(void)ZSTD_freeCCtx(*ctx);
}

static void dctx_freep(ZSTD_DCtx **ctx)
{
	(void)ZSTD_freeDCtx(*ctx);
}

static void cdict_freep(ZSTD_CDict **dict)
{
	(void)ZSTD_freeCDict(*dict);
}

static void ddict_freep(ZSTD_DDict **dict)
{
	(void)ZSTD_freeDDict(*dict);
}

static int slot_start(struct blocks_slot *slot, unsigned chunk_log, struct err *err)
{
	size_t bytes = (size_t)1 << chunk_log, count = bytes >> BLOCK_LOG;

	slot->frames.len = 0;
	if (slot->chunk)
		return 0;
	slot->chunk = malloc(bytes);
	slot->lengths = calloc(count, sizeof *slot->lengths);
	slot->ids = calloc(count, sizeof *slot->ids);
	return slot->chunk && slot->lengths && slot->ids ? 0 : packer_no_memory(err);
}

static int block_frame(const struct blocks *b, ZSTD_CCtx *cctx, ZSTD_DCtx *dctx,
		       const uint8_t *block, size_t len, struct packer_buffer *frames,
		       uint16_t *ret_length, struct err *err)
{
	uint8_t again[BLOCK_BYTES], *frame;
	size_t n;

	if (packer_buffer_grow(frames, ZSTD_compressBound(len), err) < 0)
		return -1;
	frame = frames->data + frames->len;
	(void)ZSTD_CCtx_reset(cctx, ZSTD_reset_session_only);
	n = ZSTD_compress2(cctx, frame, frames->cap - frames->len, block, len);
	if (ZSTD_isError(n))
		return err_set(err, EX_SOFTWARE, "failed to compress: %s", ZSTD_getErrorName(n));
	if (ZSTD_decompress_usingDDict(dctx, again, sizeof again, frame, n, b->ddict) != len ||
	    memcmp(again, block, len) != 0)
		return err_set(err, EX_SOFTWARE, "failed to compress: a frame decodes to other "
			       "bytes");
	frames->len += n;
	*ret_length = (uint16_t)n;
	return 0;
}

static bool block_repeats(const struct blocks_slot *slot, uint32_t k, uint32_t len)
{
	const uint8_t *block = slot->chunk + (size_t)k * BLOCK_BYTES;

	return k > 0 && len == BLOCK_BYTES && memcmp(block, block - BLOCK_BYTES, len) == 0;
}

/* If block k equals the one before it (mostly zeros), so does its frame: skip the work. */
static int block_repeat(struct blocks_slot *slot, uint32_t k, struct err *err)
{
	struct packer_buffer *frames = &slot->frames;
	uint16_t length = slot->lengths[k - 1];

	if (packer_buffer_grow(frames, length, err) < 0)
		return -1;
	memcpy(frames->data + frames->len, frames->data + frames->len - length, length);
	frames->len += length;
	slot->lengths[k] = length;
	slot->ids[k] = slot->ids[k - 1];
	return 0;
}

static int chunk_work(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct blocks *b = ctx;
	struct blocks_slot *slot = data;
	_cleanup_(cctx_freep) ZSTD_CCtx *cctx = ZSTD_createCCtx();
	_cleanup_(dctx_freep) ZSTD_DCtx *dctx = ZSTD_createDCtx();
	uint32_t len = chunkindex_length(&b->packer->index, (uint32_t)i);

	if (!cctx || !dctx)
		return packer_no_memory(err);
	if (slot_start(slot, b->packer->chunk_log, err) < 0 ||
	    packer_chunk_read(b->packer, i, slot->chunk, err) < 0)
		return -1;
	(void)ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, BLOCKS_LEVEL);
	(void)ZSTD_CCtx_setParameter(cctx, ZSTD_c_dictIDFlag, 0);
	(void)ZSTD_CCtx_refCDict(cctx, b->cdict);
	for (uint32_t at = 0, k = 0; at < len; at += BLOCK_BYTES, k++) {
		uint32_t n = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;

		if (block_repeats(slot, k, n)) {
			if (block_repeat(slot, k, err) < 0)
				return -1;
			continue;
		}
		slot->ids[k] = blockindex_id(slot->chunk + at, n, b->index->id_bytes);
		if (block_frame(b, cctx, dctx, slot->chunk + at, n, &slot->frames,
				&slot->lengths[k], err) < 0)
			return -1;
	}
	return 0;
}

static int chunk_emit(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct blocks *b = ctx;
	struct blocks_slot *slot = data;
	uint64_t first = i << (b->packer->chunk_log - BLOCK_LOG);
	uint64_t count = chunkindex_parts(chunkindex_length(&b->packer->index, (uint32_t)i),
					  BLOCK_LOG);

	for (uint64_t k = 0; k < count; k++) {
		b->index->ids[first + k] = slot->ids[k];
		b->index->lengths[first + k] = slot->lengths[k];
	}
	packer_progress(b->packer, i + 1);
	return packer_write(b->out, slot->frames.data, slot->frames.len, err);
}

/* Enough bytes that an accidental match of a new and an old block occurs in one payload
 * of 256; each such match costs a chunk fetched twice. */
static unsigned id_bytes_for(uint64_t blocks)
{
	unsigned bits = 0;

	while (blocks >> bits)
		bits++;
	return (2 * bits + 8 + 7) / 8 < 4 ? 4 : (2 * bits + 8 + 7) / 8;
}

/* Blocks at equal distances, all of them if they are few. */
static int samples_read(const struct packer *p, uint8_t **ret_samples, size_t *ret_count,
			struct err *err)
{
	uint64_t blocks = p->size >> BLOCK_LOG;
	size_t count = blocks < SAMPLES_MAX ? (size_t)blocks : SAMPLES_MAX;
	_cleanup_free_ uint8_t *samples = malloc(count * BLOCK_BYTES + 1);

	if (!samples)
		return packer_no_memory(err);
	for (size_t i = 0; i < count; i++)
		if (packer_read(p, (i * blocks / count) << BLOCK_LOG, samples + i * BLOCK_BYTES,
				BLOCK_BYTES, err) < 0)
			return -1;
	*ret_samples = samples;
	*ret_count = count;
	samples = NULL;
	return 0;
}

/* With too few samples, or identical ones, there is no dictionary; zstd says so by an
 * error. */
static int dictionary_train(const struct packer *p, uint8_t **ret_dictionary, size_t *ret_len,
			    struct err *err)
{
	uint64_t share = p->size / DICTIONARY_SHARE;
	size_t max = share < DICTIONARY_MAX ? (size_t)share : DICTIONARY_MAX;
	_cleanup_free_ uint8_t *samples = NULL, *dictionary = malloc(max + 1);
	_cleanup_free_ size_t *sizes = NULL;
	size_t count = 0, n;

	if (samples_read(p, &samples, &count, err) < 0)
		return -1;
	sizes = calloc(count + 1, sizeof *sizes);
	if (!dictionary || !sizes)
		return packer_no_memory(err);
	for (size_t i = 0; i < count; i++)
		sizes[i] = BLOCK_BYTES;
	n = count < SAMPLES_MIN ? 0 : ZDICT_trainFromBuffer(dictionary, max, samples, sizes,
							   (unsigned)count);
	*ret_dictionary = NULL;
	*ret_len = 0;
	if (n > 0 && !ZDICT_isError(n)) {
		*ret_dictionary = dictionary;
		*ret_len = n;
		dictionary = NULL;
	}
	return 0;
}

bool packer_blocks_fit(const struct packer *packer)
{
	uint64_t blocks = chunkindex_parts(packer->size, BLOCK_LOG);

	return blocks > 1 && blocks <= BLOCKS_MAX;
}

int packer_blocks(const struct packer *packer, FILE *out, struct blockindex *ret_index,
		  uint8_t **ret_dictionary, size_t *ret_dictionary_len, struct err *err)
{
	_cleanup_(blockindex_clear) struct blockindex index = { 0 };
	_cleanup_free_ uint8_t *dictionary = NULL;
	_cleanup_(cdict_freep) ZSTD_CDict *cdict = NULL;
	_cleanup_(ddict_freep) ZSTD_DDict *ddict = NULL;
	struct blocks blocks = { .packer = packer, .out = out, .index = &index };
	const struct pool_job job = {
		.parts = packer->index.count,
		.threads = packer->threads,
		.slot_bytes = sizeof(struct blocks_slot),
		.work = chunk_work, .emit = chunk_emit, .slot_clear = slot_clear,
	};
	uint64_t count = chunkindex_parts(packer->size, BLOCK_LOG);
	size_t dictionary_len = 0;

	packer_step(packer, "4 KiB blocks");
	if (blockindex_make(id_bytes_for(count), (uint32_t)count, &index, err) < 0 ||
	    dictionary_train(packer, &dictionary, &dictionary_len, err) < 0)
		return -1;
	cdict = blocks.cdict = ZSTD_createCDict(dictionary, dictionary_len, BLOCKS_LEVEL);
	blocks.ddict = ddict = ZSTD_createDDict(dictionary, dictionary_len);
	if (!cdict || !ddict)
		return packer_no_memory(err);
	if (pool_in_order(&job, &blocks, err) < 0)
		return -1;
	blockindex_sum(&index);
	*ret_index = index;
	*ret_dictionary = dictionary;
	*ret_dictionary_len = dictionary_len;
	index = (struct blockindex){ 0 };
	dictionary = NULL;
	return 0;
}
