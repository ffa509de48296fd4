/* SPDX-License-Identifier: MIT */
/* Chooses each chunk's layout, given what a delta would need that is not on this machine. */
#include "enginework.h"

#include "io.h"

#include <string.h>

/* 8 GiB: each block takes up to 19 bytes of memory (its id, the length of its frame, its place, and
 * its share of the table). */
#define DELTA_BLOCKS_MAX (1u << 21)

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to plan a delta: out of memory");
}

static uint32_t table_start(const struct delta_blocks *b, uint64_t id)
{
	return (uint32_t)((id * 0x9e3779b97f4a7c15u >> 32) * b->table_size >> 32);
}

static uint32_t table_next(const struct delta_blocks *b, uint32_t at)
{
	return at + 1 < b->table_size ? at + 1 : 0;
}

uint32_t delta_block_find(const struct delta_blocks *b, uint64_t id)
{
	for (uint32_t at = table_start(b, id);; at = table_next(b, at)) {
		uint32_t i = b->table[at];

		if (i == NOWHERE || b->index.ids[i] == id)
			return i;
	}
}

static void block_insert(struct delta_blocks *b, uint32_t block)
{
	uint64_t id = b->index.ids[block];
	uint32_t at = table_start(b, id);

	while (b->table[at] != NOWHERE && b->index.ids[b->table[at]] != id)
		at = table_next(b, at);
	if (b->table[at] == NOWHERE)
		b->table[at] = block;
}

static uint32_t *nowhere_new(size_t count)
{
	uint32_t *a = malloc(count * sizeof *a);

	if (a)
		memset(a, 0xff, count * sizeof *a);
	return a;
}

static uint32_t chunk_of_block(const struct engine *e, uint64_t block)
{
	return (uint32_t)(block >> (e->index.chunk_log - BLOCK_LOG));
}

static bool block_is_wanted(const struct engine *e, uint32_t block)
{
	uint32_t chunk = chunk_of_block(e, block);

	return e->how[chunk] == PLAN_WANTED && e->index.chunks[chunk].blocks;
}

/* The blocks of wanted chunks, by their ids. */
static int table_make(struct engine *e, struct err *err)
{
	struct delta_blocks *b = &e->delta.blocks;

	/* At most four fifths full, with at least one free entry. */
	b->table_size = b->index.count + b->index.count / 4 + 1;
	b->table = nowhere_new(b->table_size);
	b->from = nowhere_new(b->index.count);
	if (!b->table || !b->from)
		return no_memory(err);
	for (uint32_t i = 0; i < b->index.count; i++)
		if (block_is_wanted(e, i))
			block_insert(b, i);
	return 0;
}

/* Where blocks may be found at any offset, the reads overlap by one. */
static int place_scan(struct engine *e, int held, struct err *err)
{
	const struct delta_blocks *b = &e->delta.blocks;
	const struct engine_held *h = &e->job.held[held];
	size_t step = work_chunk_bytes(e) - (b->place_log < BLOCK_LOG ? BLOCK_BYTES : 0);

	if (e->files[held] < 0)
		return 0;
	e->delta.scanned = held;
	for (uint64_t at = 0; at < h->size && at < place_end(b); at += step) {
		struct task *t;

		if (work_take(e, &t, err) < 0)
			return -1;
		t->how = WORK_SCAN;
		t->at = at;
		pool_put(e->pool, t);
	}
	return pool_drain(e->pool, err);
}

/* True if a chunk of a place still holds its bytes when the chunk is made. Chunks are made in order,
 * a limited number at a time; a kept chunk is never overwritten. */
static bool place_lasts(const struct engine *e, int held, uint32_t source, uint32_t chunk)
{
	if (held != HELD_TARGET || source == chunk || source >= e->index.count)
		return true;
	return e->how[source] == PLAN_KEPT ||
	       (e->how[source] == PLAN_WANTED && source > chunk + e->options->threads + 4);
}

static bool block_lasts(const struct engine *e, uint32_t place, uint32_t chunk)
{
	uint64_t at = place_offset(&e->delta.blocks, place);
	uint32_t first = (uint32_t)(at >> e->index.chunk_log);
	uint32_t last = (uint32_t)((at + BLOCK_BYTES - 1) >> e->index.chunk_log);

	return place_lasts(e, place_held(place), first, chunk) &&
	       place_lasts(e, place_held(place), last, chunk);
}

