/* SPDX-License-Identifier: MIT */
/* Which layout a chunk comes from: what the deltas would need that is not here. */
#include "enginework.h"

#include "io.h"

#include <string.h>

/* 8 GiB: each block takes up to 19 bytes of memory (its id, the length of its frame, its
 * place and its part of the table). */
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

static uint32_t chunk_of_block(const struct work *w, uint64_t block)
{
	return (uint32_t)(block >> (w->job->index.chunk_log - BLOCK_LOG));
}

/* The blocks of wanted chunks, by their ids. */
static int table_make(struct work *w, struct err *err)
{
	struct delta_blocks *b = &w->blocks;

	/* Four fifths full at most, with at least one that is free. */
	b->table_size = b->index.count + b->index.count / 4 + 1;
	b->table = nowhere_new(b->table_size);
	b->from = nowhere_new(b->index.count);
	if (!b->table || !b->from)
		return no_memory(err);
	for (uint32_t i = 0; i < b->index.count; i++)
		if (w->job->how[chunk_of_block(w, i)] == PLAN_WANTED)
			block_insert(b, i);
	return 0;
}

static int place_scan(struct work *w, int held, struct err *err)
{
	const struct engine_held *h = &w->job->held[held];

	if (w->files[held] < 0)
		return 0;
	w->scanned = held;
	for (uint64_t at = 0; at < h->size && at < PLACES_END; at += work_chunk_bytes(w)) {
		struct task *t;

		if (work_take(w, &t, err) < 0)
			return -1;
		t->how = WORK_SCAN;
		t->at = at;
		pool_put(w->pool, t);
	}
	return pool_drain(w->pool, err);
}

/* Whether a place still holds its bytes when the chunk is made. Chunks are made in
 * their order, so many at a time; what is kept is never overwritten. */
static bool place_lasts(const struct work *w, int held, uint32_t source, uint32_t chunk)
{
	const struct engine_job *job = w->job;

	if (held != HELD_TARGET || source == chunk || source >= job->index.count)
		return true;
	return job->how[source] == PLAN_KEPT ||
	       (job->how[source] == PLAN_WANTED && source > chunk + w->options->threads + 4);
}

/* Backwards: the block in the table is the first of its id, and so the last to lose what
 * was found. */
static void blocks_resolve(struct work *w)
{
	struct delta_blocks *b = &w->blocks;

	for (uint32_t i = b->index.count; i-- > 0;) {
		uint32_t place;

		if (w->job->how[chunk_of_block(w, i)] != PLAN_WANTED)
			continue;
		place = b->from[delta_block_find(b, b->index.ids[i])];
		if (place != NOWHERE &&
		    !place_lasts(w, place_held(place), chunk_of_block(w, place_block(place)),
				 chunk_of_block(w, i)))
			place = NOWHERE;
		b->from[i] = place;
	}
	free(b->table);
	free(b->index.ids);
	b->table = NULL;
	b->index.ids = NULL;
}

static uint64_t blocks_cost(const struct work *w, uint32_t chunk)
{
	const struct delta_blocks *b = &w->blocks;
	uint32_t per_chunk = (uint32_t)(work_chunk_bytes(w) / BLOCK_BYTES);
	uint32_t first = chunk * per_chunk;
	uint64_t cost = 0;

	for (uint32_t i = first; i < first + per_chunk && i < b->index.count; i++)
		if (b->from[i] == NOWHERE)
			cost += b->index.lengths[i];
	/* The buffer of a task must take them; frames this long are of no use anyway. */
	return cost <= work_chunk_bytes(w) ? cost : PLAN_IMPOSSIBLE;
}

static int blocks_search(struct work *w, struct err *err)
{
	int r;

	if (table_make(w, err) < 0 || work_pool_open(w, 0, 0, err) < 0)
		return -1;
	r = place_scan(w, HELD_RUNNING, err);
	if (r == 0 && (w->job->held[HELD_TARGET].known || w->job->held[HELD_TARGET].cut_off))
		r = place_scan(w, HELD_TARGET, err);
	if (work_pool_close(w, r, err) < 0)
		return -1;
	blocks_resolve(w);
	return 0;
}

