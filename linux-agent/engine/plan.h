/* SPDX-License-Identifier: MIT */
/*
 * Plans how to get a payload's chunks, without I/O: which layout costs the fewest bytes,
 * and how the wanted ranges are combined into requests.
 */
#pragma once

#include "chunkindex.h"

#include <stdbool.h>

/* Where a chunk comes from. The first ones cost no bytes. */
enum plan_how {
	PLAN_WANTED,		/* not decided yet */
	PLAN_KEPT,		/* the target holds it in place */
	PLAN_COPIED,		/* the running slot holds it at the same position */
	PLAN_BLOCKS, PLAN_BASE, PLAN_FULL,
};

#define PLAN_IMPOSSIBLE UINT64_MAX

/* Bytes to fetch for one chunk in each layout, or PLAN_IMPOSSIBLE. */
struct plan_cost {
	uint64_t full, base, blocks;
};

/* The layout with the fewest bytes. In a tie, FULL wins over BASE, and BASE over BLOCKS. */
enum plan_how plan_choose(const struct plan_cost *cost);

/* Decides every PLAN_WANTED chunk: how[i] becomes PLAN_BLOCKS, PLAN_BASE or PLAN_FULL. Returns the
 * bytes to fetch. */
uint64_t plan_layouts(const struct plan_cost *costs, uint32_t count, uint8_t *how);

/* A wanted range of the source. */
struct plan_range {
	uint64_t offset, len;
	uint64_t run;		/* out: length of the request that begins here; 0: none does */
	uint32_t chunk;		/* the chunk it is for; set by the caller */
};

struct plan_sum {
	uint64_t bytes;		/* wanted bytes and those in bridged gaps */
	size_t requests;
};

/* Combines ranges into requests; one that begins before the end of the one before it begins a
 * request. Gaps up to gap are bridged (fetched and dropped) as long as that wastes no more than
 * 1 / PLAN_WASTE_PART of the wanted bytes, or PLAN_WASTE_MIN bytes. Then longer gaps are bridged,
 * until there are no more than this many requests beside those that jump back. Where that wasted
 * more than 1 / PLAN_BRIDGED_PART of the wanted bytes, it is as few requests as keep to this, but no
 * more than most. */
enum { PLAN_WASTE_PART = 12, PLAN_WASTE_MIN = 16 * 1024, PLAN_BRIDGED_PART = 4 };
struct plan_sum plan_runs(struct plan_range *ranges, size_t count, uint64_t gap, size_t requests,
			  size_t most);

/* The limits of requests for a whole bundle, unless many fail or jump back: some servers count them. */
enum { PLAN_REQUESTS = 360, PLAN_REQUESTS_MOST = 900, PLAN_REQUESTS_MIN = 32 };
