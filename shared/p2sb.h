/* SPDX-License-Identifier: MIT */
/*
 * The primary-to-sideband bridge of Intel's chipsets (200 series datasheet 335193, "P2SB
 * Bridge"): 16 MiB of memory, 64 KiB for each port of the sideband. Firmware hides the
 * function, lest an operating system move it: it then reads as all ones, but takes writes.
 * Its configuration space is reached only through the caller.
 *
 *     0x00  vendor and device
 *     0x04  command, 16 bits: 0x0002 the memory is decoded
 *     0x0a  class, 16 bits: 0x0580, other memory
 *     0x10  the memory's base, 64 bits, of which the lower 4 are no address
 *     0xe1  8 bits: 0x01 hide the function
 */
#pragma once

#include "error.h"

#include <stdint.h>

struct p2sb_ops {
	void *ctx;
	/* width is 8, 16 or 32 bits; all ones where there is nothing. */
	uint32_t (*read)(void *ctx, unsigned offset, unsigned width);
	void (*write)(void *ctx, unsigned offset, unsigned width, uint32_t value);
};

/* Where that memory is. Nobody else may look at PCI meanwhile: the function is shown for as
 * long, if it was hidden. SB_NOT_FOUND: it is no such bridge, or has no memory below 4 GiB. */
enum sb_error p2sb_find(const struct p2sb_ops *ops, uint32_t *ret_base);
