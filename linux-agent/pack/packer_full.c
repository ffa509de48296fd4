/* SPDX-License-Identifier: MIT */
#include "packer.h"

#include "digest.h"
#include "packer_frame.h"
#include "io.h"
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* One frame is tried for a chunk whose blocks are so small a part of it, and taken if it is so small
 * a part of them: then no machine saves by fetching some of them. */
enum { WHOLE_TRY_PART = 8, WHOLE_TAKE_PART = 2 };

/* The chunks that were looked at, by SHA-256: of those that hold the same the first. */
struct seen {
	pthread_mutex_t lock;
	struct packer_table table;
};

struct full {
	struct packer *packer;
	FILE *out;
	EVP_MD_CTX *whole;
	struct packer_blocks *blocks;
	struct seen seen;
};

struct full_slot {
	uint8_t *chunk;
	struct packer_buffer frames, other;
	uint16_t *lengths;
	uint64_t *ids;
	bool repeats;		/* a chunk before it holds the same: there are no frames */
	bool in_blocks, reused;
};

static void slot_clear(void *data)
{
	struct full_slot *slot = data;

	free(slot->chunk);
	free(slot->lengths);
	free(slot->ids);
	packer_buffer_clear(&slot->frames);
	packer_buffer_clear(&slot->other);
}

static int slot_start(struct full_slot *slot, unsigned chunk_log, struct err *err)
{
	size_t bytes = (size_t)1 << chunk_log, count = bytes >> BLOCK_LOG;

	slot->frames.len = slot->other.len = 0;
	slot->repeats = slot->in_blocks = slot->reused = false;
	if (slot->chunk)
		return 0;
	slot->chunk = malloc(bytes);
	slot->lengths = calloc(count, sizeof *slot->lengths);
	slot->ids = calloc(count, sizeof *slot->ids);
	return slot->chunk && slot->lengths && slot->ids ? 0 : packer_no_memory(err);
}

/* --- chunks that hold the same --- */

/* Whether one before chunk i holds the same. Of those that do, the first is never told so: its
 * frames will be there, whichever thread is faster. */
static bool chunk_repeats(struct full *full, uint32_t i, const uint8_t sha256[32])
{
	struct chunk *chunks = full->packer->index.chunks;
	uint32_t *first;
	bool repeats;

	(void)pthread_mutex_lock(&full->seen.lock);
	memcpy(chunks[i].sha256, sha256, sizeof chunks[i].sha256);
	first = packer_table_find(&full->seen.table, chunks, sha256);
	repeats = *first < i;
	if (!repeats)
		*first = i;
	(void)pthread_mutex_unlock(&full->seen.lock);
	return repeats;
}

static uint32_t chunk_first(struct full *full, uint32_t i)
{
	struct chunk *chunks = full->packer->index.chunks;
	uint32_t first;

	(void)pthread_mutex_lock(&full->seen.lock);
	first = *packer_table_find(&full->seen.table, chunks, chunks[i].sha256);
	(void)pthread_mutex_unlock(&full->seen.lock);
	return first;
}

/* --- one chunk's frames, in any thread --- */

static int chunk_read(struct full *full, uint64_t i, struct full_slot *slot, uint32_t len,
		      uint8_t sha256[32], struct err *err)
{
	const struct packer *p = full->packer;

	if (packer_read(p, i << p->chunk_log, slot->chunk, len, err) < 0)
		return -1;
	if (p->uki && i == 0 && (len < 2 || memcmp(slot->chunk, "MZ", 2) != 0))
		return err_set(err, EX_DATAERR, "%s is not a UKI: a PE file begins with MZ",
			       p->path);
	return EVP_Digest(slot->chunk, len, sha256, NULL, EVP_sha256(), NULL) == 1
		? 0 : packer_no_memory(err);
}

static int whole_frame(const struct packer *p, const uint8_t *chunk, uint32_t len,
		       struct packer_buffer *out, struct err *err)
{
	const struct packer_aid aid = { .dictionary = p->dictionary,
					.dictionary_len = p->dictionary_len };

