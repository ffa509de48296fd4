/* SPDX-License-Identifier: MIT */
#include "hollow.h"

#include "digest.h"
#include "hasher.h"
#include "io.h"
#include "pool.h"

#include <errno.h>
#include <string.h>

/* Where the bytes of a stretch of the UKI are, and where they go. */
struct run {
	uint64_t size;
	int from;			/* at the same offset */
	const struct hollow_part *part;	/* with a place, which has them at skip; or NULL */
	uint64_t skip;
};

/* From offset to the end of the part, or of what is between two. */
static struct run run_at(const struct hollow *h, uint64_t offset)
{
	uint64_t end = h->rest.size;

	for (unsigned i = 0; i < h->count; i++) {
		const struct hollow_part *part = &h->parts[i];
		uint64_t skip;

		if (part->offset > offset) {
			end = part->offset;
			break;
		}
		skip = offset - part->offset;
		if (skip < part->size)
			return (struct run){ part->size - skip, h->from,
					     part->file ? part : NULL, skip };
	}
	return (struct run){ end - offset, h->rest.fd, NULL, 0 };
}

/* The next bytes of the UKI, to be hashed, and to their place if they have one. It is
 * this buffer's bytes that are in both; it is small enough to stay in a processor's cache.
 * Returns how many, or -1. */
static ssize_t piece_take(const struct hollow *h, uint64_t offset, uint64_t max, uint8_t *buf)
{
	struct run run = run_at(h, offset);
	size_t len;

	if (run.size > max)
		run.size = max;
	len = run.size < HASHER_PIECE ? (size_t)run.size : HASHER_PIECE;
	if (pread_full(run.from, buf, len, (off_t)offset) < 0 ||
	    (run.part && pwrite_full(run.part->file->fd, buf, len,
				     (off_t)(run.part->at + run.skip)) < 0))
		return -1;
	return (ssize_t)len;
}

static int failed(const struct hollow *h, struct err *err)
{
	return err_errno(err, EX_IOERR, errno, "failed to copy %s", h->name);
}

static int whole_fill(struct hollow *h, struct err *err)
{
	_cleanup_(hasher_closep) struct hasher *hasher = NULL;
	ssize_t n;

	if (hasher_open(&hasher) < 0)
		return err_errno(err, EX_UNAVAILABLE, errno, "failed to hash %s", h->name);
	for (uint64_t offset = 0; offset < h->rest.size; offset += (uint64_t)n) {
		n = piece_take(h, offset, h->rest.size - offset, hasher_buffer(hasher));
		if (n < 0)
			return failed(h, err);
		hasher_put(hasher, (size_t)n);
	}
	if (hasher_finish(hasher, h->sha256) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to hash %s", h->name);
	return 0;
}

/* What a thread has while it works on a chunk, and what came of it. */
struct chunk_slot {
	bool is_same;			/* as the index says */
	uint8_t buf[HASHER_PIECE];
};

static int chunk_fill(void *ctx, uint64_t part, void *slot, struct err *err)
{
	_cleanup_(md_ctx_freep) EVP_MD_CTX *sha = EVP_MD_CTX_new();
	const struct hollow *h = ctx;
	uint64_t offset = part << h->index->chunk_log;
	uint32_t left = chunkindex_length(h->index, (uint32_t)part);
	bool hashed = sha && EVP_DigestInit_ex(sha, EVP_sha256(), NULL);
	struct chunk_slot *s = slot;
	uint8_t sha256[32];

	while (hashed && left > 0) {
		ssize_t n = piece_take(h, offset, left, s->buf);

		if (n < 0)
			return failed(h, err);
		hashed = EVP_DigestUpdate(sha, s->buf, (size_t)n);
		offset += (uint64_t)n;
		left -= (uint32_t)n;
	}
	if (!hashed || !EVP_DigestFinal_ex(sha, sha256, NULL))
		return err_set(err, EX_SOFTWARE, "failed to hash %s", h->name);
	s->is_same = memcmp(sha256, h->index->chunks[part].sha256, sizeof sha256) == 0;
	return 0;
}

static int chunk_filled(void *ctx, uint64_t part, void *slot, struct err *err)
{
	const struct chunk_slot *s = slot;
	struct hollow *h = ctx;

	(void)part;
	(void)err;
	if (!s->is_same)
		h->is_changed = true;
	return 0;
}

static int chunks_fill(struct hollow *h, struct err *err)
{
	const struct pool_job job = {
		.parts = h->index->count,
		.slot_bytes = sizeof(struct chunk_slot),
		.work = chunk_fill,
		.emit = chunk_filled,
	};

	if (pool_in_order(&job, h, err) < 0)
		return err_prefix(err, "failed to stage %s", h->name);
	return 0;
}

int hollow_fill(struct hollow *hollow, struct err *err)
{
	int r;

	hollow->is_changed = false;
	r = (hollow->index ? chunks_fill : whole_fill)(hollow, err);
	hollow->is_hashed = r == 0;
	return r;
}
