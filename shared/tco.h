/* SPDX-License-Identifier: MIT */
/*
 * Intel's TCO timer, from ICH6 on (ICH9 datasheet 316972, 13.9; 300 series datasheet
 * 337348, "TCO Configuration"). It counts down twice before it resets. What differs is
 * where its ports are and where the bit is that forbids the reset; both are reached
 * only through the caller.
 *
 *     port  register, 16 bits each
 *     0x00  reload: any write starts the first countdown anew
 *     0x04  status 1; 0x0008 it has run out once (write 1 to clear)
 *     0x06  status 2; 0x0002 it has run out twice, 0x0004 and so it reset (likewise)
 *     0x08  control 1; 0x0800 halt; 0x0001 forbid the reset, where "global" is NULL
 *     0x12  timer, 10 bits, of 0.6 seconds
 */
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tco_global {
	uint32_t (*read)(void *ctx);
	void (*write)(void *ctx, uint32_t value);
};

struct tco_ops {
	void *ctx;
	/* Ports, from the timer's base on; all ones where there is none. */
	uint16_t (*read)(void *ctx, unsigned offset);
	void (*write)(void *ctx, unsigned offset, uint16_t value);
	/* The register "general control and status", whose bit 5 forbids the reset: up to
	 * the 9 series. NULL: see control 1, from the 300 series on. */
	const struct tco_global *global;
};

/* Whether anything answers at its ports; what follows is for such a one alone. */
bool tco_is_there(const struct tco_ops *ops);

/* A reset in so many seconds (at most 65535), or as near as it comes: 5 to 1228. SB_IO: it does not read
 * back so; a strap or a lock may be in the way. */
enum sb_error tco_arm(const struct tco_ops *ops, unsigned seconds);
void tco_disarm(const struct tco_ops *ops);

/* Whether it has run out twice since it was last asked. */
bool tco_fired(const struct tco_ops *ops);
