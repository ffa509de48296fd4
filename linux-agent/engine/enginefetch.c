/* SPDX-License-Identifier: MIT */
/* Fetches the frames of wanted chunks: which ranges of the bundle, and in which order. */
#include "enginework.h"

#include "clock.h"
#include "fetch.h"
#include "io.h"

#include <string.h>

/* After this many runs, those not yet announced are planned again. */
#define REPLAN_RUNS 16

static const struct {
	enum plan_how how;
	enum work_how work;
} layouts[] = {
	{ PLAN_BLOCKS, WORK_BLOCKS }, { PLAN_BASE, WORK_BASE }, { PLAN_FULL, WORK_FULL },
};

/* Appends a range; if join, extends the last range when this one is adjacent. */
static int range_add(struct fetching *f, uint64_t offset, uint64_t len, bool join, struct err *err)
{
	struct plan_range *last = f->count > 0 ? &f->ranges[f->count - 1] : NULL;

	if (join && last && last->offset + last->len == offset) {
		last->len += len;
		return 0;
	}
	if (f->count == f->room) {
		size_t room = f->room ? 2 * f->room : 256;
		struct plan_range *more = realloc(f->ranges, room * sizeof *more);

		if (!more)
			return work_no_memory(err);
		f->ranges = more;
		f->room = room;
	}
	f->ranges[f->count++] = (struct plan_range){ offset, len, 0, 0 };
	return 0;
}

static int blocks_add(const struct engine *e, uint32_t chunk, struct fetching *f, struct err *err)
{
	const struct delta_blocks *b = &e->delta.blocks;
	uint32_t per_chunk = (uint32_t)(work_chunk_bytes(e) / BLOCK_BYTES);
	uint32_t first = chunk * per_chunk, end = first + per_chunk;
	uint64_t at = e->frames.offset + e->index.chunks[chunk].offset;
	bool join = false;

	for (uint32_t i = first; i < end && i < b->index.count; i++) {
		if (b->from[i] == NOWHERE && range_add(f, at, b->index.lengths[i], join, err) < 0)
			return -1;
		join = join || b->from[i] == NOWHERE;
		at += b->index.lengths[i];
	}
	return 0;
}

/* Adds what a chunk needs in its layout. */
static int chunk_add(const struct engine *e, uint32_t i, struct fetching *f, struct err *err)
{
	const struct base_chunk *base = e->how[i] == PLAN_BASE ? &e->delta.base.index.chunks[i] : NULL;

	if (e->how[i] == PLAN_BLOCKS)
		return blocks_add(e, i, f, err);
	if (!base)
		return range_add(f, e->frames.offset + e->index.chunks[i].offset,
				 e->index.chunks[i].frame, false, err);
	if (base->frame == 0)
		return 0;
	return range_add(f, e->delta.base.frames.offset + base->offset, base->frame, false, err);
}

static bool is_wanted(const struct engine *e, uint32_t i, enum plan_how how)
{
	return __atomic_load_n(&e->how[i], __ATOMIC_RELAXED) == how && e->state[i] == CHUNK_TODO;
}

/* Adds what the wanted chunks of a layout need, and marks each range with its chunk. */
static int layout_add(const struct engine *e, enum plan_how how, struct fetching *f, struct err *err)
{
	for (uint32_t i = 0; i < e->index.count; i++) {
		size_t before = f->count;

		if (is_wanted(e, i, how) && chunk_add(e, i, f, err) < 0)
			return -1;
		for (; before < f->count; before++)
			f->ranges[before].chunk = i;
	}
	return 0;
}

static size_t left_of(size_t limit, size_t used)
{
	return used + PLAN_REQUESTS_MIN < limit ? limit - used : PLAN_REQUESTS_MIN;
}

/* Plans the ranges from this one on, with the requests that the bundle has left. */
static struct plan_sum rest_plan(struct engine *e, size_t from, size_t named)
{
	const struct bundle_source *source = bundle_source(e->job.bundle);
	struct fetching *f = &e->fetching;
	struct http_link_figures link = { .parallel = 1 };
	unsigned used = 0;

	if (source->link)
		source->link(source, &link);
	if (source->fetched)
		(void)source->fetched(source, &used);
	f->since = 0;
	return plan_runs(f->ranges + from, f->count - from, http_link_gap(&link),
			 left_of(PLAN_REQUESTS, used + named), left_of(PLAN_REQUESTS_MOST, used + named));
}

