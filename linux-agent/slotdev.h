/* SPDX-License-Identifier: MIT */
/*
 * A slot's target for one image: a block device, or a regular file. Written
 * through in pieces at increasing offsets.
 */
#pragma once

#include "disk.h"
#include "err.h"

struct slotdev {
	const struct disk *disk;
	int file;
	const char *path;	/* the caller's, must outlive it */
	uint64_t capacity;	/* bytes: of the device; UINT64_MAX for a regular file */
	uint64_t written;
};

/* Opens for writing, a block device exclusively: one that is mounted or held by
 * dm is refused (EX_IOERR, named so). EX_CONFIG: not there, or neither. */
int slotdev_open(const struct disk *disk, const char *path, struct slotdev *ret_dev,
		 struct err *err);
void slotdev_close(struct slotdev *dev);

/* Appends; never past capacity (EX_IOERR). ctx is a struct slotdev: this is a
 * bundle_sink_fn. Not durable before slotdev_finish(). */
int slotdev_write(void *ctx, const uint8_t *data, size_t len, struct err *err);

/* Cuts a regular file to what was written, and flushes: durable on 0. */
int slotdev_finish(struct slotdev *dev, struct err *err);
