/* SPDX-License-Identifier: MIT */
#include "ticks.h"

uint64_t ticks_read(void)
{
	uint64_t v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
}

uint64_t ticks_per_second(struct loader *l)
{
	uint64_t v;

	(void)l;
	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(v));
	return v;
}
