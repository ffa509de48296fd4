/* SPDX-License-Identifier: MIT */
#include "enginework.h"

#include "io.h"

#include <string.h>

/* Limit for the buffers of all tasks plus the memory of a delta; the buffers get at least: */
#define BUFFERS_MAX ((size_t)28 << 20)
#define BUFFERS_MIN ((size_t)4 << 20)
/* Chunks to sample before deciding whether to look at all of them. */
#define SAMPLES 16

int work_no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to install an image: out of memory");
}

/* With many threads, the blocks of a large image would not fit beside the buffers. */
static size_t buffers_room(const struct engine *e)
{
	size_t held = delta_memory(e);

	return held < BUFFERS_MAX - BUFFERS_MIN ? BUFFERS_MAX - held : BUFFERS_MIN;
}

/* Two tasks more than threads, so that one can be filled while another waits. */
int work_pool_open(struct engine *e, unsigned threads, size_t frame_room, size_t aux_room,
		   struct err *err)
{
	size_t each = frame_room + work_chunk_bytes(e) + aux_room;
	size_t fit = buffers_room(e) / each, want = threads + 2;
	struct pool_options o = {
		.threads = threads,
		.tasks = (unsigned)(threads == 0 || fit < 1 ? 1 : want < fit ? want : fit),
		.task_bytes = sizeof(struct task),
		.open = work_task_open,
		.clear = work_task_clear,
		.run = work_run,
		.ctx = e,
	};

	e->frame_room = frame_room;
	e->aux_room = aux_room;
	return pool_open(&o, &e->pool, err);
}

/* Waits for the running tasks; returns the first error. */
int work_pool_close(struct engine *e, int so_far, struct err *err)
{
	struct err other = { 0 };
	int r = e->pool ? pool_drain(e->pool, &other) : 0;

	pool_close(e->pool);
	e->pool = NULL;
	if (so_far == 0 && r < 0 && err)
		*err = other;
	return so_far < 0 ? so_far : r;
}

int work_take(struct engine *e, struct task **ret_task, struct err *err)
{
	const struct engine_options *o = e->options;

	if (o->cancel && *o->cancel)
		return err_set(err, EX_TEMPFAIL, "cancelled by a signal");
	if (o->progress && e->shows_progress)
		o->progress(o->ctx, e->stats);
	*ret_task = pool_take(e->pool);
	if (*ret_task)
		return 0;
	return pool_drain(e->pool, err);
}

/* Looks for every stride-th wanted chunk in one place. */
static int probe(struct engine *e, enum work_how how, uint32_t stride, struct err *err)
{
	for (uint32_t i = 0; i < e->index.count; i += stride) {
		struct task *t;

		if (e->how[i] != PLAN_WANTED)
			continue;
		if (work_take(e, &t, err) < 0)
			return -1;
		t->chunk = i;
		t->how = (int)how;
		pool_put(e->pool, t);
	}
	return pool_drain(e->pool, err);
}

uint32_t work_count(const struct engine *e, enum plan_how how)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->index.count; i++)
		n += e->how[i] == how && e->state[i] == CHUNK_TODO;
	return n;
}

/* Looks for a sample of the chunks, and for all of them if one was found. */
static int probe_sampled(struct engine *e, enum work_how how, enum plan_how found,
			 struct err *err)
{
	uint32_t count = e->index.count;

	if (count > 2 * SAMPLES) {
		if (probe(e, how, count / SAMPLES, err) < 0)
			return -1;
		if (work_count(e, found) == 0)
			return 0;
	}
	return probe(e, how, 1, err);
}

static bool held_is_payload(const struct engine *e, int held)
{
	const struct engine_held *h = &e->job.held[held];

	return h->path && h->known &&
	       memcmp(h->sha256, e->job.payload->sha256, sizeof h->sha256) == 0;
}

static int kept_find(struct engine *e, struct err *err)
{
	const struct engine_held *h = &e->job.held[HELD_TARGET];

	if (!e->job.payload->file || h->cut_off || held_is_payload(e, HELD_TARGET))
		return probe(e, WORK_KEEP, 1, err);
	if (bundle_source(e->job.bundle)->remote && h->known)
		return probe_sampled(e, WORK_KEEP, PLAN_KEPT, err);
	return 0;
}