/* Backwards, because the table has the first block of each id, whose entry must be read by the
 * others before it is replaced. */
static void blocks_resolve(struct engine *e)
{
	struct delta_blocks *b = &e->delta.blocks;

	for (uint32_t i = b->index.count; i-- > 0;) {
		uint32_t place;

		if (!block_is_wanted(e, i))
			continue;
		place = b->from[delta_block_find(b, b->index.ids[i])];
		if (place != NOWHERE && !block_lasts(e, place, chunk_of_block(e, i)))
			place = NOWHERE;
		b->from[i] = place;
	}
	free(b->table);
	free(b->index.ids);
	b->table = NULL;
	b->index.ids = NULL;
}

static uint64_t blocks_cost(const struct engine *e, uint32_t chunk)
{
	const struct delta_blocks *b = &e->delta.blocks;
	uint32_t per_chunk = (uint32_t)(work_chunk_bytes(e) / BLOCK_BYTES);
	uint32_t first = chunk * per_chunk;
	uint64_t cost = 0;

	if (!e->index.chunks[chunk].blocks)
		return PLAN_IMPOSSIBLE;
	for (uint32_t i = first; i < first + per_chunk && i < b->index.count; i++)
		if (b->from[i] == NOWHERE)
			cost += b->index.lengths[i];
	/* The frames must fit into a task's buffer; frames this long would be useless anyway. */
	return cost <= work_chunk_bytes(e) ? cost : PLAN_IMPOSSIBLE;
}

static int blocks_search(struct engine *e, struct err *err)
{
	int r;

	e->delta.blocks.place_log = e->job.payload->type == PAYLOAD_UKI ? SECTION_LOG : BLOCK_LOG;
	if (table_make(e, err) < 0 || work_pool_open(e, e->options->threads, 0, 0, err) < 0)
		return -1;
	r = place_scan(e, HELD_RUNNING, err);
	if (r == 0 && (e->job.held[HELD_TARGET].known || e->job.held[HELD_TARGET].cut_off))
		r = place_scan(e, HELD_TARGET, err);
	if (work_pool_close(e, r, err) < 0)
		return -1;
	blocks_resolve(e);
	return 0;
}

static int blocks_load(struct engine *e, struct err *err)
{
	const struct payload_blocks *p = &e->job.payload->blocks;
	_cleanup_free_ uint8_t *data = NULL;
	struct delta_blocks *b = &e->delta.blocks;
	size_t len;

	if (bundle_pinned(e->job.bundle, &p->index, &data, &len, err) < 0)
		return -1;
	if (blockindex_decode(data, len, &e->index, &b->index, err) < 0) {
		(void)err_prefix(err, "%s", p->index.file);
		return bundle_prefix(e->job.bundle, err);
	}
	return 0;
}

/* --- BASE ------------------------------------------------------------------ */

static const struct payload_base *base_find(const struct engine *e, int *ret_held)
{
	const struct payload *p = e->job.payload;

	for (int held = 0; held < HELD_COUNT; held++) {
		const struct engine_held *h = &e->job.held[held];

		for (size_t i = 0; h->path && h->known && i < p->base_count; i++)
			if (memcmp(p->bases[i].sha256, h->sha256, sizeof h->sha256) == 0) {
				*ret_held = held;
				return &p->bases[i];
			}
	}
	return NULL;
}

static int base_load(struct engine *e, const struct payload_base *entry, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct delta_base *b = &e->delta.base;
	size_t len;

	if (bundle_pinned(e->job.bundle, &entry->index, &data, &len, err) < 0)
		return -1;
	if (baseindex_decode(data, len, &e->index, &b->index, err) < 0) {
		(void)err_prefix(err, "%s", entry->index.file);
		return bundle_prefix(e->job.bundle, err);
	}
	if (b->index.frames_size > 0 &&
	    bundle_frames(e->job.bundle, entry->file, b->index.frames_size, &b->frames, err) < 0)
		return -1;
	b->entry = entry;
	return 0;
}

static uint64_t base_cost(const struct engine *e, uint32_t i)
{
	const struct base_chunk *c = &e->delta.base.index.chunks[i];

	for (uint32_t k = 0; k < c->region_count; k++) {
		const struct base_region *r = &c->regions[k];
		uint32_t first = (uint32_t)(r->offset >> e->index.chunk_log);
		uint32_t last = (uint32_t)((r->offset + r->length - 1) >> e->index.chunk_log);

		for (uint32_t s = first; s <= last; s++)
			if (!place_lasts(e, e->delta.base.held, s, i))
				return PLAN_IMPOSSIBLE;
	}
	return c->frame;
}

