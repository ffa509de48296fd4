/* SPDX-License-Identifier: MIT */
/*
 * How a payload's chunks are had, without I/O: which layout costs the fewest
 * bytes, and how wanted ranges become requests.
 */
#pragma once

#include "chunkindex.h"

#include <stdbool.h>

/* Where a chunk comes from; first those that cost no bytes. */
enum plan_how {
	PLAN_WANTED,		/* not decided */
	PLAN_KEPT,		/* the target holds it in its place */
	PLAN_COPIED,		/* the running slot holds it in the same place */
	PLAN_BLOCKS, PLAN_BASE, PLAN_FULL,
};

#define PLAN_IMPOSSIBLE UINT64_MAX

/* What the frames of one chunk cost in each layout, bytes; PLAN_IMPOSSIBLE. */
struct plan_cost {
	uint64_t full, base, blocks;
};

/* The layout with the fewest bytes; full, then base, where it is a tie. */
enum plan_how plan_choose(const struct plan_cost *cost);

/* Chooses for every chunk that is PLAN_WANTED: how[i] becomes PLAN_BLOCKS, PLAN_BASE
 * or PLAN_FULL. fixed is what BLOCKS costs once, beside its frames (its dictionary):
 * if it does not save more than that, no chunk takes it. Returns the bytes to fetch. */
uint64_t plan_layouts(const struct plan_cost *costs, uint32_t count, uint64_t fixed,
		      uint8_t *how);

/* A range of the source that is wanted. */
struct plan_range {
	uint64_t offset, len;
	uint64_t run;		/* out: bytes of the request that begins here; 0: none does */
	uint32_t chunk;		/* that it is for: the caller's */
};

/* Groups ascending ranges into requests: small gaps are fetched and dropped where
 * that adds at most one part in PLAN_WASTE_PART to the wanted bytes (or
 * PLAN_WASTE_MIN bytes). */
enum { PLAN_WASTE_PART = 32, PLAN_WASTE_MIN = 16 * 1024 };
void plan_runs(struct plan_range *ranges, size_t count);
