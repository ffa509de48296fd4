/* SPDX-License-Identifier: MIT */
/*
 * A job cut into numbered parts that are worked on by several threads and handed over
 * in order, so that what comes out does not depend on the number of threads.
 *
 *   work()   on any thread, parts in any order; sees nothing but its own slot
 *   emit()   on the calling thread, part 0 first, one after the other
 *
 * There are a few more slots than threads, and a slot is taken again only after its part
 * was emitted: memory stays flat however many parts there are.
 */
#pragma once

#include "err.h"

#include <stddef.h>
#include <stdint.h>

struct workpool_job {
	uint64_t parts;
	unsigned threads;	/* 0: one for each processor */
	size_t slot_bytes;	/* of one slot, zeroed at first, kept between parts */
	/* Both return 0, or -1 with err filled, which ends the job. */
	int (*work)(void *ctx, uint64_t part, void *slot, struct err *err);
	int (*emit)(void *ctx, uint64_t part, void *slot, struct err *err);
	void (*slot_clear)(void *slot);		/* may be NULL */
};

/* How many threads `threads` stands for: at least 1, at most 64. */
unsigned workpool_threads(unsigned threads);

/* Returns after every thread has ended. The error is that of the lowest part that
 * failed, whatever the number of threads. */
int workpool_run(const struct workpool_job *job, void *ctx, struct err *err);
