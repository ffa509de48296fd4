/* SPDX-License-Identifier: MIT */
#include "packer.h"

#include "blockmatch.h"
#include "digest.h"
#include "packer_frame.h"
#include "io.h"
#include "pool.h"

#include <string.h>

enum {
	BASE_LEVEL = 12,	/* a tenth smaller than 3; 19 saves 3 % more at 7 times the work */
	PREFIX_BYTES = 4 << 20,
	READ_LOG = 20,		/* pieces the base is hashed in */
	READ_BLOCKS = 1 << (READ_LOG - BLOCK_LOG),
};

/* Where a chunk's bytes are in the base. */
struct place {
	bool known;
	int64_t distance;	/* in blocks, see blockmatch.h */
};

struct based {
	const struct packer *packer;
	struct packer *base;
	FILE *out;
	EVP_MD_CTX *whole;	/* of the base */
	uint64_t *base_ids;
	struct blockmatch *match;
	struct place *places;	/* by chunk */
	struct baseindex *index;
};

struct based_slot {
	uint8_t *chunk, *prefix;
	uint64_t *ids;
	struct packer_buffer frame;
	struct base_chunk row;
	struct place place;
};

static void based_clear(struct based *b)
{
	EVP_MD_CTX_free(b->whole);
	blockmatch_free(b->match);
	free(b->base_ids);
	free(b->places);
}

static void slot_clear(void *data)
{
	struct based_slot *slot = data;

	free(slot->chunk);
	free(slot->prefix);
	free(slot->ids);
	packer_buffer_clear(&slot->frame);
}

static int slot_start(struct based_slot *slot, unsigned log, size_t prefix, struct err *err)
{
	if (!slot->chunk)
		slot->chunk = malloc((size_t)1 << log);
	if (!slot->ids)
		slot->ids = calloc((size_t)1 << (log - BLOCK_LOG), sizeof *slot->ids);
	if (!slot->prefix && prefix > 0)
		slot->prefix = malloc(prefix);
	slot->frame.len = 0;
	slot->row = (struct base_chunk){ 0 };
	return slot->chunk && slot->ids && (slot->prefix || prefix == 0)
		? 0 : packer_no_memory(err);
}

static uint32_t ids_make(const uint8_t *data, size_t len, uint64_t *ids)
{
	uint32_t count = 0;

	for (size_t at = 0; at < len; at += BLOCK_BYTES)
		ids[count++] = blockindex_id(data + at,
					     len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES, 8);
	return count;
}

/* --- the base: its blocks' ids, and its SHA-256 --- */

static size_t piece_length(const struct packer *base, uint64_t i)
{
	uint64_t left = base->size - (i << READ_LOG);

	return left >> READ_LOG ? (size_t)1 << READ_LOG : (size_t)left;
}

static int piece_work(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct based *b = ctx;
	struct based_slot *slot = data;
	size_t len = piece_length(b->base, i);

	if (slot_start(slot, READ_LOG, 0, err) < 0 ||
	    packer_read(b->base, i << READ_LOG, slot->chunk, len, err) < 0)
		return -1;
	(void)ids_make(slot->chunk, len, slot->ids);
	return 0;
}

static int piece_emit(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct based *b = ctx;
	struct based_slot *slot = data;
	size_t len = piece_length(b->base, i);

	memcpy(b->base_ids + i * READ_BLOCKS, slot->ids,
	       chunkindex_parts(len, BLOCK_LOG) * sizeof *slot->ids);
	return EVP_DigestUpdate(b->whole, slot->chunk, len) == 1 ? 0 : packer_no_memory(err);
}

