/* SPDX-License-Identifier: MIT */
/*
 * The partitions of a disk that is provisioned, decided without any I/O:
 *
 *     1 MiB     ESP           512 MiB, an eighth of a small disk, or what two UKIs need
 *               slotboot-a    both the same: what was asked for, or half of what is left
 *               slotboot-b
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
#define LAYOUT_ALIGN ((uint64_t)1 << 20)
#define LAYOUT_NO_AUTO ((uint64_t)1 << 63)
#define LAYOUT_GROWFS ((uint64_t)1 << 59)

enum layout_role { LAYOUT_ESP, LAYOUT_A, LAYOUT_B, LAYOUT_DATA, LAYOUT_ROLES };
enum layout_arch { LAYOUT_X64, LAYOUT_AA64 };

struct layout_want {
	uint64_t disk_bytes;
	unsigned sector_bytes;		/* 512 or 4096 */
	enum layout_arch arch;
	uint64_t esp_bytes;		/* 0: fitted; rounded up to a MiB, as the others */
	uint64_t slot_bytes;		/* 0: fitted */
	uint64_t data_bytes;		/* 0: no data partition */
	bool data_rest;			/* the data partition has what the slots leave */
	uint64_t uki_bytes;		/* what has to fit, with what lies beside the UKI: in the
					 * ESP twice */
	uint64_t image_bytes;		/* in a slot; 0 and no slot_bytes: there are no slots */
	uint8_t seed[LAYOUT_SEED_BYTES];
};

struct layout_part {
	enum layout_role role;
	const char *name;		/* the GPT's */
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
	struct layout_part parts[LAYOUT_ROLES];
	size_t count;
	struct fat_size fat;
	uint32_t volume_id;
};

/* EX_USAGE: the sizes asked for do not go together; EX_DATAERR: the bundle does not fit, with what it
 * needs. */
int layout_plan(const struct layout_want *want, struct layout *ret_layout, struct err *err);

/* Of a layout with an ESP, also one that was found on a disk: whether the bundle fits; fills fat. As
 * layout_plan(). */
int layout_check(const struct layout_want *want, struct layout *layout, struct err *err);

/* Of the ESP's file system. */
uint32_t layout_volume_id(const uint8_t seed[LAYOUT_SEED_BYTES]);

/* NULL: there is none. */
const struct layout_part *layout_find(const struct layout *layout, enum layout_role role);
/* "slotboot-a"; of the ESP "esp". */
const char *layout_name(enum layout_role role);
const char *layout_type(enum layout_role role, enum layout_arch arch);

/* "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" */
void layout_guid_text(const uint8_t guid[LAYOUT_GUID_BYTES], char ret_text[LAYOUT_GUID_TEXT]);