	return packer_frame(p->level, &aid, chunk, len, out, err);
}

static int frames_make(const struct full *full, struct full_slot *slot, uint32_t len, struct err *err)
{
	const struct packer *p = full->packer;
	struct packer_buffer whole;

	if (!p->in_blocks || len <= BLOCK_BYTES)
		return whole_frame(p, slot->chunk, len, &slot->frames, err);
	if (packer_blocks_frames(full->blocks, slot->chunk, len, &slot->frames, slot->lengths, err) < 0)
		return -1;
	slot->in_blocks = true;
	if (slot->frames.len > len / WHOLE_TRY_PART)
		return 0;
	if (whole_frame(p, slot->chunk, len, &slot->other, err) < 0)
		return -1;
	if (slot->other.len > slot->frames.len / WHOLE_TAKE_PART)
		return 0;
	whole = slot->other;
	slot->other = slot->frames;
	slot->frames = whole;
	slot->in_blocks = false;
	return 0;
}

static void ids_make(const struct packer *p, struct full_slot *slot, uint32_t len)
{
	for (uint32_t at = 0, k = 0; slot->in_blocks && at < len; at += BLOCK_BYTES, k++)
		slot->ids[k] = blockindex_id(slot->chunk + at,
					     len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES,
					     p->blocks.id_bytes);
}

static int chunk_work(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct full *full = ctx;
	struct full_slot *slot = data;
	const struct packer *p = full->packer;
	uint32_t len = chunkindex_length(&p->index, (uint32_t)i);
	uint8_t sha256[32];

	if (slot_start(slot, p->chunk_log, err) < 0 || chunk_read(full, i, slot, len, sha256, err) < 0)
		return -1;
	slot->repeats = chunk_repeats(full, (uint32_t)i, sha256);
	if (slot->repeats)
		return 0;
	slot->reused = p->reuse && packer_reuse_frames(p->reuse, sha256, slot->chunk, len, &slot->frames,
						       slot->lengths, &slot->in_blocks);
	if (!slot->reused && frames_make(full, slot, len, err) < 0)
		return -1;
	ids_make(p, slot, len);
	return 0;
}

/* --- and into the file, in order --- */

/* Frames that are in the file, once more into the slot. */
static int frames_again(struct full *full, const struct chunk *first, struct full_slot *slot,
			struct err *err)
{
	if (packer_buffer_grow(&slot->frames, first->frame, err) < 0)
		return -1;
	if (fflush(full->out) != 0 || pread_full(fileno(full->out), slot->frames.data, first->frame,
						 (off_t)first->offset) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read a temporary file beside the "
				 "bundle");
	slot->frames.len = first->frame;
	return 0;
}

static void blocks_take(struct packer *p, uint32_t i, const uint64_t *ids, const uint16_t *lengths)
{
	size_t at = (size_t)i << (p->chunk_log - BLOCK_LOG), count = chunkindex_blocks(&p->index, i);

	memmove(p->blocks.ids + at, ids, count * sizeof *ids);
	memmove(p->blocks.lengths + at, lengths, count * sizeof *lengths);
}

/* Chunk i, which holds the same as one before it: its frames, or the name of that one's. */
static int chunk_repeat(struct full *full, uint32_t i, uint32_t first, struct full_slot *slot,
			struct err *err)
{
	struct packer *p = full->packer;
	struct chunk *row = &p->index.chunks[i];
	const struct chunk *is = &p->index.chunks[first];
	size_t at = (size_t)first << (p->chunk_log - BLOCK_LOG);

	slot->frames.len = 0;
	row->blocks = is->blocks;
	if (is->blocks)
		blocks_take(p, i, p->blocks.ids + at, p->blocks.lengths + at);
	if (is->frame < PACKER_SAME_MIN)
		return frames_again(full, is, slot, err);
	row->repeats = true;
	row->same = first;
	row->frame = is->frame;
	row->offset = is->offset;
	return 0;
}

