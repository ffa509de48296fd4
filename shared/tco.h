/* SPDX-License-Identifier: MIT */
/*
 * Intel's TCO timer, from ICH6 on (ICH9 datasheet 316972, 13.9; 200 series datasheet
 * 335193, "SMBus Interface"; 300 series datasheet 337348, "TCO Configuration"). It counts
 * down twice before it resets. What differs is where its ports are, how long a tick is and
 * where the bit is that forbids the reset; ports and registers are reached only through
 * the caller.
 *
 *     port  register, 16 bits each
 *     0x00  reload: any write starts the first countdown anew
 *     0x04  status 1; 0x0008 it has run out once (write 1 to clear)
 *     0x06  status 2; 0x0002 it has run out twice, 0x0004 and so it reset (likewise)
 *     0x08  control 1; 0x0800 halt; 0x0100 raises or ends an NMI where 1 is written;
 *           0x0001 forbid the reset, of TCO_PORTS alone
 *     0x12  timer, 10 bits, in ticks
 *
 *     kind          in                                      tick   what forbids the reset
 *     TCO_ICH       ICH6 to 9 series                        0.6 s  bit 5 of the chipset's GCS
 *     TCO_ATOM      Avoton, Bay Trail, Braswell             1 s    bit 4 of the PMC's PMC_CFG
 *     TCO_SIDEBAND  100 and 200 series, C620, Denverton     0.6 s  bit 1 of the SMBus' GC
 *     TCO_PORTS     300 series on                           0.6 s  bit 0 of control 1
 *
 * Datasheets give TCO_ATOM ticks of 0.6 s, too; Linux found a second.
 */
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tco_kind { TCO_ICH, TCO_ATOM, TCO_SIDEBAND, TCO_PORTS, TCO_KIND_COUNT };

struct tco_ops {
	void *ctx;
	enum tco_kind kind;
	/* Ports, from the timer's base on; all ones where there is none. */
	uint16_t (*read)(void *ctx, unsigned offset);
	void (*write)(void *ctx, unsigned offset, uint16_t value);
	/* The register in memory whose bit forbids the reset; not called for TCO_PORTS. All
	 * ones where there is none. */
	uint32_t (*forbid_read)(void *ctx);
	void (*forbid_write)(void *ctx, uint32_t value);
};

/* Whether anything answers at its ports and, of another kind than TCO_PORTS, in memory; what
 * follows is for such a one alone. */
bool tco_is_there(const struct tco_ops *ops);

/* A reset in so many seconds (at most 65535), or as near as it comes: 5 to 1228, of TCO_ATOM 8
 * to 2046. SB_IO: it does not read back so; a strap or a lock may be in the way. */
enum sb_error tco_arm(const struct tco_ops *ops, unsigned seconds);
void tco_disarm(const struct tco_ops *ops);

/* Whether it has run out twice since it was last asked. */
bool tco_fired(const struct tco_ops *ops);
