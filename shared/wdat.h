/* SPDX-License-Identifier: MIT */
/*
 * ACPI WDAT, the table that describes a machine's watchdog as register accesses:
 * one list of instructions per action. (Microsoft, "Hardware Watchdog Timers
 * Design Specification"; the generic address structure is ACPI 6.5, 5.2.3.2.)
 * The table is outside data: it is checked as a whole before the first
 * instruction is carried out, and registers are reached only through the caller.
 *
 *     offset size  field                        instruction entry, from 68 on:
 *          0    4  "WDAT"                           0  1  action
 *          4    4  length of the table              1  1  0 compare, 1 read, 2 write
 *          9    1  makes the sum of all bytes 0           value, 3 write parameter;
 *         48    4  timer period, milliseconds             0x80 keep the other bits
 *         52    4  highest count                    4  1  0 memory, 1 I/O port
 *         56    4  lowest count                     5  1  register width, bits
 *         60    1  flags; 0x01 usable               6  1  register offset, bits
 *         64    4  number of entries                7  1  access: 1, 2, 3 for 8,
 *         68   24  entry 0, ...                           16, 32 bits; 0: the width
 *                                                   8  8  address
 *                                                  16  4  value
 *                                                  20  4  mask
 */
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Real tables have about a dozen entries and stay below a kilobyte. */
#define WDAT_BYTES_MAX 4096u
#define WDAT_ENTRIES_MAX 128u

enum wdat_action {
	WDAT_RESET = 1,			/* starts the countdown anew */
	WDAT_SET_COUNTDOWN = 6,		/* parameter: counts */
	WDAT_GET_RUNNING = 8,		/* 1: it runs */
	WDAT_SET_RUNNING = 9,
	WDAT_SET_STOPPED = 11,
	WDAT_SET_REBOOT = 17,		/* a reboot is what happens at the end */
	WDAT_GET_STATUS = 32,		/* 1: it caused the last reset */
	WDAT_SET_STATUS = 33,		/* forgets that */
};

enum wdat_space { WDAT_MEMORY = 0, WDAT_PORT = 1 };

struct wdat {
	const uint8_t *entries;		/* in the caller's bytes */
	unsigned count;
	uint32_t period_ms;		/* not 0 */
	uint32_t min_count, max_count;	/* min <= max, max not 0 */
};

struct wdat_ops {
	void *ctx;
	/* width is 8, 16 or 32 bits; false: it could not be done. */
	bool (*read)(void *ctx, enum wdat_space space, uint64_t address, unsigned width,
		     uint32_t *ret_value);
	bool (*write)(void *ctx, enum wdat_space space, uint64_t address, unsigned width,
		      uint32_t value);
};

/* Total on any bytes; len may be more than the table. On SB_OK ret_wdat refers to
 * the bytes, and every instruction in it can be carried out. SB_SHORT, SB_LONG (over
 * a cap), SB_MAGIC, SB_CHECKSUM, SB_NOT_FOUND (its flag says not usable), SB_RANGE. */
enum sb_error wdat_parse(const uint8_t *table, size_t len, struct wdat *ret_wdat);

/* Carries out the action's instructions in the table's order. parameter is for
 * those that write one; *ret_value (may be NULL) is that of the last instruction
 * that reads. SB_NOT_FOUND: the table has none for it, nothing was touched. SB_IO. */
enum sb_error wdat_run(const struct wdat *wdat, const struct wdat_ops *ops,
		       enum wdat_action action, uint32_t parameter, uint32_t *ret_value);

/* The counts that last for so many seconds, or as near as the timer comes. */
uint32_t wdat_counts(const struct wdat *wdat, unsigned seconds);