int fetching_sum(struct engine *e, struct plan_sum *ret_sum, struct err *err)
{
	struct plan_sum sum = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(layouts); i++) {
		struct plan_sum part;

		r = layout_add(e, layouts[i].how, &e->fetching, err);
		part = rest_plan(e, 0, sum.requests);
		sum.bytes += part.bytes;
		sum.requests += part.requests;
		fetching_reset(e);
	}
	*ret_sum = sum;
	return r;
}

void fetching_reset(struct engine *e)
{
	free(e->fetching.ranges);
	e->fetching = (struct fetching){ 0 };
}

/* Chunks arrived wrong from the network: fetches them over a new connection. */
static void chunks_anew(struct engine *e)
{
	struct bundle_source *source = bundle_source(e->job.bundle);
	struct err why = { 0 };

	if (!source->anew || e->again > WORK_AGAIN_MAX)
		return;
	(void)err_set(&why, EX_DATAERR, "%s: what came for a chunk does not have its SHA-256",
		      e->job.payload->file);
	(void)bundle_prefix(e->job.bundle, &why);
	if (e->options->warn)
		e->options->warn(e->options->ctx, why.text);
	source->anew(source);
}

/* Announces the runs after the one that begins now: those announced before, and more. What was not
 * announced yet is planned again as the link becomes known. */
static void runs_name(struct engine *e, size_t at)
{
	struct bundle_source *source = bundle_source(e->job.bundle);
	struct fetching *f = &e->fetching;
	unsigned named = 0;
	bool planned = ++f->since < REPLAN_RUNS;

	if (f->sent <= at)
		f->sent = at + 1;
	for (size_t i = at + 1; i < f->count && named < FETCH_AHEAD_MAX; i++) {
		if (!f->ranges[i].run)
			continue;
		if (i >= f->sent && !planned)
			(void)rest_plan(e, i, named);
		planned = planned || i >= f->sent;
		source->ahead(source, f->ranges[i].offset, f->ranges[i].run);
		f->sent = i >= f->sent ? i + 1 : f->sent;
		named++;
	}
}

static int range_read(struct engine *e, size_t at, uint64_t run, struct task *t, struct err *err)
{
	struct bundle_source *source = bundle_source(e->job.bundle);
	const struct plan_range *r = &e->fetching.ranges[at];
	uint64_t start = clock_monotonic_ns();

	if (run && source->run)
		source->run(source, r->offset, run);
	if (run && source->ahead && run == r->run)
		runs_name(e, at);
	if (source->read(source, t->frame + t->frame_len, r->len, r->offset, err) < 0)
		return bundle_prefix(e->job.bundle, err);
	t->frame_len += r->len;
	work_spend(e, STAGE_FETCH, start);
	return 0;
}

/* Bytes of the request that begins with a range; if alone, at most what its chunk needs. */
static uint64_t range_run(const struct fetching *f, size_t at, bool alone)
{
	const struct plan_range *r = &f->ranges[at], *last = r;
	uint64_t end;

	while (last + 1 < f->ranges + f->count && last[1].chunk == r->chunk)
		last++;
	end = last->offset + last->len;
	return alone && r->run > end - r->offset ? end - r->offset : r->run;
}

/* Makes a task for a chunk and reads its frames, which are the next ranges. */
static int chunk_fetch(struct engine *e, uint32_t chunk, bool alone, struct task **ret_task,
		       struct err *err)
{
	struct fetching *f = &e->fetching;
	struct task *t;

	if (readback_put(e, err) < 0 || work_take(e, &t, err) < 0)
		return -1;
	t->chunk = chunk;
	t->how = (int)layouts[f->layout].work;
	t->frame_len = 0;
	for (; f->next < f->count && f->ranges[f->next].chunk == chunk; f->next++)
		if (range_read(e, f->next, range_run(f, f->next, alone), t, err) < 0) {
			pool_give_back(e->pool, t);
			return -1;
		}
	*ret_task = t;
	return 1;
}

/* Returns 1 and a task for the next chunk, with its frames, or 0 once every chunk is made. Chunks
 * that a layout failed to make become FULL; those that arrive wrong from FULL are fetched again in
 * further rounds. */