static int row_fill(struct full *full, uint32_t i, struct full_slot *slot, struct err *err)
{
	struct packer *p = full->packer;
	struct chunk *row = &p->index.chunks[i];
	uint32_t first = chunk_first(full, i);

	row->blocks = slot->in_blocks;
	if (first != i && chunk_repeat(full, i, first, slot, err) < 0)
		return -1;
	if (row->repeats)
		return 0;
	row->frame = (uint32_t)slot->frames.len;
	row->offset = p->index.frames_size;
	p->index.frames_size += row->frame;
	p->reused += first == i && slot->reused;
	if (first == i && row->blocks)
		blocks_take(p, i, slot->ids, slot->lengths);
	return packer_write(full->out, slot->frames.data, slot->frames.len, err);
}

static int chunk_emit(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct full *full = ctx;
	struct full_slot *slot = data;
	struct packer *p = full->packer;

	if (EVP_DigestUpdate(full->whole, slot->chunk,
			     chunkindex_length(&p->index, (uint32_t)i)) != 1)
		return packer_no_memory(err);
	packer_progress(p, i + 1);
	return row_fill(full, (uint32_t)i, slot, err);
}

/* --- the whole --- */

static int index_start(struct packer *p, struct err *err)
{
	uint64_t count = chunkindex_parts(p->size, p->chunk_log);

	if (count > CHUNKS_MAX)
		return err_set(err, EX_DATAERR, "%s is too large for chunks of %u KiB: at most "
			       "%d of them are allowed", p->path, 1U << (p->chunk_log - 10),
			       CHUNKS_MAX);
	p->index = (struct chunkindex){ .chunk_log = p->chunk_log, .count = (uint32_t)count,
					.size = p->size };
	p->index.chunks = calloc(count, sizeof *p->index.chunks);
	return p->index.chunks ? 0 : packer_no_memory(err);
}

static int blocks_start(struct full *full, struct err *err)
{
	struct packer *p = full->packer;
	uint64_t count = chunkindex_parts(p->size, BLOCK_LOG);

	if (!p->in_blocks)
		return 0;
	if (blockindex_make(packer_id_bytes(count), (uint32_t)count, &p->blocks, err) < 0 ||
	    (p->reuse ? packer_reuse_dictionary(p->reuse, p, err) : packer_dictionary(p, err)) < 0)
		return -1;
	return packer_blocks_new(p, &full->blocks, err);
}

static int full_run(struct full *full, struct err *err)
{
	struct packer *p = full->packer;
	const struct pool_job job = {
		.parts = p->index.count,
		.threads = p->threads,
		.slot_bytes = sizeof(struct full_slot),
		.work = chunk_work, .emit = chunk_emit, .slot_clear = slot_clear,
	};

	if (EVP_DigestInit_ex(full->whole, EVP_sha256(), NULL) != 1)
		return packer_no_memory(err);
	if (pool_in_order(&job, full, err) < 0)
		return -1;
	return EVP_DigestFinal_ex(full->whole, p->sha256, NULL) == 1 ? 0 : packer_no_memory(err);
}

int packer_full(struct packer *packer, FILE *out, struct err *err)
{
	_cleanup_(md_ctx_freep) EVP_MD_CTX *whole = EVP_MD_CTX_new();
	struct full full = { .packer = packer, .out = out, .whole = whole,
			     .seen.lock = PTHREAD_MUTEX_INITIALIZER };
	int r = -1;

	packer_step(packer, packer->in_blocks ? "4 KiB blocks" : "the whole image");
	if (!whole)
		return packer_no_memory(err);
	if (index_start(packer, err) == 0 && blocks_start(&full, err) == 0 &&
	    packer_table_make(packer->index.count, &full.seen.table, err) == 0)
		r = full_run(&full, err);
	packer_blocks_free(full.blocks);
	free(full.seen.table.at);
	return r;
}
