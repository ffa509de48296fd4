/* SPDX-License-Identifier: MIT */
/*
 * The rollback floor: no bundle of a lower version is installed, signed or not,
 * --allow-downgrade or not. mark-good raises it to the running slot's version where
 * that one's manifest says so ("raises-floor"); nothing lowers it.
 *
 * EFI/slotboot/floor on the ESP, 1024 bytes: two copies, a 512-byte sector each,
 * overwritten in place, one after the other, each flushed. So one of them is whole
 * at any time, and the higher one counts. A copy, the rest of its sector zero:
 *
 *     0   8  magic "SLOTFLOR"
 *     8   2  version of this layout: 1
 *    10   2  length of the text, 1 to 64
 *    12   4  reserved, 0
 *    16  64  version (as in the manifest), zeros behind it
 *    80  44  reserved, 0
 *   124   4  CRC-32 of bytes 0 to 123
 */
#pragma once

#include "disk.h"
#include "err.h"

#define FLOOR_SECTOR 512
#define FLOOR_BYTES (2 * FLOOR_SECTOR)
#define FLOOR_VERSION_MAX 64

struct floor {
	char version[FLOOR_VERSION_MAX + 1];	/* "": there is none */
	bool held[2];		/* by the copy */
};

/* Any bytes are safe; what lies beyond len counts as zero. A copy of zeros is none.
 * False: damaged, that is, neither copy is valid and neither is of zeros. (One alone
 * that is damaged, beside zeros, is what a cut leaves of the very first write, which
 * was never reported.) */
bool floor_decode(const uint8_t *bytes, size_t len, struct floor *ret_floor);

/* esp: where the ESP is mounted. No file: no floor. EX_CONFIG: damaged, and what to
 * do; EX_IOERR. */
int floor_load(const struct disk *disk, const char *esp, struct floor *ret_floor,
	       struct err *err);

/* To version, if that is higher or one copy does not hold the floor; also where the
 * file is damaged. On 0 both copies hold it, flushed and read back. EX_IOERR. */
int floor_raise(const struct disk *disk, const char *esp, const char *version,
		struct err *err);
