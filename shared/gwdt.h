/* SPDX-License-Identifier: MIT */
/*
 * Arm's generic watchdog (Arm Base System Architecture 1.0, appendix B; "SBSA" to
 * Linux), found by the ACPI table GTDT (ACPI 6.5, 5.2.25). It counts with the system
 * counter and expires twice: the first time it interrupts, the second time it
 * resets. The table is outside data; registers, all of 32 bits, are reached only
 * through the caller.
 *
 *     offset size  field of GTDT                structure 1, a watchdog:
 *          0    4  "GTDT"                           0  1  type, 1
 *          4    4  length of the table              1  2  length, 28
 *          9    1  makes the sum of all bytes 0     4  8  address of the refresh frame
 *         88    4  number of structures            12  8  address of the control frame
 *         92    4  where the first one is          24  4  flags; 0x04 of the secure world
 */
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GWDT_BYTES_MAX 4096u
#define GWDT_FRAME_BYTES 4096u

struct gwdt {
	uint64_t refresh, control;	/* physical addresses of the two register frames */
};

struct gwdt_ops {
	void *ctx;
	uint32_t (*read)(void *ctx, uint64_t address);
	void (*write)(void *ctx, uint64_t address, uint32_t value);
};

/* The table's first watchdog that is not the secure world's. Total on any bytes; len
 * may be more than the table. SB_SHORT, SB_LONG (over a cap), SB_MAGIC, SB_CHECKSUM,
 * SB_RANGE (a structure of no length, a frame not at a page), SB_NOT_FOUND: it has none. */
enum sb_error gwdt_parse(const uint8_t *table, size_t len, struct gwdt *ret_gwdt);

/* A reset in so many seconds, or as many as it can count; frequency is the system
 * counter's, in Hz. SB_RANGE: it cannot count half as many, and is off: it would reset
 * what is healthy. SB_IO: it does not read back as running. */
enum sb_error gwdt_arm(const struct gwdt *gwdt, const struct gwdt_ops *ops, uint64_t frequency,
		       unsigned seconds);
void gwdt_disarm(const struct gwdt *gwdt, const struct gwdt_ops *ops);

/* Whether it has expired twice since it was last refreshed, as a reset may leave it;
 * clears that. */
bool gwdt_fired(const struct gwdt *gwdt, const struct gwdt_ops *ops);
