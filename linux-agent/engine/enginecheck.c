/* SPDX-License-Identifier: MIT */
/* Reads back what was written: in segments during the work, the rest afterwards. */
#include "enginework.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
	ALIGN = 4096,
	AGAIN = 16,	/* one in this many chunks is read back again after the flush */
};

static void parts_clear(struct readback *r)
{
	free(r->left);
	free(r->flushed);
	r->left = NULL;
	r->flushed = NULL;
	r->count = 0;
}

static int parts_make(struct engine *e, uint32_t each, struct err *err)
{
	struct readback *r = &e->back;

	r->each = each;
	r->count = (e->index.count - 1) / each;
	r->left = calloc(r->count, sizeof *r->left);
	r->flushed = calloc(r->count, sizeof *r->flushed);
	if (!r->left || !r->flushed)
		return work_no_memory(err);
	for (uint32_t i = 0; i < r->count * each; i++)
		r->left[i / each] += e->how[i] != PLAN_KEPT;
	for (uint32_t i = 0; i < r->count; i++)
		r->flushed[i] = r->left[i] == 0;
	return 0;
}

/* The caller flushes the last part. There are no parts if reading back would only reach the page
 * cache. */
int readback_open(struct engine *e, struct err *err)
{
	const struct engine_target *target = e->target;
	uint64_t each = e->options->flush_every >> e->index.chunk_log;
	const struct disk *disk = e->job.disk;

	if (!target->flush || each == 0 || each >= e->index.count || !target->path)
		return 0;
	e->back.file = disk->open(disk->ctx, target->path, DISK_READ_MEDIUM);
	return e->back.file < 0 ? 0 : parts_make(e, (uint32_t)each, err);
}

void readback_close(struct engine *e)
{
	if (e->back.file >= 0)
		e->job.disk->close(e->job.disk->ctx, e->back.file);
	e->back.file = -1;
	parts_clear(&e->back);
}

int readback_written(struct engine *e, uint32_t chunk, struct err *err)
{
	struct readback *r = &e->back;
	uint32_t i = r->count > 0 ? chunk / r->each : 0;
	uint64_t start;

	if (i >= r->count || __atomic_sub_fetch(&r->left[i], 1, __ATOMIC_ACQ_REL) > 0)
		return 0;
	start = clock_monotonic_ns();
	if (e->target->flush(e->target->ctx, err) < 0)
		return -1;
	work_spend(e, STAGE_SYNC, start);
	__atomic_store_n(&r->flushed[i], 1, __ATOMIC_RELEASE);
	return 0;
}

static int check_put(struct engine *e, uint32_t chunk, struct err *err)
{
	struct task *t;

	if (work_take(e, &t, err) < 0)
		return -1;
	t->chunk = chunk;
	t->how = WORK_CHECK;
	pool_put(e->pool, t);
	return 0;
}

/* In order: a part that is flushed late delays those behind it. */
int readback_put(struct engine *e, struct err *err)
{
	struct readback *r = &e->back;

	while (r->next < r->count * r->each &&
	       __atomic_load_n(&r->flushed[r->next / r->each], __ATOMIC_ACQUIRE)) {
		uint32_t chunk = r->next++;

		if (e->how[chunk] != PLAN_KEPT)
			return check_put(e, chunk, err);
	}
	return 0;
}

/* How much to read back at the beginning of a chunk; tail_at(): where its last block begins. */
static size_t head_bytes(const struct engine *e, size_t len)
{
	return e->target->ends_only && len > ALIGN ? ALIGN : len;
}

static size_t tail_at(size_t len)
{
	return (len - 1) / ALIGN * ALIGN;
}

uint64_t readback_mark(const struct engine *e, const uint8_t *chunk, size_t len)
{
	size_t head = head_bytes(e, len), tail = tail_at(len);
	uint64_t mark = XXH3_64bits(chunk, head);

	return head == len ? mark : XXH3_64bits_withSeed(chunk + tail, len - tail, mark);
}

/* Reads the bytes [at, to) of the chunk to their place in t->out. */
static int check_read(struct engine *e, struct task *t, size_t at, size_t to, struct err *err)
{
	uint64_t offset = (uint64_t)t->chunk << e->index.chunk_log;
	int64_t n = work_read(e->job.disk, e->back.file, t->out + at, to - at, offset + at);

	if (n < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read back %s", e->target->path);
	if ((size_t)n < to - at)
		return err_set(err, EX_IOERR, "failed to read back %s: it ends early",
			       e->target->path);
	return 0;
}

int readback_run(struct engine *e, struct task *t, struct err *err)
{
	size_t len = chunkindex_length(&e->index, t->chunk);
	size_t head = head_bytes(e, len);
	uint64_t start = clock_monotonic_ns();

	if (check_read(e, t, 0, head, err) < 0 ||
	    (head < len && check_read(e, t, tail_at(len), len, err) < 0))
		return -1;
	if (readback_mark(e, t->out, len) != e->back.marks[t->chunk])
		return err_set(err, EX_IOERR, "%s reads back differently from what was written: "
			       "the medium may be failing", e->target->path);
	e->state[t->chunk] = CHUNK_CHECKED;
	work_spend(e, STAGE_CHECK, start);
	return 0;
}

static int check_all(struct engine *e, struct err *err)
{
	for (uint32_t i = 0; i < e->index.count; i++)
		if (e->how[i] != PLAN_KEPT && (e->state[i] != CHUNK_CHECKED || i % AGAIN == 0) &&
		    check_put(e, i, err) < 0)
			return -1;
	return pool_drain(e->pool, err);
}

int engine_check(struct engine *e, struct err *err)
{
	const struct disk *disk = e->job.disk;
	int r;

	e->back.file = disk->open(disk->ctx, e->target->path, DISK_READ);
	if (e->back.file < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read back %s", e->target->path);
	r = work_pool_open(e, e->options->threads, 0, 0, err);
	if (r == 0)
		r = work_pool_close(e, check_all(e, err), err);
	readback_close(e);
	return r;
}
