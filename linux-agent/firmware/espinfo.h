/* SPDX-License-Identifier: MIT */
/*
 * Where the EFI system partition is: the directory it is mounted on, and the
 * GPT partition behind it, which is what boot entries name it by.
 *
 * The partition is found from the directory (its device, looked up in sysfs), or
 * is named outright as DISK-OR-IMAGE:N, where a plain directory plays the ESP in
 * a dry run. Partition tables are read with libblkid; device nodes are the
 * kernel's own names, because not every system has udev's links.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct esp_info {
	char *dir;		/* absolute, no trailing slash */
	char *disk;		/* device node of the whole disk, or an image file */
	char *sysroot;		/* put before /sys and /dev; "" normally */
	unsigned part;		/* partition number, from 1 */
	unsigned sector_size;	/* bytes of a logical block: 512 or 4096 */
	uint64_t start, size;	/* in logical blocks */
	uint8_t guid[16];	/* unique partition GUID, bytes as in the GPT */
	bool pmbr_boot;		/* the protective MBR has its boot flag set */
	const char *shim;	/* by which the firmware starts our files there, "\\EFI\\slotboot\\..."
				 * (espentry.h); the caller's; NULL: none */
};

/* dir NULL: the first of /efi, /boot/efi and /boot that holds EFI/slotboot.
 * device NULL: found from dir; else "DISK-OR-IMAGE:N". The caller clears.
 * EX_CONFIG: no ESP there, not a partition, not GPT, or no such partition, saying
 * what to set; EX_NOPERM: the disk may not be read. */
int esp_info_find(const char *dir, const char *device, const char *sysroot,
		  struct esp_info *ret_esp, struct err *err);

/* Frees what it holds, not esp itself; zeroed is fine. */
void esp_info_clear(struct esp_info *esp);

/* The device node of the partition with that GPT name on the ESP's disk, such as
 * /dev/vda2 or /dev/nvme0n1p2; the caller frees. EX_CONFIG: none, more than one,
 * or the disk is an image file, whose partitions have no nodes; EX_NOPERM. */
int esp_disk_find_label(const struct esp_info *esp, const char *partlabel,
			char **ret_devnode, struct err *err);

/* The GPT names of the partitions of the ESP's disk that begin so, each once; the caller frees each, and
 * the list. *ret_labels is NULL where *ret_count is 0. Errors as above. */
int esp_disk_labels(const struct esp_info *esp, const char *prefix, char ***ret_labels, size_t *ret_count,
		    struct err *err);
