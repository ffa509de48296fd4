/* SPDX-License-Identifier: MIT */
#include "bundle_check.h"

#include "chunk_decode.h"
#include "digest.h"
#include "zstd_seekable.h"
#include "io.h"

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
	if (crc != c->entry.crc)
		return refuse(c, err, "%s does not have the CRC the ZIP says", c->name);
	return 0;
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
static int frame_decode(struct check *c, size_t len, uint8_t *out, size_t size,
			const struct chunkdict *dict, struct err *err)
{
	if (entry_read(c, c->frame, len, err) < 0)
		return -1;
	if (!chunk_decode_dict(c->code, dict, c->frame, len, out, size))
		return refuse(c, err, "%s is damaged: a frame does not decode", c->name);
	return 0;
}

/* Read the frames as a machine does, then check what it leaves out: the seek table behind
 * them. */
static int full_check(struct check *c, struct err *err)
{
	_cleanup_free_ uint8_t *should = NULL, *is = NULL;
	size_t len = 0;

	if (bundle_extract(c->bundle, c->payload, NULL, NULL, NULL, err) < 0 || !c->payload->file)
		return c->payload->file ? -1 : 0;
	if (zstd_seekable_table_make(&c->index, &should, &len, err) < 0)
		return -1;
	is = malloc(len);
	if (!is)
		return no_memory(err);
	if (entry_begin(c, c->payload->file, c->index.frames_size + len, err) < 0)
		return -1;
	c->at = c->index.frames_size;
	if (entry_read(c, is, len, err) < 0)
		return -1;
	if (memcmp(is, should, len) != 0)
		return refuse(c, err, "%s has a wrong seek table", c->name);
	return entry_crc_check(c, err);
}

static void chunkdict_freep(struct chunkdict **dict)
{
	chunkdict_free(*dict);
}

/* Assemble chunk i from its blocks in c->chunk. */
static int chunk_from_blocks(struct check *c, const struct blockindex *blocks,
			     const struct chunkdict *dict, uint32_t i, struct err *err)
{
	uint32_t len = chunkindex_length(&c->index, i);
	uint64_t k = (uint64_t)i << (c->index.chunk_log - BLOCK_LOG);

	for (uint32_t at = 0; at < len; at += BLOCK_BYTES, k++) {
		size_t n = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;

		if (frame_decode(c, blocks->lengths[k], c->chunk + at, n, dict, err) < 0)
			return -1;
		if (blockindex_id(c->chunk + at, n, blocks->id_bytes) != blocks->ids[k])
			return refuse(c, err, "%s is damaged: block %llu has another id than in %s",
				      c->name, (unsigned long long)k, c->payload->blocks.index.file);
	}
	return chunk_compare(c, i, err);
}

static int blocks_check(struct check *c, struct err *err)
{
	const struct payload_blocks *b = &c->payload->blocks;
	_cleanup_(blockindex_clear) struct blockindex blocks = { 0 };
	_cleanup_(chunkdict_freep) struct chunkdict *dict = NULL;
	_cleanup_free_ uint8_t *data = NULL, *dictionary = NULL;
	size_t len, dictionary_len = 0;

	if (!b->file)
		return 0;
	if (bundle_pinned(c->bundle, &b->index, &data, &len, err) < 0 ||
	    (b->dictionary.file && bundle_pinned(c->bundle, &b->dictionary, &dictionary,
						 &dictionary_len, err) < 0))
		return -1;
	if (blockindex_decode(data, len, c->payload->size, &blocks, err) < 0) {
		(void)err_prefix(err, "%s", b->index.file);
		return bundle_prefix(c->bundle, err);
	}
	if (dictionary &&
	    chunkdict_new(b->dictionary.file, dictionary, dictionary_len, &dict, err) < 0)
		return bundle_prefix(c->bundle, err);
	if (entry_begin(c, b->file, blockindex_offset(&blocks, blocks.count), err) < 0)
		return -1;
	for (uint32_t i = 0; i < c->index.count; i++)
		if (chunk_from_blocks(c, &blocks, dict, i, err) < 0)
			return -1;
	return entry_crc_check(c, err);
}

static int base_frame_check(struct check *c, const struct base_chunk *row, uint32_t i,
			    struct err *err)
{
	uint32_t len = chunkindex_length(&c->index, i);

	if (row->frame == 0)
		return 0;
	if (row->region_count == 0) {
		if (frame_decode(c, row->frame, c->chunk, len, NULL, err) < 0)
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
	/* A block's frame may be 64 KiB whatever it holds. */
	c.frame = malloc(chunkindex_frame_max(1ULL << c.index.chunk_log) + BLOCK_FRAME_MAX);
	c.code = chunk_decode_new();
	if (!c.chunk || !c.frame || !c.code)
		return no_memory(err);
	if (full_check(&c, err) < 0 || blocks_check(&c, err) < 0)
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
