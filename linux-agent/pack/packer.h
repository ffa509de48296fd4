/* SPDX-License-Identifier: MIT */
/*
 * Packs one payload into its layouts: see docs/FORMAT.md, Bundles. Frames go to a file
 * in the order of the chunks or blocks; the caller encodes the index that comes back.
 *
 * Each chunk is worked on alone, by whichever thread is free, with a compressor of its own,
 * so that the same input gives the same bytes whatever the number of threads. Each frame
 * is decoded again and compared before it counts. Memory: a few chunks, and what zstd needs
 * at its level, for each thread; besides, for each 4 KiB, 19 bytes for the BLOCKS layout and
 * 24 of a base (in all 55 MB for a sparse image of 4 GiB, with two threads, without a base).
 */
#pragma once

#include "chunkindex.h"
#include "report.h"

#include <stdbool.h>
#include <stdio.h>

enum { PACKER_LEVEL = 9 };	/* 19 saves 9 % more and takes 16 times as long */

struct packer {
	const char *path;	/* of the payload, for messages */
	const char *name;	/* "rootfs", for the steps shown */
	int fd;			/* a regular file or a block device; at any position */
	uint64_t size;		/* its bytes, at least 1 */
	bool uki;		/* must begin with MZ */
	unsigned chunk_log;
	unsigned threads;	/* 0: one for each processor */
	int level;		/* zstd's, 1 to 22 */
	struct report *report;	/* NULL: nothing is shown */
	struct chunkindex index;	/* filled by packer_full(); packer_clear() frees */
	uint8_t sha256[32];	/* of the whole payload; filled by packer_full() */
};

/* Opens path and takes its size. EX_NOINPUT, EX_NOPERM; EX_DATAERR: it is empty. The
 * rest of *ret_packer is zero. */
int packer_open(const char *path, struct packer *ret_packer, struct err *err);
void packer_clear(struct packer *packer);

/* Writes the FULL layout with its seek table, and fills index and sha256. Must come
 * first: the other layouts are checked against that index. EX_DATAERR: not a UKI, or it
 * changed while it was read; EX_IOERR: out cannot be written. */
int packer_full(struct packer *packer, FILE *out, struct err *err);

/* Whether the payload is fit for the BLOCKS layout: neither tiny nor beyond BLOCKS_MAX. */
bool packer_blocks_fit(const struct packer *packer);

/* Writes the BLOCKS layout. The dictionary is NULL where the payload is too uniform or too
 * small to train one. The caller frees it and clears the index. Errors as above. */
int packer_blocks(const struct packer *packer, FILE *out, struct blockindex *ret_index,
		  uint8_t **ret_dictionary, size_t *ret_dictionary_len, struct err *err);

/* Writes the BASE layout against the image in base (its other layouts are not looked at,
 * only path, fd and size; its sha256 is filled). The caller clears the index. */
int packer_base(const struct packer *packer, struct packer *base, FILE *out,
		struct baseindex *ret_index, struct err *err);