static int blocks_load(struct work *w, struct err *err)
{
	const struct payload_blocks *p = &w->job->payload->blocks;
	_cleanup_free_ uint8_t *data = NULL;
	struct delta_blocks *b = &w->blocks;
	size_t len;

	if (bundle_pinned(w->job->bundle, &p->index, &data, &len, err) < 0)
		return -1;
	if (blockindex_decode(data, len, w->job->payload->size, &b->index, err) < 0) {
		(void)err_prefix(err, "%s", p->index.file);
		return bundle_prefix(w->job->bundle, err);
	}
	return bundle_frames(w->job->bundle, p->file, blockindex_offset(&b->index, b->index.count),
			     &b->frames, err);
}

static int dictionary_load(struct work *w, struct err *err)
{
	const struct pinned_entry *p = &w->job->payload->blocks.dictionary;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (!p->file)
		return 0;
	if (bundle_pinned(w->job->bundle, p, &data, &len, err) < 0)
		return -1;
	if (chunkdict_new(p->file, data, len, &w->blocks.dict, err) < 0)
		return bundle_prefix(w->job->bundle, err);
	return 0;
}

/* --- BASE ------------------------------------------------------------------ */

static const struct payload_base *base_find(const struct work *w, int *ret_held)
{
	const struct payload *p = w->job->payload;

	for (int held = 0; held < HELD_COUNT; held++) {
		const struct engine_held *h = &w->job->held[held];

		for (size_t i = 0; h->path && h->known && i < p->base_count; i++)
			if (memcmp(p->bases[i].sha256, h->sha256, sizeof h->sha256) == 0) {
				*ret_held = held;
				return &p->bases[i];
			}
	}
	return NULL;
}

static int base_load(struct work *w, const struct payload_base *entry, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct delta_base *b = &w->base;
	size_t len;

	if (bundle_pinned(w->job->bundle, &entry->index, &data, &len, err) < 0)
		return -1;
	if (baseindex_decode(data, len, &w->job->index, &b->index, err) < 0) {
		(void)err_prefix(err, "%s", entry->index.file);
		return bundle_prefix(w->job->bundle, err);
	}
	if (b->index.frames_size > 0 &&
	    bundle_frames(w->job->bundle, entry->file, b->index.frames_size, &b->frames, err) < 0)
		return -1;
	b->entry = entry;
	return 0;
}

static uint64_t base_cost(const struct work *w, uint32_t i)
{
	const struct base_chunk *c = &w->base.index.chunks[i];

	for (uint32_t k = 0; k < c->region_count; k++) {
		const struct base_region *r = &c->regions[k];
		uint32_t first = (uint32_t)(r->offset >> w->job->index.chunk_log);
		uint32_t last = (uint32_t)((r->offset + r->length - 1) >> w->job->index.chunk_log);

		for (uint32_t s = first; s <= last; s++)
			if (!place_lasts(w, w->base.held, s, i))
				return PLAN_IMPOSSIBLE;
	}
	return c->frame;
}

static void base_prefix_max(struct work *w)
{
	for (uint32_t i = 0; i < w->job->index.count; i++) {
		const struct base_chunk *c = &w->base.index.chunks[i];
		size_t prefix = 0;

		for (uint32_t k = 0; k < c->region_count; k++)
			prefix += c->regions[k].length;
		if (w->job->how[i] == PLAN_BASE && prefix > w->base.prefix_max)
			w->base.prefix_max = prefix;
	}
}

/* What is damaged of a delta costs no more than the delta. -1: any other error. */
static int damage_forgive(const struct work *w, const struct err *why, struct err *err)
{
	if (why->exit != EX_DATAERR) {
		if (err)
			*err = *why;
		return -1;
	}
	if (w->options->warn)
		w->options->warn(w->options->ctx, why->text);
	return 0;
}