static int base_read(struct based *b, struct err *err)
{
	uint64_t blocks = chunkindex_parts(b->base->size, BLOCK_LOG);
	const struct pool_job job = {
		.parts = chunkindex_parts(b->base->size, READ_LOG),
		.threads = b->packer->threads,
		.slot_bytes = sizeof(struct based_slot),
		.work = piece_work, .emit = piece_emit, .slot_clear = slot_clear,
	};

	if (blocks > UINT32_MAX)
		return err_set(err, EX_DATAERR, "the base %s is too large", b->base->path);
	b->base_ids = calloc(blocks, sizeof *b->base_ids);
	b->whole = EVP_MD_CTX_new();
	if (!b->base_ids || !b->whole ||
	    EVP_DigestInit_ex(b->whole, EVP_sha256(), NULL) != 1)
		return packer_no_memory(err);
	if (pool_in_order(&job, b, err) < 0)
		return -1;
	if (EVP_DigestFinal_ex(b->whole, b->base->sha256, NULL) != 1)
		return packer_no_memory(err);
	return blockmatch_make(b->base_ids, (uint32_t)blocks, &b->match, err);
}

/* --- where each chunk is in the base --- */

static int place_work(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct based *b = ctx;
	struct based_slot *slot = data;
	const struct packer *p = b->packer;
	uint32_t count;

	if (slot_start(slot, p->chunk_log, 0, err) < 0 ||
	    packer_chunk_read(p, i, slot->chunk, err) < 0)
		return -1;
	count = ids_make(slot->chunk, chunkindex_length(&p->index, (uint32_t)i), slot->ids);
	slot->place = (struct place){ 0 };
	slot->place.known = blockmatch_distance(b->match, slot->ids, count,
						i << (p->chunk_log - BLOCK_LOG),
						&slot->place.distance);
	return 0;
}

static int place_emit(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct based *b = ctx;
	struct based_slot *slot = data;

	(void)err;
	b->places[i] = slot->place;
	return 0;
}

static int places_find(struct based *b, struct err *err)
{
	const struct pool_job job = {
		.parts = b->packer->index.count,
		.threads = b->packer->threads,
		.slot_bytes = sizeof(struct based_slot),
		.work = place_work, .emit = place_emit, .slot_clear = slot_clear,
	};

	b->places = calloc(job.parts, sizeof *b->places);
	if (!b->places)
		return packer_no_memory(err);
	return pool_in_order(&job, b, err);
}

/* The distances between which chunk i lies: its own, or those of the nearest chunks on
 * either side of it that have one. */
static void distances_around(const struct based *b, uint64_t i, int64_t *ret_low,
			     int64_t *ret_high)
{
	uint64_t before = i, after = i, last = b->packer->index.count - 1;
	int64_t x, y;

	while (before > 0 && !b->places[before].known)
		before--;
	while (after < last && !b->places[after].known)
		after++;
	if (!b->places[before].known)
		before = after;
	if (!b->places[after].known)
		after = before;
	x = b->places[before].distance;
	y = b->places[after].distance;
	*ret_low = x < y ? x : y;
	*ret_high = x < y ? y : x;
}

/* --- the frames --- */

/* The stretch of the base around where the chunk should be, of PREFIX_BYTES if the base
 * has that many. */
static struct base_region region_around(const struct based *b, uint64_t i)
{
	int64_t low, high, from, size = (int64_t)b->base->size;
	int64_t start = (int64_t)(i << b->packer->chunk_log);
	int64_t length = size < PREFIX_BYTES ? size : PREFIX_BYTES;

	distances_around(b, i, &low, &high);
	from = start + (low + high) / 2 * BLOCK_BYTES +
	       ((int64_t)chunkindex_length(&b->packer->index, (uint32_t)i) - length) / 2;
	if (from > size - length)
		from = size - length;
	if (from < 0)
		from = 0;
	return (struct base_region){ (uint64_t)from, (uint32_t)length };
}

static int regions_read(const struct based *b, const struct base_chunk *row, uint8_t *prefix,
			size_t *ret_len, struct err *err)
{
	size_t len = 0;

	for (uint32_t k = 0; k < row->region_count; k++) {
		if (packer_read(b->base, row->regions[k].offset, prefix + len,
				row->regions[k].length, err) < 0)
			return -1;
		len += row->regions[k].length;
	}
	*ret_len = len;
	return 0;
}

