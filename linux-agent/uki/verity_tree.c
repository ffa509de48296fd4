/* SPDX-License-Identifier: MIT */
/* The whole tree, computed from the data: what the build machine checks. */
#include "verity.h"

#include "digest.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LEVELS_MAX 32
#define READ_BYTES ((size_t)1024 * 1024)	/* a multiple of every block size */

/* For each level, the block being filled. */
struct tree {
	const struct verity_super *super;
	const EVP_MD *type;
	EVP_MD_CTX *md;
	size_t slot;		/* bytes a digest takes: its size, up to a power of two */
	unsigned levels;
	uint8_t *block[LEVELS_MAX];
	size_t fill[LEVELS_MAX];
};

static void tree_clear(struct tree *t)
{
	for (unsigned i = 0; i < LEVELS_MAX; i++)
		free(t->block[i]);
	EVP_MD_CTX_free(t->md);
}

static int tree_begin(struct tree *t, const struct verity_super *super)
{
	uint64_t blocks = super->data_blocks, per_block;

	*t = (struct tree){ .super = super, .md = EVP_MD_CTX_new(), .slot = 1,
			    .type = EVP_get_digestbyname(super->digest) };
	while (t->slot < (size_t)EVP_MD_get_size(t->type))
		t->slot *= 2;
	per_block = super->hash_block / t->slot;
	if (!t->md || per_block < 2)
		return -1;
	do {
		t->block[t->levels] = calloc(1, super->hash_block);
		if (!t->block[t->levels++])
			return -1;
		blocks = blocks / per_block + (blocks % per_block != 0);
	} while (blocks > 1 && t->levels < LEVELS_MAX);
	return blocks == 1 ? 0 : -1;
}

static int digest(struct tree *t, const uint8_t *data, size_t len, uint8_t *ret)
{
	return EVP_DigestInit_ex(t->md, t->type, NULL) == 1 &&
	       EVP_DigestUpdate(t->md, t->super->salt, t->super->salt_len) == 1 &&
	       EVP_DigestUpdate(t->md, data, len) == 1 &&
	       EVP_DigestFinal_ex(t->md, ret, NULL) == 1 ? 0 : -1;
}

static int block_push(struct tree *t, unsigned level, const uint8_t *data, size_t len);

/* A level's block is complete, or the last one: pass its digest one level up. */
static int level_close(struct tree *t, unsigned level)
{
	if (block_push(t, level + 1, t->block[level], t->super->hash_block) < 0)
		return -1;
	memset(t->block[level], 0, t->super->hash_block);
	t->fill[level] = 0;
	return 0;
}

/* The digest of a block of the level below; level 0 is above the data. Never deeper
 * than the levels, and the top block is never closed. */
static int block_push(struct tree *t, unsigned level, const uint8_t *data, size_t len)
{
	if (t->fill[level] * t->slot == t->super->hash_block ||
	    digest(t, data, len, t->block[level] + t->fill[level] * t->slot) < 0)
		return -1;
	t->fill[level]++;
	if (level + 1 < t->levels && t->fill[level] * t->slot == t->super->hash_block)
		return level_close(t, level);
	return 0;
}

static int tree_finish(struct tree *t, uint8_t *ret_root)
{
	for (unsigned i = 0; i + 1 < t->levels; i++)
		if (t->fill[i] > 0 && level_close(t, i) < 0)
			return -1;
	return digest(t, t->block[t->levels - 1], t->super->hash_block, ret_root);
}

static int data_push(struct tree *t, int fd, const char *path, struct err *err)
{
	uint64_t end = t->super->data_blocks * t->super->data_block;
	_cleanup_free_ uint8_t *buf = malloc(READ_BYTES);

	for (uint64_t at = 0; buf && at < end; at += READ_BYTES) {
		size_t len = end - at < READ_BYTES ? (size_t)(end - at) : READ_BYTES;

		if (pread_full(fd, buf, len, (off_t)at) < 0)
			return err_errno(err, EX_NOINPUT, errno, "failed to read %s", path);
		for (size_t i = 0; i < len; i += t->super->data_block)
			if (block_push(t, 0, buf + i, t->super->data_block) < 0)
				return err_set(err, EX_SOFTWARE, "failed to compute the dm-verity "
					       "tree of %s", path);
	}
	return buf ? 0 : err_set(err, EX_SOFTWARE, "out of memory");
}

static int data_check(const struct verity_scan *scan, int fd, const char *path, struct err *err)
{
	_cleanup_(tree_clear) struct tree tree = { 0 };
	uint8_t root[EVP_MAX_MD_SIZE];

	if (tree_begin(&tree, &scan->super) < 0)
		return err_set(err, EX_SOFTWARE, "failed to compute the dm-verity tree of %s",
			       path);
	if (data_push(&tree, fd, path, err) < 0)
		return -1;
	if (tree_finish(&tree, root) < 0)
		return err_set(err, EX_SOFTWARE, "failed to compute the dm-verity tree of %s",
			       path);
	if (memcmp(root, scan->root, scan->root_len) != 0)
		return err_set(err, EX_DATAERR, "the data of %s is not what its dm-verity tree was "
			       "made of; run veritysetup format again", path);
	return 0;
}

static int other_check(const struct verity_scan *scan, const char *path, struct err *err)
{
	_cleanup_close_ int fd = open_data(path);

	if (fd < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to open %s", path);
	return data_check(scan, fd, path, err);
}

int verity_check_file(const char *path, const char *data, const char *root_hash, struct err *err)
{
	_cleanup_(verity_scan_clear) struct verity_scan scan = { 0 };
	_cleanup_free_ uint8_t *buf = malloc(READ_BYTES);
	_cleanup_close_ int fd = open_data(path);
	ssize_t n;

	if (fd < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to open %s", path);
	if (!buf)
		return err_set(err, EX_SOFTWARE, "out of memory");
	if (verity_scan_begin(&scan, root_hash, err) < 0)
		return -1;
	while (!scan.matches && (n = read(fd, buf, READ_BYTES)) != 0) {
		if (n < 0 && errno != EINTR)
			return err_errno(err, EX_NOINPUT, errno, "failed to read %s", path);
		if (n > 0 && verity_scan_feed(&scan, buf, (size_t)n, err) < 0)
			return -1;
	}
	if (verity_scan_finish(&scan, path, err) < 0)
		return -1;
	if (scan.super_at > 0)
		return data_check(&scan, fd, path, err);
	return strcmp(data, path) != 0 ? other_check(&scan, data, err) : 0;
}
