/* SPDX-License-Identifier: MIT */
/*
 * The time for test/measure, which QEMU counts in instructions (-icount shift=0), told past the firmware: on x86-64 the
 * time stamp counter through QEMU's debug console, on arm64 the virtual counter, of 16 ns, through the serial port of
 * "virt".
 */
#pragma once

#include <stdint.h>

#ifdef __x86_64__
static inline uint64_t tick_now(void)
{
	return __builtin_ia32_rdtsc();
}

static inline void tick_put(uint8_t byte)
{
	__asm__ volatile("outb %b0, %w1" ::"a"(byte), "Nd"((uint16_t)0x402));
}
#else
static inline uint64_t tick_now(void)
{
	uint64_t ticks;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks));
	return 16 * ticks;
}

/* PL011, UARTDR; QEMU's takes any number at once. */
static inline void tick_put(uint8_t byte)
{
	*(volatile uint32_t *)0x09000000 = byte;
}
#endif

/* TICK and eight bytes, the lowest first. */
static inline void tick_tell(uint64_t ticks)
{
	for (unsigned i = 0; i < 4; i++)
		tick_put((uint8_t)"TICK"[i]);
	for (unsigned i = 0; i < sizeof ticks; i++)
		tick_put((uint8_t)(ticks >> 8 * i));
}
