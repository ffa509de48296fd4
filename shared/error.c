/* SPDX-License-Identifier: MIT */
#include "error.h"

const char *sb_error_text(enum sb_error error)
{
	switch (error) {
	case SB_OK:
		return "ok";
	case SB_NOT_FOUND:
		return "missing";
	case SB_IO:
		return "input/output error";
	case SB_FULL:
		return "no space left";
	case SB_SHORT:
		return "too short";
	case SB_LONG:
		return "too long";
	case SB_MAGIC:
		return "wrong format";
	case SB_VERSION:
		return "unknown version";
	case SB_CHECKSUM:
		return "wrong checksum";
	case SB_RANGE:
		return "value out of range";
	case SB_ATTRIBUTES:
		return "wrong attributes";
	case SB_READBACK:
		return "reads back differently";
	case SB_DIGEST:
		return "wrong digest";
	case SB_FOREIGN:
		return "of another disk";
	case SB_ERROR_COUNT:
		break;
	}
	return "unknown error";
}
