/* SPDX-License-Identifier: MIT */
#include "verity.h"

#include "bytes.h"
#include "digest.h"
#include "io.h"

#include <errno.h>
#include <string.h>

#define DISK_PIECE ((size_t)1024 * 1024)

static const uint8_t magic[8] = "verity";

static bool block_size_is_sound(uint32_t size)
{
	return size >= 512 && size <= VERITY_BLOCK_MAX && (size & (size - 1)) == 0;
}

bool verity_super_parse(const uint8_t bytes[VERITY_SUPER_BYTES],
			struct verity_super *ret_super)
{
	struct verity_super s = {
		.data_block = le32_get(bytes + 64),
		.hash_block = le32_get(bytes + 68),
		.data_blocks = le64_get(bytes + 72),
		.salt_len = le16_get(bytes + 80),
	};

	if (memcmp(bytes, magic, sizeof magic) != 0 || le32_get(bytes + 8) != 1 ||
	    le32_get(bytes + 12) != 1 || !block_size_is_sound(s.data_block) ||
	    !block_size_is_sound(s.hash_block) || s.data_blocks < 1 ||
	    s.data_blocks > (uint64_t)INT64_MAX / s.data_block || s.salt_len > sizeof s.salt)
		return false;
	memcpy(s.digest, bytes + 32, 32);
	memcpy(s.salt, bytes + 88, s.salt_len);
	if (!EVP_get_digestbyname(s.digest))
		return false;
	*ret_super = s;
	return true;
}

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to look at a dm-verity tree: out of memory");
}

int verity_scan_begin(struct verity_scan *scan, const char *root_hash, struct err *err)
{
	*scan = (struct verity_scan){ .root_len = strlen(root_hash) / 2 };
	if (scan->root_len < 1 || scan->root_len > VERITY_ROOT_MAX ||
	    !hex_decode(root_hash, scan->root, scan->root_len))
		return err_set(err, EX_DATAERR, "%s is not a dm-verity root hash", root_hash);
	scan->top = malloc(VERITY_BLOCK_MAX);
	return scan->top ? 0 : no_memory(err);
}

void verity_scan_clear(struct verity_scan *scan)
{
	free(scan->top);
	scan->top = NULL;
}

/* Digest of salt and block: hash type 1. */
static int block_digest(const struct verity_super *super, EVP_MD_CTX *md, const uint8_t *block,
			size_t len, uint8_t *ret_digest, size_t *ret_len, struct err *err)
{
	const EVP_MD *type = EVP_get_digestbyname(super->digest);
	unsigned digest_len;

	if (!md || EVP_MD_get_size(type) > VERITY_ROOT_MAX ||
	    EVP_DigestInit_ex(md, type, NULL) != 1 ||
	    EVP_DigestUpdate(md, super->salt, super->salt_len) != 1 ||
	    EVP_DigestUpdate(md, block, len) != 1 ||
	    EVP_DigestFinal_ex(md, ret_digest, &digest_len) != 1)
		return no_memory(err);
	*ret_len = digest_len;
	return 0;
}