static void plan_set(struct engine *e, enum plan_how from, enum plan_how to)
{
	for (uint32_t i = 0; i < e->index.count; i++)
		if (e->how[i] == from)
			e->how[i] = (uint8_t)to;
}

/* If the running slot's manifest names this very image, plans to copy all of it without looking:
 * chunks are hashed when copied, and fetched if they do not match. With verify of a remote bundle,
 * or if the chunks cannot be fetched at all, each one is looked at first. */
static int copied_find(struct engine *e, struct err *err)
{
	bool remote = bundle_source(e->job.bundle)->remote, only_here = !e->job.payload->file;

	if (held_is_payload(e, HELD_RUNNING) && !only_here && !(remote && e->job.verify)) {
		plan_set(e, PLAN_WANTED, PLAN_COPIED);
		return 0;
	}
	if (only_here || held_is_payload(e, HELD_RUNNING))
		return probe(e, WORK_FIND, 1, err);
	if (remote && e->job.held[HELD_RUNNING].path && !e->job.payload->blocks.index.file)
		return probe_sampled(e, WORK_FIND, PLAN_COPIED, err);
	return 0;
}

/* Looking has a cost: a chunk is read and hashed. Making it from a bundle on this machine costs no
 * more than that. A chunk that the bundle leaves out must be found here. */
static int held_find(struct engine *e, struct err *err)
{
	int r;

	if (work_pool_open(e, e->options->threads, 0, 0, err) < 0)
		return -1;
	r = kept_find(e, err);
	if (r == 0)
		r = copied_find(e, err);
	return work_pool_close(e, r, err);
}

static void held_open(struct engine *e)
{
	const struct disk *disk = e->job.disk;

	for (int i = 0; i < HELD_COUNT; i++) {
		const char *path = e->job.held[i].path;

		e->files[i] = path ? disk->open(disk->ctx, path, DISK_READ) : -1;
	}
}

static void held_close(struct engine *e)
{
	const struct disk *disk = e->job.disk;

	for (int i = 0; i < HELD_COUNT; i++)
		if (e->files[i] >= 0)
			disk->close(disk->ctx, e->files[i]);
}

static int not_held(const struct engine *e, uint32_t count, struct err *err)
{
	const struct payload *p = e->job.payload;

	(void)err_set(err, EX_DATAERR, "it leaves out the image %s, and %u of its %u chunks are in "
		      "neither slot of this machine: refused; install a bundle that has the image",
		      p->name, count, e->index.count);
	return bundle_prefix(e->job.bundle, err);
}

/* --- before anything is written -------------------------------------------- */

static int verify_local(struct engine *e, struct err *err)
{
	int r;

	plan_set(e, PLAN_WANTED, PLAN_FULL);
	r = fetching_verify(e, err);
	plan_set(e, PLAN_FULL, PLAN_WANTED);
	return r;
}

static int planned_tell(struct engine *e, struct err *err)
{
	struct plan_sum sum;

	if (!e->options->planned)
		return 0;
	if (fetching_sum(e, &sum, err) < 0)
		return -1;
	return e->options->planned(e->options->ctx, e->job.payload, &sum, err);
}

/* Before the first frame comes, and before processes that unpack are started. */
static int dictionary_load(struct engine *e, struct err *err)
{
	return e->dict ? 0 : bundle_dictionary(e->job.bundle, e->job.payload, &e->dict, err);
}

static int prepare(struct engine *e, struct err *err)
{
	bool remote = bundle_source(e->job.bundle)->remote, has = e->job.payload->file;

	if (has && e->job.verify && !remote &&
	    (dictionary_load(e, err) < 0 || verify_local(e, err) < 0))
		return -1;
	if (held_find(e, err) < 0)
		return -1;
	if (!has && work_count(e, PLAN_WANTED) > 0)
		return not_held(e, work_count(e, PLAN_WANTED), err);
	if (work_count(e, PLAN_WANTED) > 0 && (dictionary_load(e, err) < 0 || delta_plan(e, err) < 0))
		return -1;
	if (planned_tell(e, err) < 0)
		return -1;
	if (has && e->job.verify && remote && fetching_verify(e, err) < 0)
		return -1;
	return fetching_first(e, err);
}

