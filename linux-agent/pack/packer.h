/* SPDX-License-Identifier: MIT */
/*
 * Packs one payload: see docs/FORMAT.md, Bundles. Frames go to a file in the order of the chunks;
 * the caller encodes the indexes that come back.
 *
 * Each chunk is worked on alone, by whichever thread is free, with a compressor of its own,
 * so that the same input gives the same bytes whatever the number of threads. Each frame
 * is decoded again and compared before it counts. Memory: a few chunks, and what zstd needs
 * at its level, for each thread; besides, for each 4 KiB, 10 bytes for the ids of blocks and
 * 24 of a base.
 */
#pragma once

#include "chunkindex.h"
#include "report.h"

#include <stdbool.h>
#include <stdio.h>

enum {
	PACKER_LEVEL = 9,		/* 19 saves 9 % more and takes 16 times as long */
	PACKER_BLOCKS_LEVEL = 12,	/* 14 saves up to 3 % more and takes up to twice as long */
	/* Frames shorter than this are there again rather than named twice: the name would save
	 * next to nothing, and whoever reads the frames in their order goes on without a jump. */
	PACKER_SAME_MIN = 4096,
};

struct bundle;
struct payload;
struct packer_reuse;

struct packer {
	const char *path;	/* of the payload, for messages */
	const char *name;	/* "rootfs", for the steps shown */
	int fd;			/* a regular file or a block device; at any position */
	uint64_t size;		/* its bytes, at least 1 */
	bool uki;		/* must begin with MZ */
	bool in_blocks;		/* a frame for each block of 4 KiB, where that pays */
	unsigned chunk_log;
	unsigned threads;	/* 0: one for each processor */
	int level;		/* zstd's, 1 to 22 */
	int blocks_level;	/* of the frames of blocks */
	struct packer_reuse *reuse;	/* frames of an older bundle, the caller's; NULL: none */
	struct report *report;	/* NULL: nothing is shown */
	/* Filled by packer_full(); packer_clear() frees. */
	struct chunkindex index;
	struct blockindex blocks;	/* with in_blocks */
	uint8_t *dictionary;		/* of every frame; NULL: the payload is too uniform or
					 * too small to train one */
	size_t dictionary_len;
	uint32_t reused;		/* chunks whose frames are the older bundle's */
	uint8_t sha256[32];	/* of the whole payload */
};

/* Opens path and takes its size. EX_NOINPUT, EX_NOPERM; EX_DATAERR: it is empty. The
 * rest of *ret_packer is zero. */
int packer_open(const char *path, struct packer *ret_packer, struct err *err);
void packer_clear(struct packer *packer);

/* Whether the payload is fit to be in blocks: neither tiny nor beyond BLOCKS_MAX. */
bool packer_blocks_fit(const struct packer *packer);

/* Writes the frames, and fills the rest of packer. Must come before packer_base(), which
 * is checked against its index. EX_DATAERR: not a UKI, it changed while it was read, or the older
 * bundle's dictionary is none; EX_IOERR: out, which is read back too, cannot be written. */
int packer_full(struct packer *packer, FILE *out, struct err *err);

/* The frames of a payload in an older bundle: each is used only where it was decoded to the very bytes
 * of a chunk, so that nobody has to vouch for them. NULL where none can be used, since they were made
 * otherwise (chunk size, blocks). The bundle must outlive it; the caller frees. Errors as bundle_index(),
 * bundle_pinned(). */
int packer_reuse_open(struct bundle *bundle, const struct payload *payload, const struct packer *packer,
		      struct packer_reuse **ret_reuse, struct err *err);
void packer_reuse_free(struct packer_reuse *reuse);	/* NULL is accepted */

/* Writes the BASE layout against the image in base (its other layouts are not looked at,
 * only path, fd and size; its sha256 is filled). The caller clears the index. */
int packer_base(const struct packer *packer, struct packer *base, FILE *out,
		struct baseindex *ret_index, struct err *err);
