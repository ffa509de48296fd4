/* SPDX-License-Identifier: MIT */
#include "bundle_check.h"

#include "chunk_decode.h"
#include "digest.h"
#include "io.h"
#include "pool.h"

#include <pthread.h>
#include <string.h>
#include <zlib.h>

#define PIECE_BYTES ((size_t)1 << 20)

/* One payload being checked, and the entry at hand. */
struct check {
	struct bundle *bundle;
	const struct payload *payload;
	struct chunkindex index;
	uint8_t *chunk, *frame;		/* a chunk, and the longest frame of one */
	struct chunk_decode *code;

	const char *name;
	struct zipentry entry;
	uint64_t at;			/* so much of it was looked at */
};

static void check_clear(struct check *c)
{
	chunkindex_clear(&c->index);
	free(c->chunk);
	free(c->frame);
	chunk_decode_free(c->code);
}

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to check a bundle: out of memory");
}

/* Like err_set(), with the bundle's name in front. */
#define refuse(c, err, ...) \
	((void)err_set((err), EX_DATAERR, __VA_ARGS__), bundle_prefix((c)->bundle, (err)))

/* The entry must have exactly this size. */
static int entry_begin(struct check *c, const char *name, uint64_t size, struct err *err)
{
	c->name = name;
	c->at = 0;
	if (bundle_frames(c->bundle, name, size, &c->entry, err) < 0)
		return -1;
	if (c->entry.size > size)
		return refuse(c, err, "%s is longer than its index says", name);
	return 0;
}

static int entry_read(struct check *c, uint8_t *buf, size_t len, struct err *err)
{
	struct bundle_source *source = bundle_source(c->bundle);

	if (source->read(source, buf, len, c->entry.offset + c->at, err) < 0)
		return bundle_prefix(c->bundle, err);
	c->at += len;
	return 0;
}

/* slotctl ignores this field, but unzip checks it. */
static int crc_compare(const struct check *c, uLong crc, struct err *err)
{
	if (crc != c->entry.crc)
		return refuse(c, err, "%s does not have the CRC the ZIP says", c->name);
	return 0;
}

static int entry_crc_check(struct check *c, struct err *err)
{
	_cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
	uLong crc = 0;

	if (!piece)
		return no_memory(err);
	for (c->at = 0; c->at < c->entry.size;) {
		uint64_t left = c->entry.size - c->at;
		size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;

		if (entry_read(c, piece, n, err) < 0)
			return -1;
		crc = crc32_z(crc, piece, n);
	}
	return crc_compare(c, crc, err);
}

static int chunk_compare(const struct check *c, uint32_t i, struct err *err)
{
	uint8_t sha256[32];

	if (EVP_Digest(c->chunk, chunkindex_length(&c->index, i), sha256, NULL, EVP_sha256(),
		       NULL) != 1)
		return no_memory(err);
	if (memcmp(sha256, c->index.chunks[i].sha256, sizeof sha256) != 0)
		return refuse(c, err, "%s is damaged: chunk %u has another SHA-256", c->name, i);
	return 0;
}

/* Decodes the next frame, of len bytes, which must give exactly size bytes. */
static int frame_decode(struct check *c, size_t len, uint8_t *out, size_t size, struct err *err)
{
	if (entry_read(c, c->frame, len, err) < 0)
		return -1;
	if (!chunk_decode(c->code, c->frame, len, out, size))
		return refuse(c, err, "%s is damaged: a frame does not decode", c->name);
	return 0;
}

/* --- the frames of a payload: read one chunk after another, decoded by all processors --- */

struct frames {
	struct check *c;
	struct blockindex blocks;
	struct chunkdict *dict;
	EVP_MD_CTX *whole;
	uLong crc;			/* of the frames so far */
	pthread_mutex_t lock;		/* of reading the bundle */
};

struct frames_slot {
	uint8_t *chunk, *frames;
	struct chunk_decode *code;
};

static void slot_clear(void *data)
{
	struct frames_slot *slot = data;

	free(slot->chunk);
	free(slot->frames);
	chunk_decode_free(slot->code);
}

