/* SPDX-License-Identifier: MIT */
#include "fchwdt.h"

#define DECODE FCHWDT_PM
#define OPTIONS (FCHWDT_PM + 0x03)
#define ISA_CONTROL (FCHWDT_PM + 0x04)
#define CONTROL FCHWDT_TIMER
#define COUNT (FCHWDT_TIMER + 0x04)

enum { DECODE_TIMER = 0x80, OPTIONS_SECONDS = 0x03, OPTIONS_DISABLED = 0x0c, ISA_CONTROL_HERE = 0x02 };
enum { RUN = 0x01, FIRED = 0x02, POWER_OFF = 0x04, DISABLED = 0x08, TRIGGER = 0x80 };

static uint32_t control_read(const struct fchwdt_ops *ops)
{
	return ops->read(ops->ctx, CONTROL, 32);
}

static void control_write(const struct fchwdt_ops *ops, uint32_t value)
{
	ops->write(ops->ctx, CONTROL, 32, value);
}

/* Whether it reads back. */
static bool byte_change(const struct fchwdt_ops *ops, uint32_t address, uint32_t clear, uint32_t set)
{
	uint32_t old = ops->read(ops->ctx, address, 8), new = (old & ~clear) | set;

	if (new != old)
		ops->write(ops->ctx, address, 8, new);
	return ops->read(ops->ctx, address, 8) == new;
}

enum sb_error fchwdt_open(const struct fchwdt_ops *ops)
{
	if (ops->read(ops->ctx, FCHWDT_PM, 32) == UINT32_MAX ||
	    !(ops->read(ops->ctx, ISA_CONTROL, 8) & ISA_CONTROL_HERE))
		return SB_NOT_FOUND;
	if (!byte_change(ops, DECODE, 0, DECODE_TIMER) ||
	    !byte_change(ops, OPTIONS, OPTIONS_DISABLED, 0))
		return SB_NOT_FOUND;
	/* All ones are disabled, too. */
	return control_read(ops) & DISABLED ? SB_NOT_FOUND : SB_OK;
}

enum sb_error fchwdt_arm(const struct fchwdt_ops *ops, unsigned seconds)
{
	uint32_t stopped = control_read(ops) & ~(uint32_t)(RUN | FIRED | POWER_OFF | TRIGGER);

	control_write(ops, stopped);
	if (!byte_change(ops, OPTIONS, 0, OPTIONS_SECONDS))
		return SB_IO;
	ops->write(ops->ctx, COUNT, 32, seconds);
	/* Two writes: only what runs can be triggered. */
	control_write(ops, stopped | RUN);
	control_write(ops, stopped | RUN | TRIGGER);
	/* The count says what is left, and that not before the timer's next tick. */
	return (control_read(ops) & (RUN | POWER_OFF)) == RUN ? SB_OK : SB_IO;
}

void fchwdt_disarm(const struct fchwdt_ops *ops)
{
	control_write(ops, control_read(ops) & ~(uint32_t)(RUN | FIRED | TRIGGER));
}

bool fchwdt_fired(const struct fchwdt_ops *ops)
{
	uint32_t control = control_read(ops);

	if (!(control & FIRED))
		return false;
	control_write(ops, control & ~(uint32_t)TRIGGER);
	return true;
}
