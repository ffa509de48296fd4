/* SPDX-License-Identifier: MIT */
#include "tco.h"

enum { RELOAD = 0x00, STATUS_1 = 0x04, STATUS_2 = 0x06, CONTROL_1 = 0x08, TIMER = 0x12 };
enum { STATUS_1_TIMEOUT = 0x0008, STATUS_2_SECOND = 0x0002, STATUS_2_BOOT = 0x0004 };
enum { CONTROL_1_NO_REBOOT = 0x0001, CONTROL_1_NMI = 0x0100, CONTROL_1_HALT = 0x0800 };

/* Fewer than 4 are ignored. */
enum { TICKS_MIN = 4, TICKS_MAX = 0x3ff };

static const struct kind {
	unsigned tick_ms;
	uint32_t forbids;	/* 0: the bit is in control 1 */
} kinds[TCO_KIND_COUNT] = {
	[TCO_ICH] = { 600, 0x20 },
	[TCO_ATOM] = { 1000, 0x10 },
	[TCO_SIDEBAND] = { 600, 0x02 },
	[TCO_PORTS] = { 600, 0 },
};

static uint16_t port_read(const struct tco_ops *ops, unsigned offset)
{
	return ops->read(ops->ctx, offset);
}

static void port_write(const struct tco_ops *ops, unsigned offset, unsigned value)
{
	ops->write(ops->ctx, offset, (uint16_t)value);
}

static void control_set(const struct tco_ops *ops, unsigned bit, bool on)
{
	unsigned others = port_read(ops, CONTROL_1) & ~(bit | CONTROL_1_NMI);

	port_write(ops, CONTROL_1, others | (on ? bit : 0));
}

static bool reset_is_forbidden(const struct tco_ops *ops)
{
	uint32_t forbids = kinds[ops->kind].forbids;

	if (forbids)
		return ops->forbid_read(ops->ctx) & forbids;
	return port_read(ops, CONTROL_1) & CONTROL_1_NO_REBOOT;
}

static void reset_forbid(const struct tco_ops *ops, bool forbid)
{
	uint32_t forbids = kinds[ops->kind].forbids;

	if (forbids)
		ops->forbid_write(ops->ctx, (ops->forbid_read(ops->ctx) & ~forbids) |
						    (forbid ? forbids : 0));
	else
		control_set(ops, CONTROL_1_NO_REBOOT, forbid);
}

/* Upper bits of either are reserved, and 0. */
bool tco_is_there(const struct tco_ops *ops)
{
	return port_read(ops, CONTROL_1) != UINT16_MAX &&
	       (!kinds[ops->kind].forbids || ops->forbid_read(ops->ctx) != UINT32_MAX);
}

enum sb_error tco_arm(const struct tco_ops *ops, unsigned seconds)
{
	unsigned both = 2 * kinds[ops->kind].tick_ms;
	unsigned ticks = (seconds * 1000 + both - 1) / both;

	ticks = ticks < TICKS_MIN ? TICKS_MIN : ticks > TICKS_MAX ? TICKS_MAX : ticks;
	tco_disarm(ops);
	/* A timeout that is on record already would count as the first. */
	port_write(ops, STATUS_1, STATUS_1_TIMEOUT);
	reset_forbid(ops, false);
	port_write(ops, TIMER, (port_read(ops, TIMER) & ~(unsigned)TICKS_MAX) | ticks);
	port_write(ops, RELOAD, 1);
	control_set(ops, CONTROL_1_HALT, false);
	return !reset_is_forbidden(ops) && (port_read(ops, TIMER) & TICKS_MAX) == ticks &&
			       !(port_read(ops, CONTROL_1) & CONTROL_1_HALT)
		       ? SB_OK
		       : SB_IO;
}

void tco_disarm(const struct tco_ops *ops)
{
	control_set(ops, CONTROL_1_HALT, true);
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
