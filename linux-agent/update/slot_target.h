/* SPDX-License-Identifier: MIT */
/*
 * A slot's target for one image: a block device, or a regular file. Written
 * past the page cache where that can be done, in any order.
 */
#pragma once

#include "disk.h"
#include "err.h"

struct slot_target {
	const struct disk *disk;
	int file;
	const char *path;	/* the caller's, must outlive it */
	uint64_t capacity;	/* bytes: of the device; UINT64_MAX for a regular file */
};

static inline bool slot_target_is_file(const struct slot_target *dev)
{
	return dev->capacity == UINT64_MAX;
}

/* Opens for writing, a block device exclusively: one that is mounted or held by
 * dm is refused (EX_IOERR, named so). EX_CONFIG: not there, or neither. */
int slot_target_open(const struct disk *disk, const char *path, struct slot_target *ret_dev,
		     struct err *err);
void slot_target_close(struct slot_target *dev);

/* Bytes that an image in it may have: of a device its size; of a regular file what it has
 * and what is free beside it. EX_IOERR. */
int slot_target_room(const struct slot_target *dev, uint64_t *ret_bytes, struct err *err);

/* A regular file takes the room for size bytes: where there is none, nothing of it is
 * overwritten yet, and where there is, writes need not wait for each other to find some.
 * EX_IOERR. */
int slot_target_reserve(struct slot_target *dev, uint64_t size, struct err *err);

/* Writes at offset; never past capacity (EX_IOERR). ctx is a struct slot_target. From
 * several threads at once. Not durable before slot_target_finish(). */
int slot_target_write(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err);

/* What was written is durable on 0. ctx as above; from any thread. */
int slot_target_flush(void *ctx, struct err *err);

/* Cuts a regular file to size, and flushes: durable on 0. */
int slot_target_finish(struct slot_target *dev, uint64_t size, struct err *err);