/* Whether the base has the whole chunk in a few pieces; then row says where. */
static bool chunk_in_base(const struct based *b, uint64_t i, const struct based_slot *slot,
			  uint32_t count, uint32_t len, struct base_chunk *row)
{
	struct blockrun runs[BASE_MAX_REGIONS];
	size_t n = blockmatch_runs(b->match, slot->ids, count,
				   i << (b->packer->chunk_log - BLOCK_LOG),
				   b->places[i].distance, runs, BASE_MAX_REGIONS);

	for (size_t k = 0; k < n; k++) {
		uint32_t bytes = runs[k].count * BLOCK_BYTES;

		row->regions[k].offset = (uint64_t)runs[k].base << BLOCK_LOG;
		row->regions[k].length = bytes < len ? bytes : len;
		len -= row->regions[k].length;
		if (row->regions[k].offset + row->regions[k].length > b->base->size)
			return false;	/* its last block is a part of one */
	}
	row->region_count = (uint32_t)n;
	return n > 0;
}

static int chunk_work(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct based *b = ctx;
	struct based_slot *slot = data;
	const struct packer *p = b->packer;
	uint32_t len = chunkindex_length(&p->index, (uint32_t)i), count;
	size_t prefix_len;

	if (slot_start(slot, p->chunk_log, BASE_MAX_PREFIX, err) < 0 ||
	    packer_chunk_read(p, i, slot->chunk, err) < 0)
		return -1;
	count = ids_make(slot->chunk, len, slot->ids);
	if (chunk_in_base(b, i, slot, count, len, &slot->row)) {
		if (regions_read(b, &slot->row, slot->prefix, &prefix_len, err) < 0)
			return -1;
		if (prefix_len == len && memcmp(slot->prefix, slot->chunk, len) == 0)
			return 0;
	}
	slot->row.region_count = 1;
	slot->row.regions[0] = region_around(b, i);
	if (regions_read(b, &slot->row, slot->prefix, &prefix_len, err) < 0)
		return -1;
	return packer_frame(BASE_LEVEL, &(struct packer_aid){ .prefix = slot->prefix,
							     .prefix_len = prefix_len },
			    slot->chunk, len, &slot->frame, err);
}

static int chunk_emit(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct based *b = ctx;
	struct based_slot *slot = data;
	struct base_chunk *row = &b->index->chunks[i];

	*row = slot->row;
	row->frame = (uint32_t)slot->frame.len;
	row->offset = b->index->frames_size;
	b->index->frames_size += row->frame;
	packer_progress(b->packer, i + 1);
	return packer_write(b->out, slot->frame.data, slot->frame.len, err);
}

static int frames_make(struct based *b, struct err *err)
{
	const struct pool_job job = {
		.parts = b->packer->index.count,
		.threads = b->packer->threads,
		.slot_bytes = sizeof(struct based_slot),
		.work = chunk_work, .emit = chunk_emit, .slot_clear = slot_clear,
	};

	b->index->count = b->packer->index.count;
	b->index->base_size = b->base->size;
	memcpy(b->index->base_sha256, b->base->sha256, sizeof b->index->base_sha256);
	b->index->chunks = calloc(b->index->count, sizeof *b->index->chunks);
	if (!b->index->chunks)
		return packer_no_memory(err);
	return pool_in_order(&job, b, err);
}

int packer_base(const struct packer *packer, struct packer *base, FILE *out,
		struct baseindex *ret_index, struct err *err)
{
	_cleanup_(baseindex_clear) struct baseindex index = { 0 };
	_cleanup_(based_clear) struct based b = {
		.packer = packer, .base = base, .out = out, .index = &index,
	};

	packer_step(packer, "from a base");
	if (base_read(&b, err) < 0 || places_find(&b, err) < 0 || frames_make(&b, err) < 0)
		return -1;
	*ret_index = index;
	index.chunks = NULL;
	return 0;
}
