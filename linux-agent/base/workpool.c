/* SPDX-License-Identifier: MIT */
#include "workpool.h"

#include "io.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum { THREADS_MAX = 64, SLOTS_AHEAD = 2 };

enum slot_state { SLOT_FREE, SLOT_DONE, SLOT_FAILED };

struct slot {
	enum slot_state state;
	struct err err;
	void *data;
};

struct pool {
	const struct workpool_job *job;
	void *ctx;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t next;		/* the part the next free thread takes */
	uint64_t emitted;
	bool stop;
	size_t slot_count;
	struct slot *slots;
};

unsigned workpool_threads(unsigned threads)
{
	long processors = threads > 0 ? (long)threads : sysconf(_SC_NPROCESSORS_ONLN);

	if (processors < 1)
		return 1;
	return processors > THREADS_MAX ? THREADS_MAX : (unsigned)processors;
}

static struct slot *slot_of(const struct pool *p, uint64_t part)
{
	return &p->slots[part % p->slot_count];
}

/* Waits for a part whose slot is free; false: there is no more to do. */
static bool part_take(struct pool *p, uint64_t *ret_part)
{
	bool taken;

	(void)pthread_mutex_lock(&p->lock);
	while (!p->stop && p->next < p->job->parts && p->next - p->emitted >= p->slot_count)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	taken = !p->stop && p->next < p->job->parts;
	if (taken)
		*ret_part = p->next++;
	(void)pthread_mutex_unlock(&p->lock);
	return taken;
}

static void *thread_run(void *arg)
{
	struct pool *p = arg;
	uint64_t part;

	while (part_take(p, &part)) {
		struct slot *slot = slot_of(p, part);
		int r = p->job->work(p->ctx, part, slot->data, &slot->err);

		(void)pthread_mutex_lock(&p->lock);
		slot->state = r < 0 ? SLOT_FAILED : SLOT_DONE;
		(void)pthread_cond_broadcast(&p->changed);
		(void)pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

static int part_emit(struct pool *p, uint64_t part, struct err *err)
{
	struct slot *slot = slot_of(p, part);
	int r;

	(void)pthread_mutex_lock(&p->lock);
	while (slot->state == SLOT_FREE)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	(void)pthread_mutex_unlock(&p->lock);
	if (slot->state == SLOT_FAILED) {
		if (err)
			*err = slot->err;
		return -1;
	}
	r = p->job->emit(p->ctx, part, slot->data, err);
	(void)pthread_mutex_lock(&p->lock);
	slot->state = SLOT_FREE;
	p->emitted++;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

static int parts_emit(struct pool *p, struct err *err)
{
	for (uint64_t part = 0; part < p->job->parts; part++)
		if (part_emit(p, part, err) < 0)
			return -1;
	return 0;
}

static int threads_run(struct pool *p, unsigned wanted, struct err *err)
{
	pthread_t threads[THREADS_MAX];
	unsigned started = 0;
	int error = 0, r = 0;

	while (started < wanted &&
	       (error = pthread_create(&threads[started], NULL, thread_run, p)) == 0)
		started++;
	if (started == 0)	/* fewer than wanted will do */
		r = err_errno(err, EX_SOFTWARE, error, "failed to start a thread");
	else
		r = parts_emit(p, err);
	(void)pthread_mutex_lock(&p->lock);
	p->stop = true;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
	while (started > 0)
		(void)pthread_join(threads[--started], NULL);
	return r;
}

static void slots_free(struct pool *p)
{
	for (size_t i = 0; p->slots && i < p->slot_count; i++) {
		if (p->slots[i].data && p->job->slot_clear)
			p->job->slot_clear(p->slots[i].data);
		free(p->slots[i].data);
	}
	free(p->slots);
}

int workpool_run(const struct workpool_job *job, void *ctx, struct err *err)
{
	unsigned threads = workpool_threads(job->threads);
	struct pool p = { .job = job, .ctx = ctx, .slot_count = threads + SLOTS_AHEAD };
	bool complete;
	int r;

	p.slots = calloc(p.slot_count, sizeof *p.slots);
	complete = p.slots;
	for (size_t i = 0; complete && i < p.slot_count; i++) {
		p.slots[i].data = calloc(1, job->slot_bytes);
		complete = p.slots[i].data;
	}
	if (!complete) {
		slots_free(&p);
		return err_set(err, EX_SOFTWARE, "out of memory");
	}
	(void)pthread_mutex_init(&p.lock, NULL);
	(void)pthread_cond_init(&p.changed, NULL);
	r = threads_run(&p, threads, err);
	(void)pthread_cond_destroy(&p.changed);
	(void)pthread_mutex_destroy(&p.lock);
	slots_free(&p);
	return r;
}
