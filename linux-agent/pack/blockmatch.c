/* SPDX-License-Identifier: MIT */
#include "blockmatch.h"

#include "io.h"

#include <string.h>

enum { COUNT_MAX = 2048, VOTES_EACH = 4 };

struct entry {
	uint64_t id;
	uint32_t block;
};

struct blockmatch {
	uint32_t count;
	const uint64_t *ids;	/* by block; points behind entries */
	struct entry entries[];	/* by id, then block */
};

static int entry_order(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->block < y->block ? -1 : x->block > y->block;
}

int blockmatch_make(const uint64_t *ids, uint32_t count, struct blockmatch **ret_match,
		    struct err *err)
{
	size_t entries = (size_t)count * sizeof(struct entry);
	struct blockmatch *m = malloc(sizeof *m + entries + (size_t)count * sizeof *ids);
	uint64_t *copy;

	if (!m)
		return err_set(err, EX_SOFTWARE, "failed to look for blocks: out of memory");
	for (uint32_t i = 0; i < count; i++)
		m->entries[i] = (struct entry){ ids[i], i };
	qsort(m->entries, count, sizeof *m->entries, entry_order);
	copy = (uint64_t *)(void *)((uint8_t *)m->entries + entries);
	memcpy(copy, ids, (size_t)count * sizeof *ids);
	m->ids = copy;
	m->count = count;
	*ret_match = m;
	return 0;
}

void blockmatch_free(struct blockmatch *match)
{
	free(match);
}

void blockmatch_freep(struct blockmatch **match)
{
	blockmatch_free(*match);
}

/* The first entry that is not before (id, block). */
static uint32_t entry_find(const struct blockmatch *m, uint64_t id, uint32_t block)
{
	const struct entry wanted = { id, block };
	uint32_t low = 0, high = m->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (entry_order(&m->entries[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int distance_order(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* The votes of one block, none if its id is common; returns how many. */
static size_t votes_cast(const struct blockmatch *m, uint64_t id, uint64_t block,
			 int64_t votes[VOTES_EACH])
{
	uint32_t at = entry_find(m, id, 0);
	size_t n = 0;

	for (; at < m->count && m->entries[at].id == id; at++) {
		if (n == VOTES_EACH)
			return 0;
		votes[n++] = (int64_t)m->entries[at].block - (int64_t)block;
	}
	return n;
}

bool blockmatch_distance(const struct blockmatch *match, const uint64_t *ids, uint32_t count,
			 uint64_t first, int64_t *ret_distance)
{
	int64_t votes[COUNT_MAX * VOTES_EACH];
	size_t n = 0, best = 0, same = 0;

	for (uint32_t i = 0; i < count && i < COUNT_MAX; i++)
		n += votes_cast(match, ids[i], first + i, votes + n);
	qsort(votes, n, sizeof *votes, distance_order);
	for (size_t i = 0; i < n; i++) {
		same = i > 0 && votes[i] == votes[i - 1] ? same + 1 : 1;
		if (same > best) {
			best = same;
			*ret_distance = votes[i];
		}
	}
	return best > 0;
}

/* Where to go on with a block that does not continue the run before it. */
static bool run_start(const struct blockmatch *m, uint64_t id, int64_t wanted, uint32_t *ret_block)
{
	uint32_t at;

	if (wanted >= 0 && wanted < m->count && m->ids[wanted] == id) {
		*ret_block = (uint32_t)wanted;
		return true;
	}
	at = entry_find(m, id, 0);
	if (at == m->count || m->entries[at].id != id)
		return false;
	*ret_block = m->entries[at].block;
	return true;
}

size_t blockmatch_runs(const struct blockmatch *match, const uint64_t *ids, uint32_t count,
		       uint64_t first, int64_t distance, struct blockrun *ret_runs, size_t max)
{
	struct blockrun run = { 0, 0 };
	size_t n = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t next = (uint64_t)run.base + run.count;

		if (run.count > 0 && next < match->count && match->ids[next] == ids[i]) {
			ret_runs[n - 1].count = ++run.count;
			continue;
		}
		if (n == max || !run_start(match, ids[i], (int64_t)(first + i) + distance,
					   &run.base))
			return 0;
		run.count = 1;
		ret_runs[n++] = run;
	}
	return n;
}