static int slot_start(struct frames_slot *slot, const struct chunkindex *index, struct err *err)
{
	size_t chunk = (size_t)1 << index->chunk_log;

	if (slot->code)
		return 0;
	slot->chunk = malloc(chunk);
	slot->frames = malloc(chunkindex_frames_max(chunk));
	slot->code = chunk_decode_new();
	return slot->chunk && slot->frames && slot->code ? 0 : no_memory(err);
}

/* A frame for each block, where the block index has it, that gives a block of its id. */
static bool blocks_decode(const struct frames *f, const struct frames_slot *slot, uint32_t i, uint32_t len)
{
	const struct blockindex *b = &f->blocks;
	uint32_t k = i << (f->c->index.chunk_log - BLOCK_LOG);
	const uint8_t *frame = slot->frames;

	for (uint32_t at = 0; at < len; at += BLOCK_BYTES, k++) {
		uint8_t *block = slot->chunk + at;
		size_t n = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;

		if (!chunk_decode_dict(slot->code, f->dict, frame, b->lengths[k], block, n) ||
		    blockindex_id(block, n, b->id_bytes) != b->ids[k])
			return false;
		frame += b->lengths[k];
	}
	return true;
}

static int chunk_try(struct frames *f, uint32_t i, struct frames_slot *slot, struct err *err)
{
	struct check *c = f->c;
	const struct chunk *chunk = &c->index.chunks[i];
	uint32_t len = chunkindex_length(&c->index, i);
	bool good;
	int r;

	(void)pthread_mutex_lock(&f->lock);
	r = bundle_chunk_read(c->bundle, &c->entry, &c->index, i, slot->frames, err);
	(void)pthread_mutex_unlock(&f->lock);
	if (r < 0)
		return -1;
	good = chunk->blocks && f->blocks.ids
		? blocks_decode(f, slot, i, len)
		: chunk_decode_chunk(slot->code, f->dict, chunk, slot->frames, slot->chunk, len);
	if (good && chunk_decode_is(slot->code, slot->chunk, len, chunk->sha256))
		return 0;
	return chunk_decode_damaged(c->payload->file, i, err);
}

static int chunk_work(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct frames *f = ctx;
	struct frames_slot *slot = data;
	struct err why = { 0 };
	unsigned tries = 1;

	if (slot_start(slot, &f->c->index, err) < 0)
		return -1;
	while (chunk_try(f, (uint32_t)i, slot, &why) < 0) {
		if (!bundle_again(f->c->bundle, &tries, &why)) {
			if (err)
				*err = why;
			return bundle_prefix(f->c->bundle, err);
		}
		why = (struct err){ 0 };
	}
	return 0;
}

static int chunk_emit(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct frames *f = ctx;
	struct frames_slot *slot = data;
	const struct chunk *chunk = &f->c->index.chunks[i];

	if (!chunk->repeats)
		f->crc = crc32_z(f->crc, slot->frames, chunk->frame);
	return EVP_DigestUpdate(f->whole, slot->chunk, chunkindex_length(&f->c->index, (uint32_t)i)) == 1
		? 0 : no_memory(err);
}

static int frames_run(struct frames *f, struct err *err)
{
	struct check *c = f->c;
	/* From a server, one after the other. */
	const struct pool_job job = {
		.parts = c->index.count, .threads = bundle_source(c->bundle)->remote ? 1 : 0,
		.slot_bytes = sizeof(struct frames_slot),
		.work = chunk_work, .emit = chunk_emit, .slot_clear = slot_clear,
	};
	uint8_t sha256[32];

	if (pool_in_order(&job, f, err) < 0)
		return -1;
	if (EVP_DigestFinal_ex(f->whole, sha256, NULL) != 1)
		return no_memory(err);
	if (memcmp(sha256, c->payload->sha256, sizeof sha256) != 0)
		return refuse(c, err, "%s as a whole is not what the manifest says: its SHA-256 differs",
			      c->payload->name);
	return crc_compare(c, f->crc, err);
}

