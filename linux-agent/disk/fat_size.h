/* SPDX-License-Identifier: MIT */
/*
 * Which FAT an ESP of a size gets. The type follows from the number of clusters alone
 * (Microsoft's FAT specification 1.03, page 14, which UEFI 2.10, 13.3 adopts):
 *
 *     below 4085 FAT12, below 65525 FAT16, else FAT32
 *
 * and firmware refuses, or misreads, a file system whose fields say one type and whose count says
 * another: a FAT32 of 200 MB in sectors of 4096 bytes has too few clusters. Counts within 16 of a
 * limit are avoided, because programs disagree on the last ones.
 */
#pragma once

#include "err.h"

#include <stddef.h>
#include <stdint.h>

struct fat_size {
	unsigned type;			/* 16 or 32 */
	unsigned sector_bytes;		/* 512 or 4096 */
	unsigned cluster_sectors;	/* a power of two */
	unsigned reserved_sectors;
	uint64_t clusters;		/* as the specification counts them */
};

/* FAT32 where it can be, with clusters of 4 KiB or the largest below; else FAT16.
 * EX_USAGE: too small or too large, with the nearest size that is good. */
int fat_size_choose(uint64_t bytes, unsigned sector_bytes, struct fat_size *ret_size, struct err *err);

/* Whether the boot sector that was made (its first 512 bytes) has the type and the clusters that
 * size says, and as many as its type wants. EX_SOFTWARE. */
int fat_size_check(const struct fat_size *size, const uint8_t sector[512], struct err *err);
