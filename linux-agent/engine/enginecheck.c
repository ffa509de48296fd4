/* SPDX-License-Identifier: MIT */
/* Reading back what was written: beside the work, a segment at a time, and after it. */
#include "enginework.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
	ALIGN = 4096,
	AGAIN = 16,	/* of so many chunks that were read back, one is after the flush */
};

/* The last segment is the caller's to flush. Where reading back would be answered by
 * the page cache there are none. */
int segments_open(struct work *w, struct err *err)
{
	const struct engine_job *job = w->job;
	uint64_t each = w->options->flush_every >> job->index.chunk_log;
	struct segments *s = &w->segments;

	w->check_file = -1;
	w->check_path = job->held[HELD_TARGET].path;
	if (!job->flush || each == 0 || each >= job->index.count || !w->check_path)
		return 0;
	w->check_file = job->disk->open(job->disk->ctx, w->check_path, DISK_READ_MEDIUM);
	if (w->check_file < 0)
		return 0;
	s->each = (uint32_t)each;
	s->count = (job->index.count - 1) / s->each;
	s->left = calloc(s->count, sizeof *s->left);
	s->flushed = calloc(s->count, sizeof *s->flushed);
	if (!s->left || !s->flushed) {
		segments_close(w);
		return err_set(err, EX_SOFTWARE, "failed to install an image: out of memory");
	}
	for (uint32_t i = 0; i < s->count; i++)
		s->left[i] = s->each;
	return 0;
}

void segments_close(struct work *w)
{
	if (w->check_file >= 0)
		w->job->disk->close(w->job->disk->ctx, w->check_file);
	free(w->segments.left);
	free(w->segments.flushed);
	w->segments = (struct segments){ 0 };
}

int segments_dealt(struct work *w, uint32_t chunk, struct err *err)
{
	struct segments *s = &w->segments;
	uint32_t i = s->count > 0 ? chunk / s->each : 0;
	uint64_t start;

	if (i >= s->count || __atomic_sub_fetch(&s->left[i], 1, __ATOMIC_ACQ_REL) > 0)
		return 0;
	start = work_now();
	if (w->begun && w->job->flush(w->job->write_ctx, err) < 0)
		return -1;
	work_spend(w, STAGE_SYNC, start);
	__atomic_store_n(&s->flushed[i], 1, __ATOMIC_RELEASE);
	return 0;
}

static int check_put(struct work *w, uint32_t chunk, struct err *err)
{
	struct task *t;

	if (work_take(w, &t, err) < 0)
		return -1;
	t->chunk = chunk;
	t->how = WORK_CHECK;
	pool_put(w->pool, t);
	return 0;
}

/* In order: a segment that is dealt with late holds those behind it up. */
int segments_check(struct work *w, struct err *err)
{
	struct segments *s = &w->segments;

	while (s->next < s->count * s->each &&
	       __atomic_load_n(&s->flushed[s->next / s->each], __ATOMIC_ACQUIRE)) {
		uint32_t chunk = s->next++;

		if (w->job->how[chunk] != PLAN_KEPT)
			return check_put(w, chunk, err);
	}
	return 0;
}

/* How much of a chunk's beginning is read back, and where its last block is. */
static size_t head_bytes(const struct engine_job *job, size_t len)
{
	return job->ends_only && len > ALIGN ? ALIGN : len;
}

static size_t tail_at(size_t len)
{
	return (len - 1) / ALIGN * ALIGN;
}

uint64_t check_mark(const struct engine_job *job, const uint8_t *chunk, size_t len)
{
	size_t head = head_bytes(job, len), tail = tail_at(len);
	uint64_t mark = XXH3_64bits(chunk, head);

	return head == len ? mark : XXH3_64bits_withSeed(chunk + tail, len - tail, mark);
}

/* The chunk's bytes [at, to), to their place in t->out. */
static int check_read(struct work *w, struct task *t, size_t at, size_t to, struct err *err)
{
	uint64_t offset = (uint64_t)t->chunk << w->job->index.chunk_log;
	int64_t n = work_read(w->job->disk, w->check_file, t->out + at, to - at, offset + at);

	if (n < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read back %s", w->check_path);
	if ((size_t)n < to - at)
		return err_set(err, EX_IOERR, "failed to read back %s: it ends early",
			       w->check_path);
	return 0;
}

int check_run(struct work *w, struct task *t, struct err *err)
{
	size_t len = chunkindex_length(&w->job->index, t->chunk);
	size_t head = head_bytes(w->job, len);
	uint64_t start = work_now();

	if (check_read(w, t, 0, head, err) < 0 ||
	    (head < len && check_read(w, t, tail_at(len), len, err) < 0))
		return -1;
	if (check_mark(w->job, t->out, len) != w->job->marks[t->chunk])
		return err_set(err, EX_IOERR, "%s reads back differently from what was written: "
			       "the medium may be failing", w->check_path);
	w->job->how[t->chunk] = PLAN_CHECKED;
	work_spend(w, STAGE_CHECK, start);
	return 0;
}

static int check_all(struct work *w, struct err *err)
{
	const uint8_t *how = w->job->how;

	for (uint32_t i = 0; i < w->job->index.count; i++)
		if (how[i] != PLAN_KEPT && (how[i] != PLAN_CHECKED || i % AGAIN == 0) &&
		    check_put(w, i, err) < 0)
			return -1;
	return pool_drain(w->pool, err);
}

int engine_check(const struct engine_job *job, const char *path,
		 const struct engine_options *options, struct engine_stats *stats,
		 struct err *err)
{
	struct engine_job copy = *job;
	struct work w = { .job = &copy, .options = options, .stats = stats, .check_path = path };
	const struct disk *disk = job->disk;
	int r;

	w.check_file = disk->open(disk->ctx, path, DISK_READ);
	if (w.check_file < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read back %s", path);
	r = work_pool_open(&w, 0, 0, err);
	if (r == 0)
		r = work_pool_close(&w, check_all(&w, err), err);
	disk->close(disk->ctx, w.check_file);
	return r;
}
