/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include "io.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>

enum { THREADS_MAX = 64, SLOTS_AHEAD = 2 };

/* The pool's own data, followed by the task. */
struct entry {
	struct entry *next;	/* in the queue */
	bool busy;		/* taken and not yet returned */
	uint64_t part;		/* of pool_in_order() */
	int result;		/* of its last run, */
	struct err err;		/* and what was wrong */
	alignas(max_align_t) unsigned char task[];
};

struct pool {
	struct pool_options options;
	struct entry **entries;
	pthread_mutex_t mutex;		/* of all below */
	pthread_cond_t queued, idle;
	struct entry *queue, **queue_end;	/* first in, first out */
	const struct entry *failed;	/* the first error; it is never overwritten */
	bool stop;
	pthread_t threads[THREADS_MAX];
	unsigned thread_count;
};

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to start working: out of memory");
}

static struct entry *entry_of(void *task)
{
	return (struct entry *)(void *)((unsigned char *)task - offsetof(struct entry, task));
}

unsigned pool_threads(unsigned threads)
{
	long n = threads > 0 ? (long)threads : sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 1)
		return 1;
	return n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

/* With the mutex held. */
static void give_back(struct pool *p, struct entry *entry)
{
	entry->busy = false;
	(void)pthread_cond_broadcast(&p->idle);
}

static void run(struct pool *p, struct entry *entry)
{
	entry->result = p->options.run(p->options.ctx, entry->task, &entry->err);
	(void)pthread_mutex_lock(&p->mutex);
	if (entry->result < 0 && !p->failed)
		p->failed = entry;
	give_back(p, entry);
	(void)pthread_mutex_unlock(&p->mutex);
}

static struct entry *entry_next(struct pool *p)
{
	struct entry *entry;

	(void)pthread_mutex_lock(&p->mutex);
	while (!p->queue && !p->stop)
		(void)pthread_cond_wait(&p->queued, &p->mutex);
	entry = p->stop ? NULL : p->queue;
	if (entry)
		p->queue = entry->next;
	if (!p->queue)
		p->queue_end = &p->queue;
	(void)pthread_mutex_unlock(&p->mutex);
	return entry;
}

static void *thread_run(void *arg)
{
	struct entry *entry;

	while ((entry = entry_next(arg)))
		run(arg, entry);
	return NULL;
}

static int entries_make(struct pool *p, struct err *err)
{
	const struct pool_options *o = &p->options;

	p->entries = calloc(o->tasks, sizeof(struct entry *));
	for (unsigned i = 0; p->entries && i < o->tasks; i++) {
		p->entries[i] = calloc(1, sizeof(struct entry) + o->task_bytes);
		if (!p->entries[i])
			return no_memory(err);
		if (o->open && o->open(o->ctx, p->entries[i]->task, err) < 0)
			return -1;
	}
	return p->entries ? 0 : no_memory(err);
}

static int threads_start(struct pool *p, struct err *err)
{
	unsigned wanted = p->options.threads;
	int error = 0;

	if (wanted > THREADS_MAX)
		wanted = THREADS_MAX;
	while (p->thread_count < wanted &&
	       (error = pthread_create(&p->threads[p->thread_count], NULL, thread_run, p)) == 0)
		p->thread_count++;
	if (wanted > 0 && p->thread_count == 0)
		return err_errno(err, EX_SOFTWARE, error, "failed to start a thread");
	return 0;
}

int pool_open(const struct pool_options *options, struct pool **ret_pool, struct err *err)
{
	struct pool *p = calloc(1, sizeof *p);

	if (!p)
		return no_memory(err);
	p->options = *options;
	p->queue_end = &p->queue;
	(void)pthread_mutex_init(&p->mutex, NULL);
	(void)pthread_cond_init(&p->queued, NULL);
	(void)pthread_cond_init(&p->idle, NULL);
	if (entries_make(p, err) < 0 || threads_start(p, err) < 0) {
		pool_close(p);
		return -1;
	}
	*ret_pool = p;
	return 0;
}

void pool_close(struct pool *pool)
{
	if (!pool)
		return;
	(void)pthread_mutex_lock(&pool->mutex);
	pool->stop = true;
	(void)pthread_cond_broadcast(&pool->queued);
	(void)pthread_mutex_unlock(&pool->mutex);
	while (pool->thread_count > 0)
		(void)pthread_join(pool->threads[--pool->thread_count], NULL);
	for (unsigned i = 0; pool->entries && i < pool->options.tasks; i++) {
		if (pool->entries[i] && pool->options.clear)
			pool->options.clear(pool->entries[i]->task);
		free(pool->entries[i]);
	}
	free(pool->entries);
	(void)pthread_cond_destroy(&pool->idle);
	(void)pthread_cond_destroy(&pool->queued);
	(void)pthread_mutex_destroy(&pool->mutex);
	free(pool);
}

