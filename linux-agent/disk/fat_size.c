/* SPDX-License-Identifier: MIT */
#include "fat_size.h"

#include "bytes.h"

#include <stdbool.h>

#define FAT16_MIN 4085u		/* clusters */
#define FAT32_MIN 65525u
#define MARGIN 16u
#define CLUSTER_BYTES 4096u	/* the usual one */
#define CLUSTER_MAX 32768u
#define CLUSTERS_WANTED (1u << 22)	/* more of them make a table that is slow to read */
#define RESERVED_FAT32 32u
#define RESERVED_FAT16 8u
#define ROOT_ENTRIES 512u	/* of FAT16, 32 bytes each */
#define MAX_BYTES ((uint64_t)128 << 30)
#define MIB ((uint64_t)1 << 20)

/* The number of clusters that remain beside the tables. */
static uint64_t clusters_of(uint64_t bytes, unsigned sector, unsigned per_cluster, unsigned type)
{
	uint64_t root = type == 16 ? ROOT_ENTRIES * 32u / sector : 0;
	uint64_t fixed = (type == 32 ? RESERVED_FAT32 : RESERVED_FAT16) + root;
	uint64_t sectors = bytes / sector, cell = type / 8, n, table;

	if (sectors <= fixed)
		return 0;
	n = (sectors - fixed) / per_cluster;
	table = ((n + 2) * cell + sector - 1) / sector;
	if (sectors - fixed <= 2 * table)
		return 0;
	return (sectors - fixed - 2 * table) / per_cluster;
}

static bool fits(uint64_t bytes, unsigned sector, unsigned cluster, unsigned type,
		 struct fat_size *ret_size)
{
	unsigned per = cluster / sector;
	uint64_t n = per ? clusters_of(bytes, sector, per, type) : 0;

	if (type == 32 ? n < FAT32_MIN + MARGIN
		       : n < FAT16_MIN + MARGIN || n >= FAT32_MIN - MARGIN)
		return false;
	*ret_size = (struct fat_size){ .type = type, .sector_bytes = sector, .cluster_sectors = per,
				       .reserved_sectors = type == 32 ? RESERVED_FAT32 : RESERVED_FAT16,
				       .clusters = n };
	return true;
}

static bool choose(uint64_t bytes, unsigned sector, struct fat_size *ret_size)
{
	unsigned cluster = CLUSTER_BYTES;

	while (cluster < CLUSTER_MAX && bytes / cluster > CLUSTERS_WANTED)
		cluster *= 2;
	for (; cluster >= sector; cluster /= 2)
		if (fits(bytes, sector, cluster, 32, ret_size))
			return true;
	for (cluster = sector; cluster <= CLUSTER_MAX; cluster *= 2)
		if (fits(bytes, sector, cluster, 16, ret_size))
			return true;
	return false;
}

int fat_size_choose(uint64_t bytes, unsigned sector_bytes, struct fat_size *ret_size, struct err *err)
{
	struct fat_size unused;
	uint64_t least = MIB;

	if (bytes > MAX_BYTES)
		return err_set(err, EX_USAGE, "an ESP of %llu MiB is too large; the largest is %llu MiB",
			       (unsigned long long)(bytes / MIB), (unsigned long long)(MAX_BYTES / MIB));
	if (choose(bytes, sector_bytes, ret_size))
		return 0;
	while (!choose(least, sector_bytes, &unused))
		least += MIB;
	return err_set(err, EX_USAGE, "an ESP of %llu KiB is too small for a FAT that firmware takes in sectors of "
		       "%u bytes; the smallest is %lluM", (unsigned long long)(bytes / 1024), sector_bytes,
		       (unsigned long long)(least / MIB));
}

/* The specification's cluster count, computed from a boot sector. */
static uint64_t clusters_in(const uint8_t *s)
{
	uint64_t sector = le16_get(s + 11), per = s[13], reserved = le16_get(s + 14), fats = s[16];
	uint64_t root = sector ? (le16_get(s + 17) * 32u + sector - 1) / sector : 0;
	uint64_t total = le16_get(s + 19) ? le16_get(s + 19) : le32_get(s + 32);
	uint64_t table = le16_get(s + 22) ? le16_get(s + 22) : le32_get(s + 36);
	uint64_t used = reserved + fats * table + root;

	return per && total > used ? (total - used) / per : 0;
}

int fat_size_check(const struct fat_size *size, const uint8_t sector[512], struct err *err)
{
	uint64_t n = clusters_in(sector);
	unsigned type = le16_get(sector + 22) ? 16 : 32;
	bool in_range = type == 32 ? n >= FAT32_MIN : n >= FAT16_MIN && n < FAT32_MIN;

	if (type == size->type && in_range && le16_get(sector + 11) == size->sector_bytes &&
	    sector[13] == size->cluster_sectors)
		return 0;
	return err_set(err, EX_SOFTWARE, "mkfs.fat made a FAT%u of %llu clusters where a FAT%u of %llu was asked for",
		       type, (unsigned long long)n, size->type, (unsigned long long)size->clusters);
}
