/* SPDX-License-Identifier: MIT */
#include "tco.h"

enum { RELOAD = 0x00, STATUS_1 = 0x04, STATUS_2 = 0x06, CONTROL_1 = 0x08, TIMER = 0x12 };
enum { STATUS_1_TIMEOUT = 0x0008, STATUS_2_SECOND = 0x0002, STATUS_2_BOOT = 0x0004 };
enum { CONTROL_1_NO_REBOOT = 0x0001, CONTROL_1_HALT = 0x0800 };
enum { GLOBAL_NO_REBOOT = 0x20 };

/* Fewer than 4 are ignored. */
enum { TICKS_MIN = 4, TICKS_MAX = 0x3ff };

static uint16_t port_read(const struct tco_ops *ops, unsigned offset)
{
	return ops->read(ops->ctx, offset);
}

static void port_write(const struct tco_ops *ops, unsigned offset, unsigned value)
{
	ops->write(ops->ctx, offset, (uint16_t)value);
}

static bool reset_is_forbidden(const struct tco_ops *ops)
{
	if (ops->global)
		return ops->global->read(ops->ctx) & GLOBAL_NO_REBOOT;
	return port_read(ops, CONTROL_1) & CONTROL_1_NO_REBOOT;
}

static void reset_forbid(const struct tco_ops *ops, bool forbid)
{
	uint32_t others;

	if (ops->global) {
		others = ops->global->read(ops->ctx) & ~(uint32_t)GLOBAL_NO_REBOOT;
		ops->global->write(ops->ctx, others | (forbid ? GLOBAL_NO_REBOOT : 0));
	} else {
		others = port_read(ops, CONTROL_1) & ~(uint32_t)CONTROL_1_NO_REBOOT;
		port_write(ops, CONTROL_1, others | (forbid ? CONTROL_1_NO_REBOOT : 0));
	}
}

/* Its upper bits are reserved, and 0. */
bool tco_is_there(const struct tco_ops *ops)
{
	return port_read(ops, CONTROL_1) != UINT16_MAX;
}

enum sb_error tco_arm(const struct tco_ops *ops, unsigned seconds)
{
	unsigned ticks = (seconds * 5 + 5) / 6;		/* twice 0.6 seconds */

	ticks = ticks < TICKS_MIN ? TICKS_MIN : ticks > TICKS_MAX ? TICKS_MAX : ticks;
	tco_disarm(ops);
	/* A timeout that is on record already would count as the first. */
	port_write(ops, STATUS_1, STATUS_1_TIMEOUT);
	reset_forbid(ops, false);
	port_write(ops, TIMER, (port_read(ops, TIMER) & ~(unsigned)TICKS_MAX) | ticks);
	port_write(ops, RELOAD, 1);
	port_write(ops, CONTROL_1, port_read(ops, CONTROL_1) & ~(unsigned)CONTROL_1_HALT);
	return !reset_is_forbidden(ops) && (port_read(ops, TIMER) & TICKS_MAX) == ticks &&
			       !(port_read(ops, CONTROL_1) & CONTROL_1_HALT)
		       ? SB_OK
		       : SB_IO;
}

void tco_disarm(const struct tco_ops *ops)
{
	port_write(ops, CONTROL_1, port_read(ops, CONTROL_1) | CONTROL_1_HALT);
	reset_forbid(ops, true);
}

bool tco_fired(const struct tco_ops *ops)
{
	bool second = port_read(ops, STATUS_2) & STATUS_2_SECOND;

	/* Two writes: the second bit is to be cleared after the first. */
	port_write(ops, STATUS_1, STATUS_1_TIMEOUT);
	port_write(ops, STATUS_2, STATUS_2_SECOND);
	port_write(ops, STATUS_2, STATUS_2_BOOT);
	return second;
}