static void base_prefix_max(struct engine *e)
{
	for (uint32_t i = 0; i < e->index.count; i++) {
		const struct base_chunk *c = &e->delta.base.index.chunks[i];
		size_t prefix = 0;

		for (uint32_t k = 0; k < c->region_count; k++)
			prefix += c->regions[k].length;
		if (e->how[i] == PLAN_BASE && prefix > e->delta.base.prefix_max)
			e->delta.base.prefix_max = prefix;
	}
}

/* A damaged delta is only a warning: its chunks are fetched from FULL. Returns -1 for any other
 * error. */
static int damage_forgive(const struct engine *e, const struct err *why, struct err *err)
{
	if (why->exit != EX_DATAERR) {
		if (err)
			*err = *why;
		return -1;
	}
	if (e->options->warn)
		e->options->warn(e->options->ctx, why->text);
	return 0;
}

/* --- the choice ------------------------------------------------------------ */

static uint64_t cost_sum(const struct engine *e, const struct plan_cost *costs)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < e->index.count; i++)
		if (e->how[i] == PLAN_WANTED)
			sum += costs[i].base < costs[i].full ? costs[i].base : costs[i].full;
	return sum;
}

static int base_try(struct engine *e, struct plan_cost *costs, struct err *err)
{
	const struct payload_base *entry = base_find(e, &e->delta.base.held);
	struct err why = { 0 };

	if (!entry || entry->index.size >= cost_sum(e, costs))
		return 0;
	if (base_load(e, entry, &why) < 0)
		return damage_forgive(e, &why, err);
	for (uint32_t i = 0; i < e->index.count; i++)
		costs[i].base = base_cost(e, i);
	return 0;
}

static int blocks_try(struct engine *e, struct plan_cost *costs, struct err *err)
{
	const struct payload_blocks *p = &e->job.payload->blocks;
	struct err why = { 0 };

	if (!p->index.file || p->index.size >= cost_sum(e, costs) ||
	    chunkindex_parts(e->job.payload->size, BLOCK_LOG) > DELTA_BLOCKS_MAX ||
	    (e->files[HELD_RUNNING] < 0 && e->files[HELD_TARGET] < 0))
		return 0;
	if (blocks_load(e, &why) < 0)
		return damage_forgive(e, &why, err);
	if (blocks_search(e, err) < 0)
		return -1;
	for (uint32_t i = 0; i < e->index.count; i++)
		costs[i].blocks = blocks_cost(e, i);
	return 0;
}

static bool any(const struct engine *e, enum plan_how how)
{
	return memchr(e->how, (int)how, e->index.count) != NULL;
}

int delta_plan(struct engine *e, struct err *err)
{
	const struct engine_job *job = &e->job;
	_cleanup_free_ struct plan_cost *costs = calloc(e->index.count, sizeof *costs);

	if (!costs)
		return no_memory(err);
	for (uint32_t i = 0; i < e->index.count; i++)
		costs[i] = (struct plan_cost){ e->index.chunks[i].frame, PLAN_IMPOSSIBLE,
					       PLAN_IMPOSSIBLE };
	if (bundle_source(job->bundle)->remote &&
	    (base_try(e, costs, err) < 0 || blocks_try(e, costs, err) < 0))
		return -1;
	(void)plan_layouts(costs, e->index.count, e->how);
	if (!any(e, PLAN_BASE))
		e->delta.base.entry = NULL;
	else
		base_prefix_max(e);
	return 0;
}

size_t delta_memory(const struct engine *e)
{
	const struct delta_blocks *b = &e->delta.blocks;
	size_t each = (b->index.ids ? sizeof *b->index.ids : 0) +
		      (b->from ? sizeof *b->from + sizeof *b->index.lengths : 0);

	return each * b->index.count + (b->table ? b->table_size * sizeof *b->table : 0);
}

void delta_clear(struct engine *e)
{
	baseindex_clear(&e->delta.base.index);
	blockindex_clear(&e->delta.blocks.index);
	free(e->delta.blocks.table);
	free(e->delta.blocks.from);
}
