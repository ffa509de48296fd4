/* SPDX-License-Identifier: MIT */
/*
 * Where an older image holds the bytes of a newer one: by the ids of its 4 KiB blocks
 * (XXH64, as in chunkindex.h, whole). Files move between builds by whole blocks, all
 * together, so that a chunk's blocks agree on a distance; changed ones between them
 * resemble what stands at that distance.
 *
 * Block numbers count from the start of their image. An id is a hint: two blocks of the
 * same id are the same only once their bytes were compared.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blockmatch;

/* Takes the ids of all blocks of the older image, in order; 16 bytes of memory each.
 * EX_SOFTWARE: out of memory. */
int blockmatch_make(const uint64_t *ids, uint32_t count, struct blockmatch **ret_match,
		    struct err *err);
void blockmatch_free(struct blockmatch *match);
void blockmatch_freep(struct blockmatch **match);

/* The distance (older block number less newer one) on which most of these count blocks
 * agree, first being the number of the first one; false: none of them is to be found. Ids
 * that the older image has more than a few times have no vote. count at most 2048. */
bool blockmatch_distance(const struct blockmatch *match, const uint64_t *ids, uint32_t count,
			 uint64_t first, int64_t *ret_distance);

/* A stretch of the newer image that the older one has in one piece. */
struct blockrun {
	uint32_t base;		/* number of its first block in the older image */
	uint32_t count;
};

/* Cuts the count blocks into at most max runs, preferring `distance` where there is a
 * choice; 0: some block is not to be found, or it would take more runs. */
size_t blockmatch_runs(const struct blockmatch *match, const uint64_t *ids, uint32_t count,
		       uint64_t first, int64_t distance, struct blockrun *ret_runs, size_t max);
