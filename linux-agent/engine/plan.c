/* SPDX-License-Identifier: MIT */
#include "plan.h"

enum plan_how plan_choose(const struct plan_cost *cost)
{
	if (cost->base < cost->full && cost->base <= cost->blocks)
		return PLAN_BASE;
	return cost->blocks < cost->full ? PLAN_BLOCKS : PLAN_FULL;
}

static uint64_t cost_of(const struct plan_cost *cost, enum plan_how how)
{
	return how == PLAN_BASE ? cost->base : how == PLAN_BLOCKS ? cost->blocks : cost->full;
}

uint64_t plan_layouts(const struct plan_cost *costs, uint32_t count, uint8_t *how)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (how[i] != PLAN_WANTED)
			continue;
		how[i] = (uint8_t)plan_choose(&costs[i]);
		sum += cost_of(&costs[i], how[i]);
	}
	return sum;
}

#define JUMP_BACK UINT64_MAX	/* beyond every gap */

/* JUMP_BACK where the range lies before the end of the one before it: the frames of a chunk are those
 * of one long before it. */
static uint64_t gap_before(const struct plan_range *r)
{
	uint64_t end = r[-1].offset + r[-1].len;

	return r->offset < end ? JUMP_BACK : r->offset - end;
}

/* Bytes fetched needlessly if gaps up to this length are bridged. */
static uint64_t waste_of(const struct plan_range *ranges, size_t count, uint64_t gap)
{
	uint64_t waste = 0;

	for (size_t i = 1; i < count; i++)
		if (gap_before(&ranges[i]) <= gap)
			waste += gap_before(&ranges[i]);
	return waste;
}

/* Number of requests in that case. */
static size_t requests_of(const struct plan_range *ranges, size_t count, uint64_t gap)
{
	size_t requests = count > 0;

	for (size_t i = 1; i < count; i++)
		requests += gap_before(&ranges[i]) > gap;
	return requests;
}

/* The longest gap, up to most, that keeps the waste within what is allowed. */
static uint64_t gap_allowed(const struct plan_range *ranges, size_t count, uint64_t most,
			    uint64_t allowed)
{
	uint64_t low = 0, high = most;

	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;

		if (waste_of(ranges, count, middle) <= allowed)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* The shortest gap that keeps the number of requests within the limit, beside jumps back, of which no
 * gap saves any. */
static uint64_t gap_needed(const struct plan_range *ranges, size_t count, size_t requests)
{
	uint64_t low = 0, high = INT64_MAX;

	for (size_t i = 1; i < count; i++)
		requests += gap_before(&ranges[i]) == JUMP_BACK;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (requests_of(ranges, count, middle) <= requests)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The gap that is to be bridged for the sake of the limits. */
static uint64_t gap_limited(const struct plan_range *ranges, size_t count, uint64_t wanted,
			    size_t requests, size_t most)
{
	uint64_t needed = gap_needed(ranges, count, requests > 0 ? requests : 1);
	uint64_t least, cheap;

	if (waste_of(ranges, count, needed) <= wanted / PLAN_BRIDGED_PART)
		return needed;
	least = gap_needed(ranges, count, most > 0 ? most : 1);
	cheap = gap_allowed(ranges, count, needed, wanted / PLAN_BRIDGED_PART);
	return cheap > least ? cheap : least;
}

struct plan_sum plan_runs(struct plan_range *ranges, size_t count, uint64_t gap, size_t requests,
			  size_t most)
{
	struct plan_sum sum = { 0 };
	uint64_t wanted = 0, allowed, limited;
	size_t first = 0;

	if (count == 0)
		return sum;
	for (size_t i = 0; i < count; i++)
		wanted += ranges[i].len;
	allowed = wanted / PLAN_WASTE_PART;
	if (allowed < PLAN_WASTE_MIN)
		allowed = PLAN_WASTE_MIN;
	gap = gap_allowed(ranges, count, gap, allowed);
	limited = gap_limited(ranges, count, wanted, requests, most);
	gap = gap > limited ? gap : limited;
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && gap_before(&ranges[i]) > gap)
			first = i;
		ranges[i].run = 0;
		ranges[first].run = ranges[i].offset + ranges[i].len - ranges[first].offset;
	}
	sum.requests = requests_of(ranges, count, gap);
	sum.bytes = wanted + waste_of(ranges, count, gap);
	return sum;
}
