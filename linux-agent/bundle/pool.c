/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include <pthread.h>
#include <stdlib.h>

enum { ALIGN = 4096, THREADS_MAX = 64 };

struct pool {
	struct pool_options options;
	struct task *tasks;		/* all of them */
	pthread_mutex_t mutex;		/* of all below */
	pthread_cond_t queued, idle;
	struct task *queue, **queue_end;	/* first in, first out */
	struct task *spare;
	unsigned busy;			/* taken and not back */
	bool failed, stop;
	struct err err;
	pthread_t threads[THREADS_MAX];
	unsigned thread_count;
};

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to start working: out of memory");
}

static void *aligned_new(size_t len)
{
	return len > 0 ? aligned_alloc(ALIGN, (len + ALIGN - 1) / ALIGN * ALIGN) : NULL;
}

static bool task_make(struct task *t, const struct pool_options *o)
{
	t->frame = aligned_new(o->frame_room);
	t->out = aligned_new(o->out_room);
	t->aux = aligned_new(o->aux_room);
	t->code = chunk_decode_new();
	return t->code && (t->frame || !o->frame_room) && (t->out || !o->out_room) &&
	       (t->aux || !o->aux_room);
}

/* With the mutex held. */
static void give_back(struct pool *p, struct task *task)
{
	task->next = p->spare;
	p->spare = task;
	p->busy--;
	(void)pthread_cond_broadcast(&p->idle);
}

static void run(struct pool *p, struct task *task)
{
	struct err err = { 0 };
	int r = p->options.run(p->options.ctx, task, &err);

	(void)pthread_mutex_lock(&p->mutex);
	if (r < 0 && !p->failed) {
		p->failed = true;
		p->err = err;
	}
	give_back(p, task);
	(void)pthread_mutex_unlock(&p->mutex);
}

static void *work(void *ctx)
{
	struct pool *p = ctx;

	for (;;) {
		struct task *task;

		(void)pthread_mutex_lock(&p->mutex);
		while (!p->queue && !p->stop)
			(void)pthread_cond_wait(&p->queued, &p->mutex);
		task = p->queue;
		if (task) {
			p->queue = task->next;
			if (!p->queue)
				p->queue_end = &p->queue;
		}
		(void)pthread_mutex_unlock(&p->mutex);
		if (!task)
			return NULL;
		run(p, task);
	}
}

static int pool_begin(struct pool *p, struct err *err)
{
	unsigned threads = p->options.threads < THREADS_MAX ? p->options.threads : THREADS_MAX;

	p->tasks = calloc(p->options.tasks, sizeof *p->tasks);
	if (!p->tasks)
		return no_memory(err);
	for (unsigned i = 0; i < p->options.tasks; i++) {
		if (!task_make(&p->tasks[i], &p->options))
			return no_memory(err);
		p->tasks[i].next = p->spare;
		p->spare = &p->tasks[i];
	}
	while (p->thread_count < threads) {
		int error = pthread_create(&p->threads[p->thread_count], NULL, work, p);

		if (error)
			return err_errno(err, EX_SOFTWARE, error, "failed to start a thread");
		p->thread_count++;
	}
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
	if (pool_begin(p, err) < 0) {
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
	for (unsigned i = 0; pool->tasks && i < pool->options.tasks; i++) {
		free(pool->tasks[i].frame);
		free(pool->tasks[i].out);
		free(pool->tasks[i].aux);
		chunk_decode_free(pool->tasks[i].code);
	}
	free(pool->tasks);
	(void)pthread_cond_destroy(&pool->idle);
	(void)pthread_cond_destroy(&pool->queued);
	(void)pthread_mutex_destroy(&pool->mutex);
	free(pool);
}

void pool_closep(struct pool **pool)
{
	pool_close(*pool);
}

struct task *pool_take(struct pool *pool)
{
	struct task *task;

	(void)pthread_mutex_lock(&pool->mutex);
	while (!pool->spare && !pool->failed)
		(void)pthread_cond_wait(&pool->idle, &pool->mutex);
	task = pool->failed ? NULL : pool->spare;
	if (task) {
		pool->spare = task->next;
		pool->busy++;
	}
	(void)pthread_mutex_unlock(&pool->mutex);
	return task;
}

void pool_put_here(struct pool *pool, struct task *task)
{
	run(pool, task);
}

void pool_put(struct pool *pool, struct task *task)
{
	if (pool->thread_count == 0) {
		run(pool, task);
		return;
	}
	(void)pthread_mutex_lock(&pool->mutex);
	task->next = NULL;
	*pool->queue_end = task;
	pool->queue_end = &task->next;
	(void)pthread_cond_signal(&pool->queued);
	(void)pthread_mutex_unlock(&pool->mutex);
}

void pool_give_back(struct pool *pool, struct task *task)
{
	(void)pthread_mutex_lock(&pool->mutex);
	give_back(pool, task);
	(void)pthread_mutex_unlock(&pool->mutex);
}

int pool_drain(struct pool *pool, struct err *err)
{
	int r = 0;

	(void)pthread_mutex_lock(&pool->mutex);
	while (pool->busy > 0)
		(void)pthread_cond_wait(&pool->idle, &pool->mutex);
	if (pool->failed) {
		r = -1;
		if (err)
			*err = pool->err;
	}
	(void)pthread_mutex_unlock(&pool->mutex);
	return r;
}
