/* SPDX-License-Identifier: MIT */
#include "enginework.h"

#include "io.h"

#include <string.h>

/* All buffers of all tasks together, and what a delta holds; tasks have at least: */
#define BUFFERS_MAX ((size_t)28 << 20)
#define BUFFERS_MIN ((size_t)4 << 20)
/* Chunks that are looked at to find out whether looking at all is worth it. */
#define SAMPLES 16

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to install an image: out of memory");
}

int engine_load(struct engine_job *job, struct err *err)
{
	if (bundle_index(job->bundle, job->payload, &job->index, err) < 0)
		return -1;
	if (!job->payload->file)
		return 0;
	return bundle_frames(job->bundle, job->payload->file, job->index.frames_size,
			     &job->frames, err);
}

void engine_clear(struct engine_job *job)
{
	chunkindex_clear(&job->index);
	free(job->how);
	free(job->marks);
	job->how = NULL;
	job->marks = NULL;
}

/* With many threads the blocks of a large image would not fit beside their buffers. */
static size_t buffers_room(const struct work *w)
{
	size_t held = delta_memory(w);

	return held < BUFFERS_MAX - BUFFERS_MIN ? BUFFERS_MAX - held : BUFFERS_MIN;
}

/* Two tasks more than threads: one is filled while one waits. */
int work_pool_open(struct work *w, size_t frame_room, size_t aux_room, struct err *err)
{
	size_t each = frame_room + work_chunk_bytes(w) + aux_room;
	size_t fit = buffers_room(w) / each, want = w->options->threads + 2;
	struct pool_options o = {
		.threads = w->options->threads,
		.tasks = (unsigned)(w->options->threads == 0 || fit < 1 ? 1 : want < fit ? want : fit),
		.task_bytes = sizeof(struct task),
		.open = work_task_open,
		.clear = work_task_clear,
		.run = work_run,
		.ctx = w,
	};

	w->frame_room = frame_room;
	w->aux_room = aux_room;
	return pool_open(&o, &w->pool, err);
}

/* Waits for what is in work; the error that came first is told. */
int work_pool_close(struct work *w, int so_far, struct err *err)
{
	struct err other = { 0 };
	int r = pool_drain(w->pool, &other);

	pool_close(w->pool);
	w->pool = NULL;
	if (so_far == 0 && r < 0 && err)
		*err = other;
	return so_far < 0 ? so_far : r;
}

int work_take(struct work *w, struct task **ret_task, struct err *err)
{
	const struct engine_options *o = w->options;

	if (o->cancel && *o->cancel)
		return err_set(err, EX_TEMPFAIL, "cancelled by a signal");
	if (o->progress)
		o->progress(o->ctx, w->stats);
	*ret_task = pool_take(w->pool);
	if (*ret_task)
		return 0;
	return pool_drain(w->pool, err);
}

/* The first chunk that is written is made here and now: what is wrong from the start
 * is found before the slot is touched. */
static void task_start(struct work *w, struct task *t)
{
	if (w->begun || t->how == WORK_KEEP)
		pool_put(w->pool, t);
	else
		pool_put_here(w->pool, t);
}

/* Looks for every stride-th chunk that is wanted in a place. */
static int probe(struct work *w, enum work_how how, uint32_t stride, struct err *err)
{
	for (uint32_t i = 0; i < w->job->index.count; i += stride) {
		struct task *t;

		if (w->job->how[i] != PLAN_WANTED)
			continue;
		if (segments_check(w, err) < 0 || work_take(w, &t, err) < 0)
			return -1;
		t->chunk = i;
		t->how = (int)how;
		task_start(w, t);
	}
	return pool_drain(w->pool, err);
}

static uint32_t count_of(const struct work *w, enum plan_how how)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->job->index.count; i++)
		n += w->job->how[i] == how;
	return n;
}

/* Some chunks first; all, if one of them is there. */
static int probe_sampled(struct work *w, enum work_how how, enum plan_how found,
			 struct err *err)
{
	uint32_t count = w->job->index.count;

	if (count > 2 * SAMPLES) {
		if (probe(w, how, count / SAMPLES, err) < 0)
			return -1;
		if (count_of(w, found) == 0)
			return 0;
	}
	return probe(w, how, 1, err);
}

static bool held_is_payload(const struct work *w, int held)
{
	const struct engine_held *h = &w->job->held[held];

	return h->path && h->known &&
	       memcmp(h->sha256, w->job->payload->sha256, sizeof h->sha256) == 0;
}

/* Step 1. Looking is not free: a chunk is read and hashed. Of a bundle on this
 * machine a chunk costs no more than that. What the bundle leaves out is here or nowhere. */
