/* SPDX-License-Identifier: MIT */
/*
 * The watchdog of AMD's FCH, family 17h and later (Processor Programming Reference
 * 55570, "Watchdog Timer (WDT) Registers" and PMx00), which Linux drives as sp5100_tco. It
 * counts down once, in seconds, and resets. Registers are at fixed addresses, and are
 * reached only through the caller.
 *
 *     0xfed80300  power management, bytes
 *          0x00   0x80 the watchdog is decoded and has its clock
 *          0x03   0x03 its unit, 3 for a second; 0x0c not 0: it is disabled
 *          0x04   0x02 these registers are here at all
 *     0xfed80b00  watchdog, 32 bits each
 *          0x00   control: 0x01 run, 0x02 it fired (write 1 to clear), 0x04 power off
 *                 instead of a reset, 0x08 disabled (read only), 0x80 start the countdown
 *                 (write only)
 *          0x04   count, 16 bits; reads as what is left
 */
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

#define FCHWDT_PM 0xfed80300u
#define FCHWDT_TIMER 0xfed80b00u

struct fchwdt_ops {
	void *ctx;
	/* width is 8 or 32 bits; all ones where there is no register. */
	uint32_t (*read)(void *ctx, uint32_t address, unsigned width);
	void (*write)(void *ctx, uint32_t address, unsigned width, uint32_t value);
};

/* Makes its registers answer; what follows is for such a one alone. SB_NOT_FOUND: they do
 * not, or it is disabled and stays so. */
enum sb_error fchwdt_open(const struct fchwdt_ops *ops);

/* A reset in so many seconds (1 to 65535). SB_IO: it does not read back as running so. */
enum sb_error fchwdt_arm(const struct fchwdt_ops *ops, unsigned seconds);
void fchwdt_disarm(const struct fchwdt_ops *ops);

/* Whether it reset the machine since it was last asked. */
bool fchwdt_fired(const struct fchwdt_ops *ops);
