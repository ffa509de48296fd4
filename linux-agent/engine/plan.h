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

struct plan_sum {
	uint64_t bytes;		/* wanted, and those in gaps */
	size_t requests;
};

/* Groups ascending ranges into requests: gaps up to gap are fetched and dropped, but no more than one
 * part in PLAN_WASTE_PART of the wanted bytes (or PLAN_WASTE_MIN bytes); then longer ones, until
 * there are no more than so many requests. */
enum { PLAN_WASTE_PART = 12, PLAN_WASTE_MIN = 16 * 1024 };
struct plan_sum plan_runs(struct plan_range *ranges, size_t count, uint64_t gap, size_t requests);

/* What a bundle takes in all, unless there is more trouble than usual: some servers count them. */
enum { PLAN_REQUESTS = 360, PLAN_REQUESTS_MIN = 32 };
