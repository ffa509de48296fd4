/* SPDX-License-Identifier: MIT */
#include "port.h"

bool port_read(uint16_t port, unsigned width, uint32_t *ret_value)
{
	(void)port;
	(void)width;
	(void)ret_value;
	return false;
}

bool port_write(uint16_t port, unsigned width, uint32_t value)
{
	(void)port;
	(void)width;
	(void)value;
	return false;
}

enum { EL2 = 2, FAILED = 1, DEVICE_MASK = 0xf0 };

/* Asks the processor's own tables, for writing (Arm ARM, AT S1E1W, AT S1E2W, PAR_EL1). */
bool registers_are_mapped(uint64_t address)
{
	uint64_t level, par;

	__asm__ volatile("mrs %0, CurrentEL" : "=r"(level));
	if ((level >> 2 & 3) == EL2)
		__asm__ volatile("at s1e2w, %0" ::"r"(address) : "memory");
	else
		__asm__ volatile("at s1e1w, %0" ::"r"(address) : "memory");
	__asm__ volatile("isb\n\tmrs %0, par_el1" : "=r"(par));
	return !(par & FAILED) && (par >> 56 & DEVICE_MASK) == 0;
}