static int chunk_next(struct engine *e, bool alone, struct task **ret_task, struct err *err)
{
	struct fetching *f = &e->fetching;

	for (;;) {
		if (!f->open) {
			if (layout_add(e, layouts[f->layout].how, f, err) < 0)
				return -1;
			(void)rest_plan(e, 0, 0);
			f->open = true;
		}
		while (f->chunk < e->index.count) {
			uint32_t i = f->chunk++;

			if (is_wanted(e, i, layouts[f->layout].how))
				return chunk_fetch(e, i, alone, ret_task, err);
		}
		if (pool_drain(e->pool, err) < 0)
			return -1;
		f->open = false;
		f->count = f->next = f->sent = f->chunk = 0;
		if (layouts[f->layout].how != PLAN_FULL)
			f->layout++;
		else if (work_count(e, PLAN_FULL) > 0)
			chunks_anew(e);
		else
			return 0;
	}
}

/* Unlike later ones, the first chunk is fetched again at once if it arrives wrong from FULL. */
static int first_fetch(struct engine *e, struct err *err)
{
	struct fetching *f = &e->fetching;
	struct task *t;
	int r = 1;

	while (e->first_chunk == NOWHERE && (r = chunk_next(e, e->job.waits, &t, err)) > 0) {
		uint32_t chunk = t->chunk;

		pool_put(e->pool, t);
		if (pool_drain(e->pool, err) < 0)
			return -1;
		if (e->first_chunk != NOWHERE || layouts[f->layout].how != PLAN_FULL)
			continue;
		f->chunk = chunk;
		while (f->next > 0 && f->ranges[f->next - 1].chunk == chunk)
			f->next--;
		chunks_anew(e);
	}
	return r < 0 ? -1 : 0;
}

/* Requests the rest of the first chunk's run, unless it was requested already. */
static void run_resume(struct fetching *f)
{
	struct plan_range *first = f->next < f->count ? &f->ranges[f->next] : NULL;
	const struct plan_range *begin = first;

	if (!first)
		return;
	while (!begin->run)
		begin--;
	first->run = begin->offset + begin->run - first->offset;
}

int fetching_rest(struct engine *e, struct err *err)
{
	struct task *t;
	int r;

	run_resume(&e->fetching);
	while ((r = chunk_next(e, false, &t, err)) > 0)
		pool_put(e->pool, t);
	return r;
}

/* --- the whole ------------------------------------------------------------- */

static size_t frame_room(const struct engine *e)
{
	return chunkindex_frames_max(work_chunk_bytes(e));
}

static int first_keep(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err)
{
	struct engine *e = ctx;

	(void)err;
	memcpy(e->first, data, len);
	e->first_chunk = (uint32_t)(offset >> e->index.chunk_log);
	return 0;
}

static int drop(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err)
{
	(void)ctx, (void)data, (void)len, (void)offset, (void)err;
	return 0;
}

int fetching_pool_open(struct engine *e, unsigned threads, struct err *err)
{
	size_t aux = e->delta.base.entry ? e->delta.base.prefix_max + 16384 : 0;

	return work_pool_open(e, threads, frame_room(e), aux, err);
}

int fetching_first(struct engine *e, struct err *err)
{
	const struct engine_target target = { .write = first_keep, .ctx = e };
	int r;

	e->first = work_buffer_new(work_chunk_bytes(e));
	if (!e->first)
		return work_no_memory(err);
	if (fetching_pool_open(e, 0, err) < 0)
		return -1;
	e->target = &target;
	r = work_pool_close(e, first_fetch(e, err), err);
	e->target = NULL;
	return r;
}

int fetching_verify(struct engine *e, struct err *err)
{
	static const struct engine_target target = { .write = drop };
	struct engine_stats own = { .size = e->job.payload->size };
	struct engine_stats *all = e->stats;
	int r;

	if (fetching_pool_open(e, e->options->threads, err) < 0)
		return -1;
	e->target = &target;
	e->stats = &own;
	e->shows_progress = true;
	r = work_pool_close(e, fetching_rest(e, err), err);
	own.done = r == 0 ? own.size : own.done;	/* chunks that are here already are not
							 * made */
	if (e->options->progress)
		e->options->progress(e->options->ctx, &own);
	e->shows_progress = false;
	e->stats = all;
	for (int i = 0; i < STAGE_COUNT; i++)
		all->ns[i] += own.ns[i];
	fetching_reset(e);
	memset(e->state, CHUNK_TODO, e->index.count);
	return r;
}
