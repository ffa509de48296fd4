/* SPDX-License-Identifier: MIT */
/*
 * dm-verity trees in images: is the root hash that the manifest names the one of the
 * tree that is in the image? The superblock (cryptsetup, "Verity on-disk format") is
 * found by what it is: at a multiple of 512 bytes, and just behind the data it says
 * that it covers, or at the very beginning of an image that is only a tree.
 *
 *     0   8  "verity", two zeros       64   4  data block size
 *     8   4  version 1                 68   4  hash block size
 *    12   4  hash type 1               72   8  data blocks
 *    16  16  UUID                      80   2  salt size, at most 256
 *    32  32  digest, "sha256"          88 256  salt
 *
 * The tree begins at the next hash block; its first block is the top level, and the
 * root hash is the digest of salt and that block.
 */
#pragma once

#include "disk.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERITY_SUPER_BYTES 512
#define VERITY_BLOCK_MAX (64 * 1024)
#define VERITY_ROOT_MAX 64

struct verity_super {
	char digest[33];	/* as libcrypto knows it */
	uint32_t data_block, hash_block;	/* powers of two, 512 to VERITY_BLOCK_MAX */
	uint64_t data_blocks;	/* at least 1 */
	uint8_t salt[256];
	size_t salt_len;
};

/* Any bytes are safe; false: no superblock, or none that can be handled. */
bool verity_super_parse(const uint8_t bytes[VERITY_SUPER_BYTES],
			struct verity_super *ret_super);

/* What looks for the tree while an image passes by. */
struct verity_scan {
	uint8_t root[VERITY_ROOT_MAX];	/* the one wanted */
	size_t root_len;
	uint64_t at;		/* bytes seen */
	uint8_t sector[VERITY_SUPER_BYTES];
	struct verity_super super;
	uint64_t super_at;	/* where it was found */
	uint64_t tree_at;	/* 0: not looked for now */
	uint8_t *top;		/* the top block, as far as it was seen */
	uint8_t found[VERITY_ROOT_MAX];	/* root of the last tree seen */
	size_t found_len;	/* 0: none was seen */
	bool matches;
};

/* root_hash: hexadecimal digits, 2 to 128, an even number (a manifest's). */
int verity_scan_begin(struct verity_scan *scan, const char *root_hash, struct err *err);
void verity_scan_clear(struct verity_scan *scan);

/* The image's next bytes, in pieces of any length. EX_SOFTWARE: out of memory. */
int verity_scan_feed(struct verity_scan *scan, const uint8_t *data, size_t len,
		     struct err *err);

/* At the image's end: EX_DATAERR if it holds no tree, or one of another root. */
int verity_scan_finish(const struct verity_scan *scan, const char *image, struct err *err);

/* The same for an image that was written to a file or device: its first size bytes, of
 * which mostly the end is read. EX_IOERR, EX_DATAERR. */
int verity_check_disk(const struct disk *disk, const char *path, uint64_t size,
		      const char *root_hash, struct err *err);

/* The whole check, for the build machine: finds the tree in the file and computes it
 * anew from the data, which a file that begins with the tree has in another one: data; the
 * same path where there is none, and then only the tree's top is looked at. EX_NOINPUT,
 * EX_DATAERR. */
int verity_check_file(const char *path, const char *data, const char *root_hash, struct err *err);