/* With the mutex held. NULL: all are busy. */
static struct entry *entry_idle(const struct pool *p)
{
	for (unsigned i = 0; i < p->options.tasks; i++)
		if (!p->entries[i]->busy)
			return p->entries[i];
	return NULL;
}

static bool all_idle(const struct pool *p)
{
	for (unsigned i = 0; i < p->options.tasks; i++)
		if (p->entries[i]->busy)
			return false;
	return true;
}

void *pool_take(struct pool *pool)
{
	struct entry *entry = NULL;

	(void)pthread_mutex_lock(&pool->mutex);
	while (!pool->failed && !(entry = entry_idle(pool)))
		(void)pthread_cond_wait(&pool->idle, &pool->mutex);
	if (entry)
		entry->busy = true;
	(void)pthread_mutex_unlock(&pool->mutex);
	return entry ? entry->task : NULL;
}

static void entry_put(struct pool *p, struct entry *entry)
{
	if (p->thread_count == 0) {
		run(p, entry);
		return;
	}
	(void)pthread_mutex_lock(&p->mutex);
	entry->busy = true;
	entry->next = NULL;
	*p->queue_end = entry;
	p->queue_end = &entry->next;
	(void)pthread_cond_signal(&p->queued);
	(void)pthread_mutex_unlock(&p->mutex);
}

void pool_put(struct pool *pool, void *task)
{
	entry_put(pool, entry_of(task));
}

void pool_give_back(struct pool *pool, void *task)
{
	(void)pthread_mutex_lock(&pool->mutex);
	give_back(pool, entry_of(task));
	(void)pthread_mutex_unlock(&pool->mutex);
}

int pool_drain(struct pool *pool, struct err *err)
{
	int r = 0;

	(void)pthread_mutex_lock(&pool->mutex);
	while (!all_idle(pool))
		(void)pthread_cond_wait(&pool->idle, &pool->mutex);
	if (pool->failed) {
		r = -1;
		if (err)
			*err = pool->failed->err;
	}
	(void)pthread_mutex_unlock(&pool->mutex);
	return r;
}

/* --- in order -------------------------------------------------------------- */

struct ordered {
	const struct pool_job *job;
	void *ctx;
};

static int part_work(void *ctx, void *task, struct err *err)
{
	const struct ordered *o = ctx;

	return o->job->work(o->ctx, entry_of(task)->part, task, err);
}

static void entry_wait(struct pool *p, const struct entry *entry)
{
	(void)pthread_mutex_lock(&p->mutex);
	while (entry->busy)
		(void)pthread_cond_wait(&p->idle, &p->mutex);
	(void)pthread_mutex_unlock(&p->mutex);
}

static int part_emit(const struct ordered *o, struct entry *entry, struct err *err)
{
	if (entry->result == 0)
		return o->job->emit(o->ctx, entry->part, entry->task, err);
	if (err)
		*err = entry->err;
	return -1;
}

/* Part i reuses the slot of part i - tasks. */
static int parts_run(struct pool *p, const struct ordered *o, struct err *err)
{
	uint64_t parts = o->job->parts;
	unsigned ahead = p->options.tasks;

	for (uint64_t i = 0; i < parts + ahead; i++) {
		struct entry *entry = p->entries[i % ahead];

		entry_wait(p, entry);
		if (i >= ahead && part_emit(o, entry, err) < 0)
			return -1;
		if (i < parts) {
			entry->part = i;
			entry_put(p, entry);
		}
	}
	return 0;
}

int pool_in_order(const struct pool_job *job, void *ctx, struct err *err)
{
	struct ordered ordered = { job, ctx };
	unsigned threads = pool_threads(job->threads);
	const struct pool_options options = {
		.threads = threads, .tasks = threads + SLOTS_AHEAD, .task_bytes = job->slot_bytes,
		.clear = job->slot_clear, .run = part_work, .ctx = &ordered,
	};
	struct pool *pool;
	int r;

	if (pool_open(&options, &pool, err) < 0)
		return -1;
	r = parts_run(pool, &ordered, err);
	pool_close(pool);
	return r;
}