/* --- the choice ------------------------------------------------------------ */

static uint64_t cost_sum(const struct work *w, const struct plan_cost *costs)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < w->job->index.count; i++)
		if (w->job->how[i] == PLAN_WANTED)
			sum += costs[i].base < costs[i].full ? costs[i].base : costs[i].full;
	return sum;
}

static int base_try(struct work *w, struct plan_cost *costs, struct err *err)
{
	const struct payload_base *entry = base_find(w, &w->base.held);
	struct err why = { 0 };

	if (!entry || entry->index.size >= cost_sum(w, costs))
		return 0;
	if (base_load(w, entry, &why) < 0)
		return damage_forgive(w, &why, err);
	for (uint32_t i = 0; i < w->job->index.count; i++)
		costs[i].base = base_cost(w, i);
	return 0;
}

static int blocks_try(struct work *w, struct plan_cost *costs, struct err *err)
{
	const struct payload_blocks *p = &w->job->payload->blocks;
	uint64_t fixed = p->index.size + p->dictionary.size;
	struct err why = { 0 };

	if (!p->file || fixed >= cost_sum(w, costs) ||
	    chunkindex_parts(w->job->payload->size, BLOCK_LOG) > DELTA_BLOCKS_MAX ||
	    (w->files[HELD_RUNNING] < 0 && w->files[HELD_TARGET] < 0))
		return 0;
	if (blocks_load(w, &why) < 0)
		return damage_forgive(w, &why, err);
	if (blocks_search(w, err) < 0)
		return -1;
	for (uint32_t i = 0; i < w->job->index.count; i++)
		costs[i].blocks = blocks_cost(w, i);
	return 0;
}

static bool any(const struct work *w, enum plan_how how)
{
	return memchr(w->job->how, (int)how, w->job->index.count) != NULL;
}

/* Without its dictionary no block can be had. */
static int dictionary_try(struct work *w, struct err *err)
{
	struct err why = { 0 };

	if (dictionary_load(w, &why) == 0)
		return 0;
	for (uint32_t i = 0; i < w->job->index.count; i++)
		if (w->job->how[i] == PLAN_BLOCKS)
			w->job->how[i] = PLAN_FULL;
	w->blocks.taken = false;
	return damage_forgive(w, &why, err);
}

int delta_plan(struct work *w, struct err *err)
{
	const struct engine_job *job = w->job;
	_cleanup_free_ struct plan_cost *costs = calloc(job->index.count, sizeof *costs);

	if (!costs)
		return no_memory(err);
	for (uint32_t i = 0; i < job->index.count; i++)
		costs[i] = (struct plan_cost){ job->index.chunks[i].frame, PLAN_IMPOSSIBLE,
					       PLAN_IMPOSSIBLE };
	if (bundle_source(job->bundle)->remote && !bundle_is_forward(job->bundle) &&
	    (base_try(w, costs, err) < 0 || blocks_try(w, costs, err) < 0))
		return -1;
	(void)plan_layouts(costs, job->index.count, job->payload->blocks.dictionary.size,
			   job->how);
	w->blocks.taken = any(w, PLAN_BLOCKS);
	if (!any(w, PLAN_BASE))
		w->base.entry = NULL;
	else
		base_prefix_max(w);
	return w->blocks.taken ? dictionary_try(w, err) : 0;
}

size_t delta_memory(const struct work *w)
{
	const struct delta_blocks *b = &w->blocks;
	size_t each = (b->index.ids ? sizeof *b->index.ids : 0) +
		      (b->from ? sizeof *b->from + sizeof *b->index.lengths : 0);

	return each * b->index.count + (b->table ? b->table_size * sizeof *b->table : 0);
}

void delta_clear(struct work *w)
{
	baseindex_clear(&w->base.index);
	blockindex_clear(&w->blocks.index);
	chunkdict_free(w->blocks.dict);
	free(w->blocks.table);
	free(w->blocks.from);
}
