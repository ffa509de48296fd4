/* SPDX-License-Identifier: MIT */
#include "bundle.h"

#include "chunk_decode.h"
#include "digest.h"
#include "io.h"

#include <string.h>

#define PIECE_BYTES (1024 * 1024)

static int chunk_hand_over(const uint8_t *data, size_t len, bundle_sink_fn *sink, void *ctx,
			   struct err *err)
{
	for (size_t done = 0; sink && done < len;) {
		size_t n = len - done < PIECE_BYTES ? len - done : PIECE_BYTES;

		if (sink(ctx, data + done, n, err) < 0)
			return -1;
		done += n;
	}
	return 0;
}

struct buffers {
	uint8_t *frame, *chunk;
	struct chunk_decode *code;
	struct chunkdict *dict;
	EVP_MD_CTX *whole;
};

static void buffers_clear(struct buffers *b)
{
	free(b->frame);
	free(b->chunk);
	chunk_decode_free(b->code);
	chunkdict_free(b->dict);
	EVP_MD_CTX_free(b->whole);
}

static int buffers_make(struct buffers *b, const struct chunkindex *index, struct err *err)
{
	size_t chunk = (size_t)1 << index->chunk_log;

	b->frame = malloc(chunkindex_frames_max(chunk));
	b->chunk = malloc(chunk);
	b->code = chunk_decode_new();
	b->whole = EVP_MD_CTX_new();
	if (!b->frame || !b->chunk || !b->code || !b->whole ||
	    EVP_DigestInit_ex(b->whole, EVP_sha256(), NULL) != 1)
		return err_set(err, EX_SOFTWARE, "failed to unpack a bundle: out of memory");
	return 0;
}

int bundle_chunk_read(struct bundle *bundle, const struct zipentry *entry, const struct chunkindex *index,
		      uint32_t i, uint8_t *frames, struct err *err)
{
	struct bundle_source *source = bundle_source(bundle);
	const struct chunk *chunk = &index->chunks[i];

	/* The rest of the entry is one request; behind a chunk that repeats it begins again. */
	if (source->run && !chunk->repeats)
		source->run(source, entry->offset + chunk->offset, index->frames_size - chunk->offset);
	return source->read(source, frames, chunk->frame, entry->offset + chunk->offset, err);
}

/* Decode into b->chunk and verify its hash. */
static int chunk_take(struct bundle *bundle, const struct payload *payload,
		      const struct chunkindex *index, uint32_t i, const struct zipentry *entry,
		      struct buffers *b, struct err *err)
{
	const struct chunk *chunk = &index->chunks[i];
	size_t len = chunkindex_length(index, i);

	if (bundle_chunk_read(bundle, entry, index, i, b->frame, err) < 0)
		return -1;
	if (chunk_decode_chunk(b->code, b->dict, chunk, b->frame, b->chunk, len) &&
	    chunk_decode_is(b->code, b->chunk, len, chunk->sha256))
		return 0;
	return chunk_decode_damaged(payload->file, i, err);
}

static int chunk_read(struct bundle *bundle, const struct payload *payload,
		      const struct chunkindex *index, uint32_t i, const struct zipentry *entry,
		      struct buffers *b, struct err *err)
{
	size_t len = chunkindex_length(index, i);
	unsigned tries = 1;
	struct err why = { 0 };

	while (chunk_take(bundle, payload, index, i, entry, b, &why) < 0) {
		if (!bundle_again(bundle, &tries, &why)) {
			if (err)
				*err = why;
			return bundle_prefix(bundle, err);
		}
		why = (struct err){ 0 };
	}
	if (EVP_DigestUpdate(b->whole, b->chunk, len) != 1)
		return err_set(err, EX_SOFTWARE, "failed to hash %s", payload->file);
	return 0;
}

/* Index and manifest both describe the payload; a builder may have mixed them up. */
static int whole_check(struct bundle *bundle, const struct payload *payload, struct buffers *b,
		       struct err *err)
{
	uint8_t sha256[32];

	if (EVP_DigestFinal_ex(b->whole, sha256, NULL) == 1 &&
	    memcmp(sha256, payload->sha256, sizeof sha256) == 0)
		return 0;
	(void)err_set(err, EX_DATAERR, "%s as a whole is not what the manifest says: its SHA-256 "
		      "differs", payload->name);
	return bundle_prefix(bundle, err);
}

int bundle_extract(struct bundle *bundle, const struct payload *payload, bundle_sink_fn *sink,
		   void *ctx, const volatile int *cancel, struct err *err)
{
	_cleanup_(chunkindex_clear) struct chunkindex index = { 0 };
	_cleanup_(buffers_clear) struct buffers b = { 0 };
	struct zipentry entry;

	if (bundle_index(bundle, payload, &index, err) < 0)
		return -1;
	if (!payload->file && sink)
		return err_set(err, EX_DATAERR, "the bundle has %s by reference only",
			       payload->name);
	if (!payload->file)
		return 0;
	if (bundle_frames(bundle, payload->file, index.frames_size, &entry, err) < 0 ||
	    buffers_make(&b, &index, err) < 0 ||
	    bundle_dictionary(bundle, payload, &b.dict, err) < 0)
		return -1;
	for (uint32_t i = 0; i < index.count; i++) {
		if (cancel && *cancel)
			return err_set(err, EX_TEMPFAIL, "cancelled by a signal");
		if (chunk_read(bundle, payload, &index, i, &entry, &b, err) < 0 ||
		    chunk_hand_over(b.chunk, chunkindex_length(&index, i), sink, ctx, err) < 0)
			return -1;
	}
	return whole_check(bundle, payload, &b, err);
}