static int blocks_load(struct frames *f, struct err *err)
{
	struct check *c = f->c;
	const struct pinned_entry *p = &c->payload->blocks.index;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (!p->file)
		return 0;
	if (bundle_pinned(c->bundle, p, &data, &len, err) < 0)
		return -1;
	if (blockindex_decode(data, len, &c->index, &f->blocks, err) == 0)
		return 0;
	(void)err_prefix(err, "%s", p->file);
	return bundle_prefix(c->bundle, err);
}

static int frames_check(struct check *c, struct err *err)
{
	struct frames f = { .c = c, .lock = PTHREAD_MUTEX_INITIALIZER };
	int r = -1;

	if (!c->payload->file)
		return 0;
	f.whole = EVP_MD_CTX_new();
	if (!f.whole || EVP_DigestInit_ex(f.whole, EVP_sha256(), NULL) != 1)
		r = no_memory(err);
	else if (blocks_load(&f, err) == 0 &&
		 bundle_dictionary(c->bundle, c->payload, &f.dict, err) == 0 &&
		 entry_begin(c, c->payload->file, c->index.frames_size, err) == 0)
		r = frames_run(&f, err);
	EVP_MD_CTX_free(f.whole);
	blockindex_clear(&f.blocks);
	chunkdict_free(f.dict);
	return r;
}

static int base_frame_check(struct check *c, const struct base_chunk *row, uint32_t i,
			    struct err *err)
{
	uint32_t len = chunkindex_length(&c->index, i);

	if (row->frame == 0)
		return 0;
	if (row->region_count == 0) {
		if (frame_decode(c, row->frame, c->chunk, len, err) < 0)
			return -1;
		return chunk_compare(c, i, err);
	}
	if (entry_read(c, c->frame, row->frame, err) < 0)
		return -1;
	if (!chunk_decode_frame_is(c->frame, row->frame, len))
		return refuse(c, err, "%s is damaged: the frame of chunk %u is none of %u bytes",
			      c->name, i, len);
	return 0;
}

static int base_check(struct check *c, const struct payload_base *base, struct err *err)
{
	_cleanup_(baseindex_clear) struct baseindex index = { 0 };
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (bundle_pinned(c->bundle, &base->index, &data, &len, err) < 0)
		return -1;
	if (baseindex_decode(data, len, &c->index, &index, err) < 0) {
		(void)err_prefix(err, "%s", base->index.file);
		return bundle_prefix(c->bundle, err);
	}
	if (index.base_size != base->size ||
	    memcmp(index.base_sha256, base->sha256, sizeof base->sha256) != 0)
		return refuse(c, err, "%s is for another base than the manifest says",
			      base->index.file);
	if (index.frames_size == 0 && bundle_entry_size(c->bundle, base->file) == 0)
		return 0;
	if (entry_begin(c, base->file, index.frames_size, err) < 0)
		return -1;
	for (uint32_t i = 0; i < c->index.count; i++)
		if (base_frame_check(c, &index.chunks[i], i, err) < 0)
			return -1;
	return entry_crc_check(c, err);
}

static int payload_check(struct bundle *bundle, const struct payload *p, struct err *err)
{
	_cleanup_(check_clear) struct check c = { .bundle = bundle, .payload = p };

	if (bundle_index(bundle, p, &c.index, err) < 0)
		return -1;
	c.chunk = malloc((size_t)1 << c.index.chunk_log);
	c.frame = malloc(chunkindex_frame_max(1ULL << c.index.chunk_log));
	c.code = chunk_decode_new();
	if (!c.chunk || !c.frame || !c.code)
		return no_memory(err);
	if (frames_check(&c, err) < 0)
		return -1;
	for (size_t i = 0; i < p->base_count; i++)
		if (base_check(&c, &p->bases[i], err) < 0)
			return -1;
	return 0;
}

int bundle_check(struct bundle *bundle, struct err *err)
{
	const struct manifest *m = bundle_manifest(bundle);
	_cleanup_free_ uint8_t *loader = NULL;
	size_t len;

	if (m->loader.file && bundle_pinned(bundle, &m->loader, &loader, &len, err) < 0)
		return -1;
	for (size_t i = 0; i < m->payload_count; i++)
		if (payload_check(bundle, &m->payloads[i], err) < 0)
			return -1;
	return 0;
}