static int held_use(struct work *w, struct err *err)
{
	const struct engine_job *job = w->job;
	bool remote = bundle_source(job->bundle)->remote, only_here = !job->payload->file;
	int r = 0;

	if (work_pool_open(w, 0, 0, err) < 0)
		return -1;
	if (only_here || job->held[HELD_TARGET].cut_off || held_is_payload(w, HELD_TARGET))
		r = probe(w, WORK_KEEP, 1, err);
	else if (remote && job->held[HELD_TARGET].known)
		r = probe_sampled(w, WORK_KEEP, PLAN_KEPT, err);
	if (r == 0 && (only_here || held_is_payload(w, HELD_RUNNING)))
		r = probe(w, WORK_COPY, 1, err);
	else if (r == 0 && remote && job->held[HELD_RUNNING].path && !job->payload->blocks.file)
		r = probe_sampled(w, WORK_COPY, PLAN_COPIED, err);
	return work_pool_close(w, r, err);
}

/* --- step 3 ---------------------------------------------------------------- */

/* The ranges that one layout wants, in the order of the chunks. */
struct wanted {
	struct plan_range *ranges;
	size_t count, room;
};

static void wanted_clear(struct wanted *x)
{
	free(x->ranges);
}

static int wanted_add(struct wanted *x, uint64_t offset, uint64_t len, bool join, struct err *err)
{
	struct plan_range *last = x->count > 0 ? &x->ranges[x->count - 1] : NULL;

	if (join && last && last->offset + last->len == offset) {
		last->len += len;
		return 0;
	}
	if (x->count == x->room) {
		size_t room = x->room ? 2 * x->room : 256;
		struct plan_range *more = realloc(x->ranges, room * sizeof *more);

		if (!more)
			return no_memory(err);
		x->ranges = more;
		x->room = room;
	}
	x->ranges[x->count++] = (struct plan_range){ offset, len, 0 };
	return 0;
}

static int blocks_wanted(const struct work *w, uint32_t chunk, struct wanted *x, struct err *err)
{
	const struct delta_blocks *b = &w->blocks;
	uint32_t per_chunk = (uint32_t)(work_chunk_bytes(w) / BLOCK_BYTES);
	uint32_t first = chunk * per_chunk, end = first + per_chunk;
	bool join = false;

	for (uint32_t i = first; i < end && i < b->index.count; i++) {
		if (b->from[i] != NOWHERE)
			continue;
		if (wanted_add(x, b->frames.offset + blockindex_offset(&b->index, i),
			       b->index.lengths[i], join, err) < 0)
			return -1;
		join = true;
	}
	return 0;
}

/* Adds what a chunk needs in this layout. */
static int chunk_wanted(const struct work *w, enum plan_how how, uint32_t i, struct wanted *x,
			struct err *err)
{
	const struct engine_job *job = w->job;

	if (how == PLAN_BLOCKS)
		return blocks_wanted(w, i, x, err);
	if (how == PLAN_FULL)
		return wanted_add(x, job->frames.offset + job->index.chunks[i].offset,
				  job->index.chunks[i].frame, false, err);
	if (w->base.index.chunks[i].frame == 0)
		return 0;
	return wanted_add(x, w->base.frames.offset + w->base.index.chunks[i].offset,
			  w->base.index.chunks[i].frame, false, err);
}

/* Chunks came wrong from the network. */
static void fetch_anew(struct work *w)
{
	struct bundle_source *source = bundle_source(w->job->bundle);
	struct err why = { 0 };

	if (!source->anew || w->again > WORK_AGAIN_MAX)
		return;
	(void)err_set(&why, EX_DATAERR, "%s: what came for a chunk does not have its SHA-256", w->job->payload->file);
	(void)bundle_prefix(w->job->bundle, &why);
	if (w->options->warn)
		w->options->warn(w->options->ctx, why.text);
	source->anew(source);
}

static int range_read(struct work *w, const struct plan_range *r, struct task *t,
		      struct err *err)
{
	struct bundle_source *source = bundle_source(w->job->bundle);
	uint64_t start = work_now();

	if (r->run && source->run)
		source->run(source, r->offset, r->run);
	if (source->read(source, t->frame + t->frame_len, r->len, r->offset, err) < 0)
		return bundle_prefix(w->job->bundle, err);
	t->frame_len += r->len;
	work_spend(w, STAGE_FETCH, start);
	return 0;
}

/* A task for one chunk, with its frames. ranges are the first of those left. */
static int chunk_put(struct work *w, enum plan_how how, uint32_t i,
		       const struct plan_range *ranges, size_t count, struct err *err)
{
	static const enum work_how works[] = {
		[PLAN_BLOCKS] = WORK_BLOCKS, [PLAN_BASE] = WORK_BASE, [PLAN_FULL] = WORK_FULL,
	};
	struct task *t;

	if (segments_check(w, err) < 0 || work_take(w, &t, err) < 0)
		return -1;
	t->chunk = i;
	t->how = (int)works[how];
	t->frame_len = 0;
	for (size_t k = 0; k < count; k++)
		if (range_read(w, &ranges[k], t, err) < 0) {
			pool_give_back(w->pool, t);
			return -1;
		}
	task_start(w, t);
	return 0;
}

/* Until the first chunk is written each is made here and now: one that came wrong is fetched again
 * before anything else is, so that a bundle that is wrong leaves the slot alone. */