/* Several may be there (an image can hold another as a file); the right one counts. */
static int top_judge(struct verity_scan *scan, struct err *err)
{
	_cleanup_(md_ctx_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();

	scan->tree_at = 0;
	if (block_digest(&scan->super, md, scan->top, scan->super.hash_block, scan->found,
			 &scan->found_len, err) < 0)
		return -1;
	scan->matches = scan->found_len == scan->root_len &&
			memcmp(scan->found, scan->root, scan->root_len) == 0;
	return 0;
}

static void sector_look(struct verity_scan *scan, const uint8_t *sector, uint64_t at)
{
	struct verity_super super;

	if (memcmp(sector, magic, sizeof magic) != 0 || !verity_super_parse(sector, &super))
		return;
	if (at != 0 && at != super.data_blocks * super.data_block)
		return;
	scan->super = super;
	scan->super_at = at;
	scan->tree_at = (at / super.hash_block + 1) * super.hash_block;
}

/* Bytes between the superblock and the end of the top block; how many were taken. */
static size_t top_collect(struct verity_scan *scan, const uint8_t *data, size_t len)
{
	uint64_t begin = scan->tree_at, end = begin + scan->super.hash_block;
	size_t n = len < end - scan->at ? len : (size_t)(end - scan->at);
	size_t skip = scan->at >= begin ? 0
				       : begin - scan->at < n ? (size_t)(begin - scan->at) : n;

	if (n > skip)
		memcpy(scan->top + (scan->at + skip - begin), data + skip, n - skip);
	scan->at += n;
	return n;
}

/* Consume up to the end of a sector; a whole sector is examined in place. */
static size_t sector_collect(struct verity_scan *scan, const uint8_t *data, size_t len)
{
	size_t in = (size_t)(scan->at % VERITY_SUPER_BYTES), left = VERITY_SUPER_BYTES - in;
	size_t n = len < left ? len : left;
	uint64_t begin = scan->at - in;

	scan->at += n;
	if (n == VERITY_SUPER_BYTES) {
		sector_look(scan, data, begin);
		return n;
	}
	memcpy(scan->sector + in, data, n);
	if (n == left)
		sector_look(scan, scan->sector, begin);
	return n;
}

int verity_scan_feed(struct verity_scan *scan, const uint8_t *data, size_t len,
		     struct err *err)
{
	while (len > 0 && !scan->matches) {
		size_t n = scan->tree_at ? top_collect(scan, data, len)
					 : sector_collect(scan, data, len);

		if (scan->tree_at && scan->at == scan->tree_at + scan->super.hash_block &&
		    top_judge(scan, err) < 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

int verity_scan_finish(const struct verity_scan *scan, const char *image, struct err *err)
{
	char is[2 * VERITY_ROOT_MAX + 1], should[2 * VERITY_ROOT_MAX + 1];

	if (scan->matches)
		return 0;
	if (!scan->found_len)
		return err_set(err, EX_DATAERR, "the image %s has a root hash in the manifest and "
			       "no dm-verity tree in it (no superblock behind its data)", image);
	hex_encode(scan->found, scan->found_len, is);
	hex_encode(scan->root, scan->root_len, should);
	return err_set(err, EX_DATAERR, "the image %s does not belong to its root hash: its "
		       "dm-verity tree has the root %s, the manifest says %s", image, is, should);
}

/* From start (a multiple of DISK_PIECE) to the end or to the tree. */
static int disk_scan(const struct disk *disk, int file, uint64_t start, uint64_t size,
		     struct verity_scan *scan, struct err *err)
{
	_cleanup_free_ uint8_t *buf = aligned_alloc(4096, DISK_PIECE);

	if (!buf)
		return no_memory(err);
	scan->at = start;
	scan->tree_at = 0;
	for (uint64_t at = start; at < size && !scan->matches; at += DISK_PIECE) {
		size_t want = size - at < DISK_PIECE ? (size_t)(size - at) : DISK_PIECE;
		int64_t n = disk->read(disk->ctx, file, buf, DISK_PIECE, at);

		if (n < (int64_t)want)
			return err_errno(err, EX_IOERR, n < 0 ? errno : ENODATA,
					 "failed to read back an image");
		if (verity_scan_feed(scan, buf, want, err) < 0)
			return -1;
	}
	return 0;
}

/* A tree of 4096-byte blocks takes a 127th of its data: where the end holds none, the
 * whole image is looked at. */
int verity_check_disk(const struct disk *disk, const char *path, uint64_t size,
		      const char *root_hash, struct err *err)
{
	uint64_t tail = size / 64 + DISK_PIECE;
	uint64_t start = size > tail ? (size - tail) / DISK_PIECE * DISK_PIECE : 0;
	_cleanup_(verity_scan_clear) struct verity_scan scan = { 0 };
	int file = disk->open(disk->ctx, path, DISK_READ), r;

	if (file < 0)
		return err_errno(err, EX_IOERR, errno, "failed to open %s", path);
	r = verity_scan_begin(&scan, root_hash, err);
	if (r == 0)
		r = disk_scan(disk, file, start, size, &scan, err);
	if (r == 0 && !scan.matches && start > 0)
		r = disk_scan(disk, file, 0, size, &scan, err);
	disk->close(disk->ctx, file);
	return r < 0 ? -1 : verity_scan_finish(&scan, path, err);
}
