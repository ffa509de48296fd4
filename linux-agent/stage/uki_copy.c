/* SPDX-License-Identifier: MIT */
#include "uki_copy.h"

#include "digest.h"
#include "io.h"
#include "pool.h"

#include <errno.h>
#include <string.h>

enum { PIECE_LOG = 18, PIECE = 1 << PIECE_LOG };	/* fits a processor's cache */

struct work {
	int from;
	const char *name;
	const struct chunkindex *index;
	EVP_MD_CTX *whole;		/* without an index */
	struct uki_copy *copy;
};

/* A thread's working memory for a chunk or a piece. */
struct part {
	bool is_same;
	size_t len;
	uint8_t buf[PIECE];
};

/* Up to end, at most a piece. */
static int piece_copy(const struct work *w, uint64_t at, uint64_t end, struct part *part,
		      struct err *err)
{
	part->len = end - at < PIECE ? (size_t)(end - at) : PIECE;
	if (pread_full(w->from, part->buf, part->len, (off_t)at) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read %s", w->name);
	if (pwrite_full(w->copy->file.fd, part->buf, part->len, (off_t)at) < 0)
		return err_errno(err, EX_UNAVAILABLE, errno, "failed to copy %s into memory",
				 w->name);
	return 0;
}

static int hash_failed(const struct work *w, struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to hash %s", w->name);
}

static int chunk_work(void *ctx, uint64_t number, void *slot, struct err *err)
{
	_cleanup_(md_ctx_freep) EVP_MD_CTX *sha = EVP_MD_CTX_new();
	const struct work *w = ctx;
	uint64_t at = number << w->index->chunk_log;
	uint64_t end = at + chunkindex_length(w->index, (uint32_t)number);
	struct part *part = slot;
	uint8_t sha256[32];

	if (!sha || !EVP_DigestInit_ex(sha, EVP_sha256(), NULL))
		return hash_failed(w, err);
	for (; at < end; at += part->len) {
		if (piece_copy(w, at, end, part, err) < 0)
			return -1;
		if (!EVP_DigestUpdate(sha, part->buf, part->len))
			return hash_failed(w, err);
	}
	if (!EVP_DigestFinal_ex(sha, sha256, NULL))
		return hash_failed(w, err);
	part->is_same = memcmp(sha256, w->index->chunks[number].sha256, sizeof sha256) == 0;
	return 0;
}

static int chunk_emit(void *ctx, uint64_t number, void *slot, struct err *err)
{
	const struct part *part = slot;
	struct work *w = ctx;

	(void)number;
	(void)err;
	if (!part->is_same)
		w->copy->is_changed = true;
	return 0;
}

static int piece_work(void *ctx, uint64_t number, void *slot, struct err *err)
{
	const struct work *w = ctx;

	return piece_copy(w, number << PIECE_LOG, w->copy->file.size, slot, err);
}

static int piece_emit(void *ctx, uint64_t number, void *slot, struct err *err)
{
	const struct part *part = slot;
	struct work *w = ctx;

	(void)number;
	return EVP_DigestUpdate(w->whole, part->buf, part->len) ? 0 : hash_failed(w, err);
}

static int chunks_copy(struct work *w, struct err *err)
{
	const struct pool_job job = { .parts = w->index->count,
					  .slot_bytes = sizeof(struct part),
					  .work = chunk_work,
					  .emit = chunk_emit };

	return pool_in_order(&job, w, err);
}

static int whole_copy(struct work *w, struct err *err)
{
	_cleanup_(md_ctx_freep) EVP_MD_CTX *sha = EVP_MD_CTX_new();
	const struct pool_job job = { .parts = (w->copy->file.size + PIECE - 1) >> PIECE_LOG,
					  .slot_bytes = sizeof(struct part),
					  .work = piece_work,
					  .emit = piece_emit };

	if (!sha || !EVP_DigestInit_ex(sha, EVP_sha256(), NULL))
		return hash_failed(w, err);
	w->whole = sha;
	if (pool_in_order(&job, w, err) < 0)
		return -1;
	return EVP_DigestFinal_ex(sha, w->copy->sha256, NULL) ? 0 : hash_failed(w, err);
}

int uki_copy_make(int fd, const char *name, uint64_t size, const struct chunkindex *index,
		  struct uki_copy *ret_copy, struct err *err)
{
	struct uki_copy copy = { .file = MEMFILE_NONE };
	struct work w = { .from = fd, .name = name, .index = index, .copy = &copy };
	int r;

	if (memfile_open("uki", &copy.file) < 0)
		return err_errno(err, EX_UNAVAILABLE, errno, "failed to make room in memory for %s",
				 name);
	r = memfile_skip(&copy.file, size);
	if (r < 0)
		(void)err_errno(err, EX_UNAVAILABLE, errno, "failed to make room in memory for %s",
				name);
	if (r == 0)
		r = (index ? chunks_copy : whole_copy)(&w, err);
	if (r == 0 && memfile_seal(&copy.file) < 0)
		r = err_errno(err, EX_UNAVAILABLE, errno, "failed to seal the copy of %s", name);
	if (r == 0)
		*ret_copy = copy;
	else
		memfile_close(&copy.file);
	return r;
}
