/* SPDX-License-Identifier: MIT */
/* Frames of an older bundle. */
#include "packer_frame.h"

#include "bundle.h"
#include "bundle_source.h"
#include "chunk_decode.h"
#include "io.h"

#include <pthread.h>
#include <string.h>
#include <zstd.h>

struct packer_reuse {
	struct bundle_source *source;	/* the caller's, */
	pthread_mutex_t lock;		/* read by one thread at a time */
	uint64_t offset;	/* of the entry of frames */
	struct chunkindex index;
	uint8_t *dictionary;
	size_t dictionary_len;
	struct chunkdict *dict;
	struct packer_table table;
};

void packer_reuse_free(struct packer_reuse *reuse)
{
	if (!reuse)
		return;
	chunkindex_clear(&reuse->index);
	chunkdict_free(reuse->dict);
	free(reuse->dictionary);
	free(reuse->table.at);
	free(reuse);
}

static void reuse_freep(struct packer_reuse **reuse)
{
	packer_reuse_free(*reuse);
}

/* Of chunks that hold the same the first. */
static int table_fill(struct packer_reuse *r, struct err *err)
{
	if (packer_table_make(r->index.count, &r->table, err) < 0)
		return -1;
	for (uint32_t i = r->index.count; i-- > 0;)
		*packer_table_find(&r->table, r->index.chunks, r->index.chunks[i].sha256) = i;
	return 0;
}

static int dictionary_read(struct packer_reuse *r, struct bundle *bundle,
			   const struct pinned_entry *entry, struct err *err)
{
	if (!entry->file)
		return 0;
	if (bundle_pinned(bundle, entry, &r->dictionary, &r->dictionary_len, err) < 0)
		return -1;
	return chunkdict_new(entry->file, r->dictionary, r->dictionary_len, &r->dict, err) < 0
		? bundle_prefix(bundle, err) : 0;
}

int packer_reuse_open(struct bundle *bundle, const struct payload *payload, const struct packer *packer,
		      struct packer_reuse **ret_reuse, struct err *err)
{
	_cleanup_(reuse_freep) struct packer_reuse *r = calloc(1, sizeof *r);
	struct zipentry frames;

	*ret_reuse = NULL;
	if (!r)
		return packer_no_memory(err);
	r->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	r->source = bundle_source(bundle);
	if (!payload->file || !payload->blocks.index.file != !packer->in_blocks)
		return 0;
	if (bundle_index(bundle, payload, &r->index, err) < 0)
		return -1;
	if (r->index.chunk_log != packer->chunk_log)
		return 0;
	if (bundle_frames(bundle, payload->file, r->index.frames_size, &frames, err) < 0 ||
	    dictionary_read(r, bundle, &payload->blocks.dictionary, err) < 0 ||
	    table_fill(r, err) < 0)
		return -1;
	r->offset = frames.offset;
	*ret_reuse = r;
	r = NULL;
	return 0;
}

int packer_reuse_dictionary(const struct packer_reuse *reuse, struct packer *packer, struct err *err)
{
	if (!reuse->dictionary)
		return 0;
	packer->dictionary = malloc(reuse->dictionary_len);
	if (!packer->dictionary)
		return packer_no_memory(err);
	memcpy(packer->dictionary, reuse->dictionary, reuse->dictionary_len);
	packer->dictionary_len = reuse->dictionary_len;
	return 0;
}

static bool frames_read(struct packer_reuse *r, const struct chunk *c, struct packer_buffer *out)
{
	int result;

	if (packer_buffer_grow(out, c->frame, NULL) < 0)
		return false;
	(void)pthread_mutex_lock(&r->lock);
	result = r->source->read(r->source, out->data + out->len, c->frame, r->offset + c->offset, NULL);
	(void)pthread_mutex_unlock(&r->lock);
	return result == 0;
}

static bool frames_give(const struct packer_reuse *r, const struct chunk *c, const uint8_t *frames,
			const uint8_t *chunk, uint32_t len)
{
	struct chunk_decode *code = chunk_decode_new();
	uint8_t *is = malloc(len);
	bool same = code && is && chunk_decode_chunk(code, r->dict, c, frames, is, len) &&
		    memcmp(is, chunk, len) == 0;

	free(is);
	chunk_decode_free(code);
	return same;
}

/* Of frames that were decoded. One that is longer than the block index can say is not packer.h's. */
static bool lengths_take(const uint8_t *frames, size_t len, uint16_t *lengths)
{
	for (size_t at = 0, k = 0; at < len; k++) {
		size_t n = ZSTD_findFrameCompressedSize(frames + at, len - at);

		if (n > UINT16_MAX)
			return false;
		lengths[k] = (uint16_t)n;
		at += n;
	}
	return true;
}

bool packer_reuse_frames(struct packer_reuse *reuse, const uint8_t sha256[32], const uint8_t *chunk,
			 uint32_t len, struct packer_buffer *out, uint16_t *ret_lengths, bool *ret_blocks)
{
	uint32_t i = *packer_table_find(&reuse->table, reuse->index.chunks, sha256);
	const struct chunk *c;
	const uint8_t *frames;

	if (i == PACKER_NOWHERE || chunkindex_length(&reuse->index, i) != len)
		return false;
	c = &reuse->index.chunks[i];
	if (!frames_read(reuse, c, out))
		return false;
	frames = out->data + out->len;
	if (!frames_give(reuse, c, frames, chunk, len) ||
	    (c->blocks && !lengths_take(frames, c->frame, ret_lengths)))
		return false;
	out->len += c->frame;
	*ret_blocks = c->blocks;
	return true;
}
