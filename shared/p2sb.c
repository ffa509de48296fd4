/* SPDX-License-Identifier: MIT */
#include "p2sb.h"

#include <stdbool.h>

enum { ID = 0x00, COMMAND = 0x04, CLASS = 0x0a, BASE = 0x10, BASE_HIGH = 0x14, HIDE = 0xe1 };
enum { INTEL = 0x8086, DECODED = 0x02, MEMORY_OTHER = 0x0580, NO_ADDRESS = 0x0f };

static enum sb_error base_read(const struct p2sb_ops *ops, uint32_t *ret_base)
{
	uint32_t base = ops->read(ops->ctx, BASE, 32) & ~(uint32_t)NO_ADDRESS;

	if ((uint16_t)ops->read(ops->ctx, ID, 32) != INTEL ||
	    ops->read(ops->ctx, CLASS, 16) != MEMORY_OTHER ||
	    !(ops->read(ops->ctx, COMMAND, 16) & DECODED) || base == 0 ||
	    ops->read(ops->ctx, BASE_HIGH, 32) != 0)
		return SB_NOT_FOUND;
	*ret_base = base;
	return SB_OK;
}

enum sb_error p2sb_find(const struct p2sb_ops *ops, uint32_t *ret_base)
{
	bool hidden = ops->read(ops->ctx, ID, 32) == UINT32_MAX;
	enum sb_error error;

	if (hidden)
		ops->write(ops->ctx, HIDE, 8, 0);
	error = base_read(ops, ret_base);
	if (hidden)
		ops->write(ops->ctx, HIDE, 8, 1);
	return error;
}
