/* SPDX-License-Identifier: MIT */
/*
 * Threads, and a fixed number of tasks for them. The caller takes a task, fills it and puts
 * it in; when all are busy, taking one waits: that bounds memory. Without threads a task
 * runs in pool_put(), so that everything happens in one order (the crash simulator).
 */
#pragma once

#include "err.h"

#include <stddef.h>
#include <stdint.h>

struct pool_options {
	unsigned threads;	/* 0: none */
	unsigned tasks;		/* at least 1 */
	size_t task_bytes;	/* of one task, zeroed at first, kept from one run to the next */
	/* Once for each task, where not NULL. open: -1 with err; clear also if it failed. */
	int (*open)(void *ctx, void *task, struct err *err);
	void (*clear)(void *task);
	int (*run)(void *ctx, void *task, struct err *err);	/* from several threads at once */
	void *ctx;
};

struct pool;

/* How many threads `threads` stands for: 0 for one a processor; at least 1, at most 64. */
unsigned pool_threads(unsigned threads);

/* Fewer threads than wanted will do. EX_SOFTWARE: out of memory, no thread to be had. */
int pool_open(const struct pool_options *options, struct pool **ret_pool, struct err *err);
/* Waits for what is being run; what is only queued is dropped: pool_drain() comes first. */
void pool_close(struct pool *pool);

/* A task nobody works on; NULL once a run failed (pool_drain() says how). */
void *pool_take(struct pool *pool);
/* To be run by a thread. */
void pool_put(struct pool *pool, void *task);
/* Not to be run. */
void pool_give_back(struct pool *pool, void *task);

/* Waits until all are done; -1 and the error of the first run that failed. */
int pool_drain(struct pool *pool, struct err *err);

/*
 * A job cut into numbered parts, worked on by several threads and handed over in order, so
 * that what comes out does not depend on the number of threads:
 *
 *   work()   on any thread, parts in any order; sees nothing but its own slot
 *   emit()   on the calling thread, part 0 first, one after the other
 *
 * There are a few more slots than threads, and a slot is taken again only after its part
 * was emitted: memory stays flat however many parts there are.
 */
struct pool_job {
	uint64_t parts;
	unsigned threads;	/* as for pool_threads() */
	size_t slot_bytes;	/* of one slot, zeroed at first, kept between parts */
	/* Both return 0, or -1 with err filled, which ends the job. */
	int (*work)(void *ctx, uint64_t part, void *slot, struct err *err);
	int (*emit)(void *ctx, uint64_t part, void *slot, struct err *err);
	void (*slot_clear)(void *slot);		/* may be NULL */
};

/* Returns after every thread has ended. The error is that of the lowest part that failed,
 * whatever the number of threads. */
int pool_in_order(const struct pool_job *job, void *ctx, struct err *err);
