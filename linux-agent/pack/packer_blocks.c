/* SPDX-License-Identifier: MIT */
/* Frames of single blocks, and the dictionary that they share. */
#include "packer_frame.h"

#include "io.h"

#include <string.h>
#define ZDICT_STATIC_LINKING_ONLY	/* for ZDICT_trainFromBuffer_fastCover(), which the shared one has, too */
#include <zdict.h>
#include <zstd.h>

enum {
	DICTIONARY_MAX = 112640,	/* what zstd --train makes by default */
	DICTIONARY_SHARE = 100,		/* it must save more than its own transfer costs */
	SAMPLES_MAX = 4096,		/* 16 MiB of blocks to train on */
	SAMPLES_MIN = 16,
	SEGMENT = 700,			/* of a sample, that the dictionary takes at once */
};

struct packer_blocks {
	int level;
	ZSTD_CDict *cdict;
	ZSTD_DDict *ddict;
};

static void cctx_freep(ZSTD_CCtx **ctx)
{
	(void)ZSTD_freeCCtx(*ctx);
}

static void dctx_freep(ZSTD_DCtx **ctx)
{
	(void)ZSTD_freeDCtx(*ctx);
}

int packer_blocks_new(const struct packer *packer, struct packer_blocks **ret_blocks, struct err *err)
{
	struct packer_blocks *b = calloc(1, sizeof *b);

	if (!b)
		return packer_no_memory(err);
	b->level = packer->blocks_level;
	b->cdict = ZSTD_createCDict(packer->dictionary, packer->dictionary_len, b->level);
	b->ddict = ZSTD_createDDict(packer->dictionary, packer->dictionary_len);
	if (!b->cdict || !b->ddict) {
		packer_blocks_free(b);
		return packer_no_memory(err);
	}
	*ret_blocks = b;
	return 0;
}

void packer_blocks_free(struct packer_blocks *blocks)
{
	if (!blocks)
		return;
	(void)ZSTD_freeCDict(blocks->cdict);
	(void)ZSTD_freeDDict(blocks->ddict);
	free(blocks);
}

static int block_frame(const struct packer_blocks *b, ZSTD_CCtx *cctx, ZSTD_DCtx *dctx,
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

/* If block k equals the one before it (mostly zeros), so does its frame: skip the work. */
static bool block_repeats(const uint8_t *chunk, size_t at, size_t len)
{
	return at > 0 && len == BLOCK_BYTES && memcmp(chunk + at, chunk + at - BLOCK_BYTES, len) == 0;
}

static int block_repeat(struct packer_buffer *frames, uint16_t length, struct err *err)
{
	if (packer_buffer_grow(frames, length, err) < 0)
		return -1;
	memcpy(frames->data + frames->len, frames->data + frames->len - length, length);
	frames->len += length;
	return 0;
}

int packer_blocks_frames(const struct packer_blocks *blocks, const uint8_t *chunk, size_t len,
			 struct packer_buffer *out, uint16_t *ret_lengths, struct err *err)
{
	_cleanup_(cctx_freep) ZSTD_CCtx *cctx = ZSTD_createCCtx();
	_cleanup_(dctx_freep) ZSTD_DCtx *dctx = ZSTD_createDCtx();

	if (!cctx || !dctx)
		return packer_no_memory(err);
	(void)ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, blocks->level);
	(void)ZSTD_CCtx_setParameter(cctx, ZSTD_c_dictIDFlag, 0);
	(void)ZSTD_CCtx_refCDict(cctx, blocks->cdict);
	for (size_t at = 0, k = 0; at < len; at += BLOCK_BYTES, k++) {
		size_t n = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;
		int r;

		if (block_repeats(chunk, at, n)) {
			ret_lengths[k] = ret_lengths[k - 1];
			r = block_repeat(out, ret_lengths[k], err);
		} else {
			r = block_frame(blocks, cctx, dctx, chunk + at, n, out, &ret_lengths[k], err);
		}
		if (r < 0)
			return -1;
	}
	return 0;
}

/* Enough bytes that an accidental match of a new and an old block occurs in one payload
 * of 256; each such match costs a chunk fetched twice. */
unsigned packer_id_bytes(uint64_t blocks)
{
	unsigned bits = 0;

	while (blocks >> bits)
		bits++;
	return (2 * bits + 8 + 7) / 8 < 4 ? 4 : (2 * bits + 8 + 7) / 8;
}

/* Blocks at equal distances, all of them if they are few; of equal ones in a row (free space) one,
 * since zstd stops where some of its samples teach nothing new. */
static int samples_read(const struct packer *p, uint8_t **ret_samples, size_t *ret_count,
			struct err *err)
{
	uint64_t blocks = p->size >> BLOCK_LOG;
	size_t places = blocks < SAMPLES_MAX ? (size_t)blocks : SAMPLES_MAX, count = 0;
	_cleanup_free_ uint8_t *samples = malloc(places * BLOCK_BYTES + 1);

	if (!samples)
		return packer_no_memory(err);
	for (size_t i = 0; i < places; i++) {
		uint8_t *sample = samples + count * BLOCK_BYTES;

		if (packer_read(p, (i * blocks / places) << BLOCK_LOG, sample, BLOCK_BYTES, err) < 0)
			return -1;
		count += count == 0 || memcmp(sample - BLOCK_BYTES, sample, BLOCK_BYTES) != 0;
	}
	*ret_samples = samples;
	*ret_count = count;
	samples = NULL;
	return 0;
}

/* ZDICT_trainFromBuffer() tries five lengths of a segment, each on three quarters of the samples, and
 * the others with its dictionary: that takes four times as long, and the frames become larger. */
static size_t dictionary_train(void *dictionary, size_t max, const uint8_t *samples, const size_t *sizes,
			       size_t count)
{
	const ZDICT_fastCover_params_t params = {
		.k = max < SEGMENT ? (unsigned)max : SEGMENT,
		.d = 8,			/* as ZDICT_trainFromBuffer() has it */
		.zParams.compressionLevel = ZSTD_CLEVEL_DEFAULT,
	};
	size_t n = count < SAMPLES_MIN ? 0 : ZDICT_trainFromBuffer_fastCover(dictionary, max, samples, sizes,
									    (unsigned)count, params);

	return ZDICT_isError(n) ? 0 : n;
}

/* With too few samples, or identical ones, there is no dictionary; zstd says so by an
 * error. */
int packer_dictionary(struct packer *p, struct err *err)
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
	n = dictionary_train(dictionary, max, samples, sizes, count);
	if (n > 0) {
		p->dictionary = dictionary;
		p->dictionary_len = n;
		dictionary = NULL;
	}
	return 0;
}

bool packer_blocks_fit(const struct packer *packer)
{
	uint64_t blocks = chunkindex_parts(packer->size, BLOCK_LOG);

	return blocks > 1 && blocks <= BLOCKS_MAX;
}
