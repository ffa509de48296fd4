/* SPDX-License-Identifier: MIT */
#include "ticks.h"

#include <cpuid.h>

enum {
	LEAF_TSC = 0x15,
	LEAF_HYPERVISOR = 0x40000000,
	LEAF_HYPERVISOR_TSC = 0x40000010,
	STALL_USEC = 100,
	/* EBX of the leaf: "KVMK", "TCGT" */
	SIGNATURE_KVM = 0x4b4d564b,
	SIGNATURE_TCG = 0x54474354,
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

/* The leaf that says how fast the guest's counter runs; and QEMU, whose guests'
 * counter starts at zero with or without KVM. Elsewhere it may be the host's. */
static bool hypervisor_counts(uint64_t *ret_frequency)
{
	unsigned max, b, c, d, khz;

	__cpuid(LEAF_HYPERVISOR, max, b, c, d);
	if (max >= LEAF_HYPERVISOR_TSC) {
		unsigned x, y, z;

		__cpuid(LEAF_HYPERVISOR_TSC, khz, x, y, z);
		if (khz > 0) {
			*ret_frequency = khz * UINT64_C(1000);
			return true;
		}
	}
	return b == SIGNATURE_KVM || b == SIGNATURE_TCG;
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
	uint64_t frequency = 0;

	if (in_hypervisor() && !hypervisor_counts(&frequency))
		return 0;
	if (frequency == 0)
		frequency = crystal_frequency();
	return frequency ? frequency : measured_frequency(l);
}