/* Reads and checks index and directory entry. */
static int load(struct engine *e, struct err *err)
{
	const struct engine_job *job = &e->job;

	if (bundle_index(job->bundle, job->payload, &e->index, err) < 0)
		return -1;
	if (job->payload->file && bundle_frames(job->bundle, job->payload->file, e->index.frames_size,
						&e->frames, err) < 0)
		return -1;
	e->how = calloc(e->index.count, sizeof *e->how);
	e->state = calloc(e->index.count, sizeof *e->state);
	e->back.marks = calloc(e->index.count, sizeof *e->back.marks);
	return e->how && e->state && e->back.marks ? 0 : work_no_memory(err);
}

int engine_prepare(const struct engine_job *job, const struct engine_options *options,
		   struct engine_stats *stats, struct engine **ret_engine, struct err *err)
{
	struct engine *e = calloc(1, sizeof *e);
	int r;

	if (!e)
		return work_no_memory(err);
	*e = (struct engine){ .job = *job, .options = options, .stats = stats,
			      .first_chunk = NOWHERE, .back.file = -1 };
	r = load(e, err);
	if (r == 0) {
		held_open(e);
		r = prepare(e, err);
		held_close(e);
	}
	if (r < 0) {
		engine_close(e);
		return -1;
	}
	*ret_engine = e;
	return 0;
}

const struct chunkindex *engine_index(const struct engine *engine)
{
	return &engine->index;
}

void engine_close(struct engine *engine)
{
	if (!engine)
		return;
	readback_close(engine);
	fetching_reset(engine);
	delta_clear(engine);
	chunkdict_free(engine->dict);
	chunkindex_clear(&engine->index);
	free(engine->back.marks);
	free(engine->first);
	free(engine->state);
	free(engine->how);
	free(engine);
}

/* --- and then -------------------------------------------------------------- */

/* Chunks are fetched that nobody thought of. */
static int fetching_again(struct engine *e, struct err *err)
{
	fetching_reset(e);
	if (e->dict || !e->job.payload->blocks.dictionary.file)
		return 0;
	if (dictionary_load(e, err) < 0 || work_pool_close(e, 0, err) < 0)
		return -1;
	return fetching_pool_open(e, e->options->threads, err);
}

/* What the running slot does not yield after all is fetched, with what was planned so. */
static int copy_all(struct engine *e, struct err *err)
{
	uint32_t full = work_count(e, PLAN_FULL), lost;

	for (uint32_t i = 0; i < e->index.count; i++) {
		struct task *t;

		if (e->how[i] != PLAN_COPIED)
			continue;
		if (readback_put(e, err) < 0 || work_take(e, &t, err) < 0)
			return -1;
		t->chunk = i;
		t->how = WORK_COPY;
		pool_put(e->pool, t);
	}
	if (pool_drain(e->pool, err) < 0)
		return -1;
	lost = work_count(e, PLAN_FULL) - full;
	if (lost > 0 && !e->job.payload->file)
		return not_held(e, lost, err);
	return lost > 0 ? fetching_again(e, err) : 0;
}

static int write_all(struct engine *e, struct err *err)
{
	int r;

	if (fetching_pool_open(e, e->options->threads, err) < 0)
		return -1;
	r = e->first_chunk == NOWHERE ? 0 : work_store(e, e->first_chunk, e->first, err);
	if (r == 0)
		r = copy_all(e, err);
	if (r == 0)
		r = fetching_rest(e, err);
	return work_pool_close(e, r, err);
}

int engine_write(struct engine *e, const struct engine_target *target, struct err *err)
{
	int r;

	e->target = target;
	e->shows_progress = true;
	held_open(e);
	r = readback_open(e, err);
	if (r == 0)
		r = write_all(e, err);
	if (e->options->progress)
		e->options->progress(e->options->ctx, e->stats);
	held_close(e);
	readback_close(e);
	return r;
}
