/* SPDX-License-Identifier: MIT */
/*
 * The partitions of a disk that is provisioned, decided without any I/O:
 *
 *     1 MiB     ESP           512 MiB, an eighth of a small disk, or what two UKIs need
 *               slotboot-a    both the same: what was asked for, or half of what is left
 *               slotboot-b
 *               slotboot-a-NAME, slotboot-b-NAME for each further image of a slot; the images
 *                             without a size share what is left as their contents' sizes are,
 *                             and a hash tree grows with the partition that it is of
 *               slotboot-data where it was asked for
 *
 * Every start and size is a whole MiB. The types are those of the Discoverable Partitions
 * Specification; the slots have its no-auto attribute, so that nothing mounts one of them by its
 * type, and the data partition has its attribute for growing. GUIDs come from the seed: the same
 * seed, the same disk.
 */
#pragma once

#include "err.h"
#include "fat_size.h"

#include <stdbool.h>
#include <stdint.h>

#define LAYOUT_SEED_BYTES 32
#define LAYOUT_GUID_BYTES 16	/* as in a GPT */
#define LAYOUT_GUID_TEXT 37	/* with the NUL */
#define LAYOUT_IMAGES 16	/* that a slot may have */
#define LAYOUT_PARTS (2 + 2 * LAYOUT_IMAGES)
#define LAYOUT_LABEL_BYTES 37	/* 36 characters of a GPT's name, ASCII, and the NUL */
#define LAYOUT_ALIGN ((uint64_t)1 << 20)
#define LAYOUT_NO_AUTO ((uint64_t)1 << 63)
#define LAYOUT_GROWFS ((uint64_t)1 << 59)

enum layout_role { LAYOUT_ESP, LAYOUT_A, LAYOUT_B, LAYOUT_DATA, LAYOUT_ROLES };
enum layout_arch { LAYOUT_X64, LAYOUT_AA64 };

/* One of a slot's images, and the partition that each slot has for it. */
struct layout_image {
	const char *name;		/* the bundle's; NULL: there are slots without an image */
	uint64_t bytes;			/* what has to fit */
	uint64_t part_bytes;		/* asked for; 0: fitted */
	char label[2][LAYOUT_LABEL_BYTES];	/* of slot a and b; of the first image not looked at */
	bool has_guid[2];		/* guid counts: else it comes from the seed */
	uint8_t guid[2][LAYOUT_GUID_BYTES];
};

struct layout_want {
	uint64_t disk_bytes;
	unsigned sector_bytes;		/* 512 or 4096 */
	enum layout_arch arch;
	uint64_t esp_bytes;		/* 0: fitted; rounded up to a MiB, as the others */
	uint64_t data_bytes;		/* 0: no data partition */
	bool data_rest;			/* the data partition has what the slots leave */
	uint64_t uki_bytes;		/* what has to fit, with what lies beside the UKI: in the
					 * ESP twice */
	struct layout_image images[LAYOUT_IMAGES];	/* up to the first with neither of bytes; the
					 * first: slotboot-a, slotboot-b. None: there are no slots */
	uint8_t seed[LAYOUT_SEED_BYTES];
};

struct layout_part {
	enum layout_role role;
	unsigned image;			/* of LAYOUT_A and LAYOUT_B: in layout_want */
	char name[LAYOUT_LABEL_BYTES];	/* the GPT's */
	const char *type;		/* its GUID as text */
	uint8_t guid[LAYOUT_GUID_BYTES];
	uint64_t attributes;
	uint64_t start, bytes;
	unsigned number;		/* in the table, from 1 */
};

struct layout {
	uint64_t disk_bytes;
	unsigned sector_bytes;
	uint8_t guid[LAYOUT_GUID_BYTES];	/* the disk's */
	struct layout_part parts[LAYOUT_PARTS];
	size_t count;
	struct fat_size fat;
	uint32_t volume_id;
};

/* EX_USAGE: the sizes asked for do not go together; EX_CONFIG: two partitions of one label or GUID; EX_DATAERR:
 * the bundle does not fit, with what it needs. */
int layout_plan(const struct layout_want *want, struct layout *ret_layout, struct err *err);

/* Of a layout with an ESP, also one that was found on a disk: whether the bundle fits, and no two
 * partitions have one label or GUID; fills fat. As layout_plan(). */
int layout_check(const struct layout_want *want, struct layout *layout, struct err *err);

/* Of the ESP's file system. */
uint32_t layout_volume_id(const uint8_t seed[LAYOUT_SEED_BYTES]);

/* Of a slot the first image's. NULL: there is none. */
const struct layout_part *layout_find(const struct layout *layout, enum layout_role role);
const struct layout_part *layout_find_image(const struct layout *layout, enum layout_role role, unsigned image);
size_t layout_image_count(const struct layout_want *want);
/* "slotboot-a"; of the ESP "esp". */
const char *layout_name(enum layout_role role);
/* Of a slot: its first image's, which is the root where no other type has its name. */
const char *layout_type(enum layout_role role, enum layout_arch arch);
const char *layout_image_type(const char *name, bool first, enum layout_arch arch);
/* "rootfs" of "rootfs-verity", an image that is the dm-verity tree of another; 0: its name is no such. */
size_t layout_tree_of(const char *name);

/* "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" */
void layout_guid_text(const uint8_t guid[LAYOUT_GUID_BYTES], char ret_text[LAYOUT_GUID_TEXT]);
