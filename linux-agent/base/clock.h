/* SPDX-License-Identifier: MIT */
/* What a clock of clock_gettime(2) says now. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ns(clockid_t clock)
{
	struct timespec now = { 0 };

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Nanoseconds since some moment: to measure how long something takes. */
static inline uint64_t clock_monotonic_ns(void)
{
	return (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

static inline int64_t clock_ms(clockid_t clock)
{
	return clock_ns(clock) / 1000000;
}
