/* SPDX-License-Identifier: MIT */
#include "ticks.h"

#include <cpuid.h>

enum {
	LEAF_TSC = 0x15,
	LEAF_HYPERVISOR = 0x40000000,
	LEAF_HYPERVISOR_TSC = 0x40000010,
	STALL_USEC = 100,
};

uint64_t ticks_read(void)
{
	return __builtin_ia32_rdtsc();
}

static bool in_hypervisor(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & 1u << 31);
}

/* A guest's counter may be the host's, and then says nothing of this boot. Where
 * the hypervisor tells how fast it runs, it is the guest's own. */
static uint64_t hypervisor_frequency(void)
{
	unsigned max, khz, b, c, d;

	__cpuid(LEAF_HYPERVISOR, max, b, c, d);
	if (max < LEAF_HYPERVISOR_TSC)
		return 0;
	__cpuid(LEAF_HYPERVISOR_TSC, khz, b, c, d);
	return khz * UINT64_C(1000);
}

/* Crystal, times numerator by denominator; many processors leave one out. */
static uint64_t crystal_frequency(void)
{
	unsigned denominator, numerator, crystal, d;

	if (!__get_cpuid(LEAF_TSC, &denominator, &numerator, &crystal, &d) || denominator == 0)
		return 0;
	return (uint64_t)crystal * numerator / denominator;
}

/* A tenth of a millisecond is enough for a figure that people read. */
static uint64_t measured_frequency(struct loader *l)
{
	uint64_t begin = ticks_read();

	if (EFI_ERROR(l->bs->Stall(STALL_USEC)))
		return 0;
	return (ticks_read() - begin) * (1000000 / STALL_USEC);
}

uint64_t ticks_per_second(struct loader *l)
{
	uint64_t frequency;

	if (in_hypervisor())
		return hypervisor_frequency();
	frequency = crystal_frequency();
	return frequency ? frequency : measured_frequency(l);
}