static int chunk_fetch(struct work *w, enum plan_how how, uint32_t i,
		       const struct plan_range *ranges, size_t count, struct err *err)
{
	for (;;) {
		if (chunk_put(w, how, i, ranges, count, err) < 0)
			return -1;
		if (w->begun || how != PLAN_FULL || w->job->how[i] != PLAN_FULL)
			return 0;
		fetch_anew(w);
	}
}

/* Every chunk that is to come from this layout; what it does not yield is FULL then. */
static int layout_fetch(struct work *w, enum plan_how how, struct err *err)
{
	_cleanup_(wanted_clear) struct wanted all = { 0 };
	const struct engine_job *job = w->job;
	size_t next = 0;

	for (uint32_t i = 0; i < job->index.count; i++)
		if (job->how[i] == how && chunk_wanted(w, how, i, &all, err) < 0)
			return -1;
	plan_runs(all.ranges, all.count);
	for (uint32_t i = 0; i < job->index.count; i++) {
		_cleanup_(wanted_clear) struct wanted one = { 0 };

		if (__atomic_load_n(&job->how[i], __ATOMIC_RELAXED) != how)
			continue;
		if (chunk_wanted(w, how, i, &one, err) < 0 ||
		    chunk_fetch(w, how, i, all.ranges + next, one.count, err) < 0)
			return -1;
		next += one.count;
	}
	return pool_drain(w->pool, err);
}

static int plan_tell(struct work *w, struct err *err)
{
	_cleanup_(wanted_clear) struct wanted all = { 0 };
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < w->job->index.count; i++) {
		enum plan_how how = w->job->how[i];

		if ((how == PLAN_FULL || how == PLAN_BASE || how == PLAN_BLOCKS) &&
		    chunk_wanted(w, how, i, &all, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < all.count; i++)
		bytes += all.ranges[i].len;
	return w->options->planned(w->options->ctx, bytes, err);
}

static size_t frame_room(const struct work *w)
{
	size_t room = chunkindex_frame_max(work_chunk_bytes(w));

	/* Blocks that cannot be compressed come with a header each. */
	return w->blocks.taken ? room + work_chunk_bytes(w) / BLOCK_BYTES * 64 : room;
}

static int fetch_all(struct work *w, struct err *err)
{
	static const enum plan_how order[] = { PLAN_BLOCKS, PLAN_BASE, PLAN_FULL };
	size_t aux = w->base.entry ? w->base.prefix_max + 16384 : 0;
	int r = 0;

	if (work_pool_open(w, frame_room(w), aux, err) < 0)
		return -1;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(order); i++)
		if (count_of(w, order[i]) > 0)
			r = layout_fetch(w, order[i], err);
	while (r == 0 && count_of(w, PLAN_FULL) > 0) {
		fetch_anew(w);
		r = layout_fetch(w, PLAN_FULL, err);
	}
	return work_pool_close(w, r, err);
}

/* --- the whole ------------------------------------------------------------- */

static void held_open(struct work *w)
{
	const struct disk *disk = w->job->disk;

	for (int i = 0; i < HELD_COUNT; i++) {
		const char *path = w->job->held[i].path;

		w->files[i] = path ? disk->open(disk->ctx, path, DISK_READ) : -1;
	}
}

static void held_close(struct work *w)
{
	const struct disk *disk = w->job->disk;

	for (int i = 0; i < HELD_COUNT; i++)
		if (w->files[i] >= 0)
			disk->close(disk->ctx, w->files[i]);
}

static int not_held(const struct work *w, struct err *err)
{
	const struct payload *p = w->job->payload;

	(void)err_set(err, EX_DATAERR, "it leaves out the image %s, and %u of its %u chunks are in "
		      "neither slot of this machine: refused; install a bundle that has the image",
		      p->name, count_of(w, PLAN_WANTED), w->job->index.count);
	return bundle_prefix(w->job->bundle, err);
}

static int run(struct work *w, struct err *err)
{
	if (held_use(w, err) < 0)
		return -1;
	if (!w->job->payload->file && count_of(w, PLAN_WANTED) > 0)
		return not_held(w, err);
	if (count_of(w, PLAN_WANTED) > 0 && delta_plan(w, err) < 0)
		return -1;
	if (w->options->planned && plan_tell(w, err) < 0)
		return -1;
	return fetch_all(w, err);
}

int engine_run(struct engine_job *job, const struct engine_options *options,
	       struct engine_stats *stats, struct err *err)
{
	struct work w = { .job = job, .options = options, .stats = stats };
	int r;

	job->how = calloc(job->index.count, sizeof *job->how);
	job->marks = calloc(job->index.count, sizeof *job->marks);
	if (!job->how || !job->marks)
		return no_memory(err);
	if (segments_open(&w, err) < 0)
		return -1;
	held_open(&w);
	r = run(&w, err);
	if (options->progress)
		options->progress(options->ctx, stats);
	held_close(&w);
	segments_close(&w);
	delta_clear(&w);
	return r;
}
