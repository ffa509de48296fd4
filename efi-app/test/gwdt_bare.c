/* SPDX-License-Identifier: MIT */
/*
 * Runs on QEMU's sbsa-ref from its reset vector: Debian has no firmware for the one
 * machine of QEMU with Arm's generic watchdog. Arms it for a second, turns it off,
 * stays for three; arms it for three seconds and writes a dot after 0.25 s, 0.75 s, and
 * so on until it is reset.
 */
#include "bytes.h"
#include "gwdt.h"

/* sbsa-ref: RAM, the first PL011 and the watchdog's frames. */
__asm__(".text\n"
	".globl _start\n"
	"_start:\n"
	"\tmov x0, #0x10000000000\n"
	"\tadd x0, x0, #0x100000\n"
	"\tmov sp, x0\n"
	"\tb bare_main\n");
enum { UART = 0x60000000, REFRESH = 0x50010000, CONTROL = 0x50011000 };
enum { FIRST = 96, LENGTH = FIRST + 28 };

_Noreturn void bare_main(void);

static uint64_t frequency(void)
{
	uint64_t v;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(v));
	return v;
}

static uint64_t counter(void)
{
	uint64_t v;

	__asm__ volatile("isb\n\tmrs %0, cntpct_el0" : "=r"(v));
	return v;
}

static uint32_t register_read(void *ctx, uint64_t address)
{
	(void)ctx;
	return *(volatile uint32_t *)(uintptr_t)address;
}

static void register_write(void *ctx, uint64_t address, uint32_t value)
{
	(void)ctx;
	*(volatile uint32_t *)(uintptr_t)address = value;
}

static void say(const char *text)
{
	for (; *text; text++)
		register_write(NULL, UART, (unsigned char)*text);
}

static void wait_until(uint64_t when)
{
	while (counter() < when)
		;
}

static enum sb_error find(struct gwdt *ret_gwdt)
{
	uint8_t table[LENGTH] = "GTDT", sum = 0;

	le32_put(table + 4, LENGTH);
	le32_put(table + 88, 1);
	le32_put(table + 92, FIRST);
	table[FIRST] = 1;
	table[FIRST + 1] = 28;
	le64_put(table + FIRST + 4, REFRESH);
	le64_put(table + FIRST + 12, CONTROL);
	for (unsigned i = 0; i < LENGTH; i++)
		sum = (uint8_t)(sum + table[i]);
	table[9] = (uint8_t)-sum;
	return gwdt_parse(table, LENGTH, ret_gwdt);
}

_Noreturn void bare_main(void)
{
	/* Not static: nobody relocates a table of pointers. */
	struct gwdt_ops ops = { NULL, register_read, register_write };
	uint64_t half = frequency() / 2, begin;
	struct gwdt gwdt;

	if (find(&gwdt) != SB_OK)
		say("no table\n");
	if (gwdt_arm(&gwdt, &ops, frequency(), 1) != SB_OK)
		say("not armed\n");
	gwdt_disarm(&gwdt, &ops);
	wait_until(counter() + 6 * half);
	say("off\n");
	begin = counter();
	if (gwdt_arm(&gwdt, &ops, frequency(), 3) != SB_OK)
		say("not armed\n");
	for (uint64_t i = 1;; i++) {
		wait_until(begin + i * half - half / 2);
		say(".");
	}
}
