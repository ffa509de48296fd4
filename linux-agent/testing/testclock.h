/* SPDX-License-Identifier: MIT */
/*
 * For tests: time that does not pass by itself. A pause takes exactly as long as it
 * says; where a transfer hangs, each look at the clock takes 100 s once the server has its
 * connection. So no verdict depends on how fast this host is.
 */
#pragma once

#include "fetch.h"
#include "testserver.h"

static int64_t testclock_ms;
static const struct testcount *testclock_count;	/* of the server that hangs; NULL: none */
static unsigned testclock_hangs_at;		/* from this connection on */
static void (*testclock_on_tick)(void);		/* with each look at it; may be NULL */

static inline int64_t testclock_now(void *ctx)
{
	(void)ctx;
	if (testclock_on_tick)
		testclock_on_tick();
	if (testclock_count && testclock_count->connections >= testclock_hangs_at)
		testclock_ms += 100000;
	return testclock_ms;
}

static inline void testclock_sleep(void *ctx, unsigned ms)
{
	(void)ctx;
	testclock_ms += ms;
}

static const struct fetch_clock testclock = { testclock_now, testclock_sleep, NULL };

static inline void testclock_reset(void)
{
	testclock_ms = 0;
	testclock_count = NULL;
	testclock_hangs_at = 1;
	testclock_on_tick = NULL;
}
