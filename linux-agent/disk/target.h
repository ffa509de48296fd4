/* SPDX-License-Identifier: MIT */
/*
 * The disk that is provisioned, a block device or an image file, and what the code of an install
 * sees of it: a struct disk in which
 *
 *     DISK:slotboot-a   is that partition, though the kernel knows of no partitions yet, as are
 *                       those of slot A's further images by their labels,
 *     DISK:esp/...      are files of an ESP that is still in memory (esp_stage.h)
 *
 * and nothing else exists.
 */
#pragma once

#include "disk.h"
#include "esp_stage.h"
#include "layout.h"

struct target {
	const struct disk *io;		/* below it: the machine's, or a test's */
	const char *path;		/* the caller's */
	bool device, missing;		/* missing: a file that is to be made */
	uint64_t bytes;
	unsigned sector_bytes;		/* of a device; 0: a file, which does not say */
	int write, read;		/* -1: not open */
	const struct layout *layout;	/* set once there is one */
	struct esp_stage stage;
	char esp_name[512];
};

/* size: of a file that does not exist; else 0. A device is opened exclusively, an existing file must
 * not be below a loop device. The caller closes. EX_NOINPUT, EX_USAGE, EX_NOPERM, EX_IOERR: in use. */
int target_open(const struct disk *io, const char *path, uint64_t size, struct target *ret_target,
		struct err *err);
void target_close(struct target *target);

/* A file that is missing is made. */
int target_create(struct target *target, struct err *err);

/* What an install gets. Lives no longer than target. */
struct disk target_disk(struct target *target);

/* offset and len are multiples of 4096, or len ends the disk. Not durable before target_flush(). EX_IOERR. */
int target_write(struct target *target, const void *data, size_t len, uint64_t offset, struct err *err);
int target_zero(struct target *target, uint64_t bytes, uint64_t offset, struct err *err);
int target_flush(struct target *target, struct err *err);

/* Of fd, from one offset to an end, what takes room in it (and no holes), to offset `to` of the disk;
 * check: compares instead, with what the disk reads back. EX_IOERR. */
int target_copy(struct target *target, int fd, uint64_t from, uint64_t end, uint64_t to, bool check,
		struct err *err);

/* Has the kernel read a device's table anew. False: it did not; a reboot will. */
bool target_reread(const struct target *target);
