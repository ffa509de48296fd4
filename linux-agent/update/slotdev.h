/* SPDX-License-Identifier: MIT */
/*
 * A slot's target for one image: a block device, or a regular file. Written
 * past the page cache where that can be done, in any order.
 */
#pragma once

#include "disk.h"
#include "err.h"

struct slotdev {
	const struct disk *disk;
	int file;
	const char *path;	/* the caller's, must outlive it */
	uint64_t capacity;	/* bytes: of the device; UINT64_MAX for a regular file */
};

static inline bool slotdev_is_file(const struct slotdev *dev)
{
	return dev->capacity == UINT64_MAX;
}

/* Opens for writing, a block device exclusively: one that is mounted or held by
 * dm is refused (EX_IOERR, named so). EX_CONFIG: not there, or neither. */
int slotdev_open(const struct disk *disk, const char *path, struct slotdev *ret_dev,
		 struct err *err);
void slotdev_close(struct slotdev *dev);

/* Bytes that an image in it may have: of a device its size; of a regular file what it has
 * and what is free beside it. EX_IOERR. */
int slotdev_room(const struct slotdev *dev, uint64_t *ret_bytes, struct err *err);

/* A regular file takes the room for size bytes: where there is none, nothing of it is
 * overwritten yet, and where there is, writes need not wait for each other to find some.
 * EX_IOERR. */
int slotdev_reserve(struct slotdev *dev, uint64_t size, struct err *err);

/* Writes at offset; never past capacity (EX_IOERR). ctx is a struct slotdev. From
 * several threads at once. Not durable before slotdev_finish(). */
int slotdev_write(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err);

/* What was written is durable on 0. ctx as above; from any thread. */
int slotdev_flush(void *ctx, struct err *err);

/* Cuts a regular file to size, and flushes: durable on 0. */
int slotdev_finish(struct slotdev *dev, uint64_t size, struct err *err);
