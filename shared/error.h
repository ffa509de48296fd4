/* SPDX-License-Identifier: MIT */
/*
 * The one error type of shared/. The loader's adapter makes it from
 * EFI_STATUS, the agent's from errno; nothing here knows either.
 */
#pragma once

enum sb_error {
	SB_OK = 0,
	SB_NOT_FOUND,		/* the variable, file or section is not there */
	SB_IO,			/* the storage refused or failed */
	SB_FULL,		/* no space left, EFI_OUT_OF_RESOURCES */
	SB_SHORT,		/* fewer bytes than the format has */
	SB_LONG,		/* more bytes, or more than the caller's buffer */
	SB_MAGIC,		/* not this format at all */
	SB_VERSION,		/* this format, but a version we do not know */
	SB_CHECKSUM,		/* CRC-32 differs */
	SB_RANGE,		/* a field holds a value it cannot have */
	SB_ATTRIBUTES,		/* the variable is not NV, BS and RT */
	SB_READBACK,		/* stored, but reads back differently */
	SB_DIGEST,		/* SHA-256 differs */
	SB_FOREIGN,		/* a record of another disk, or no disk to have one */
	SB_ERROR_COUNT
};

/* In words, lower case, no full stop; never NULL. */
const char *sb_error_text(enum sb_error error);
