/* SPDX-License-Identifier: MIT */
#include "slot_target.h"

#include <errno.h>

static int capacity_find(const struct disk *disk, const char *path, uint64_t *ret_capacity,
			 struct err *err)
{
	struct disk_stat st;

	if (disk->stat(disk->ctx, path, &st) == 0) {
		*ret_capacity = st.device ? st.size : UINT64_MAX;
		return 0;
	}
	if (errno == ENODEV)
		return err_set(err, EX_CONFIG,
			       "slot target %s is neither a block device nor a regular file",
			       path);
	if (errno == ENOENT)
		return err_set(err, EX_CONFIG, "slot target %s does not exist", path);
	return err_errno(err, EX_CONFIG, errno, "failed to find slot target %s", path);
}

int slot_target_open(const struct disk *disk, const char *path, struct slot_target *ret_dev,
		     struct err *err)
{
	uint64_t capacity = 0;
	int file;

	if (capacity_find(disk, path, &capacity, err) < 0)
		return -1;
	file = disk->open(disk->ctx, path, DISK_WRITE);
	if (file < 0 && errno == EBUSY)
		return err_set(err, EX_IOERR,
			       "failed to open slot target %s: it is mounted or in use; it "
			       "cannot be the idle slot", path);
	if (file < 0)
		return err_errno(err, EX_IOERR, errno, "failed to open slot target %s", path);
	*ret_dev = (struct slot_target){ .disk = disk, .file = file, .path = path,
				     .capacity = capacity };
	return 0;
}

void slot_target_close(struct slot_target *dev)
{
	dev->disk->close(dev->disk->ctx, dev->file);
	dev->file = -1;
}

/* A removed device has no size or cannot be found, and its driver may report any error
 * for a write, such as ENOSPC. */
static bool device_is_gone(const struct slot_target *dev)
{
	struct disk_stat st;

	return !slot_target_is_file(dev) &&
	       (dev->disk->stat(dev->disk->ctx, dev->path, &st) < 0 || st.size < dev->capacity);
}

static int failed(const struct slot_target *dev, const char *action, struct err *err)
{
	int error = errno;

	return err_errno(err, EX_IOERR, error, "failed to %s %s%s", action, dev->path,
			 device_is_gone(dev) ? ": the device is gone" : "");
}

int slot_target_room(const struct slot_target *dev, uint64_t *ret_bytes, struct err *err)
{
	const struct disk *disk = dev->disk;
	struct disk_stat st;
	uint64_t room;

	*ret_bytes = dev->capacity;
	if (!slot_target_is_file(dev))
		return 0;
	if (disk->stat(disk->ctx, dev->path, &st) < 0 ||
	    disk->room(disk->ctx, dev->path, &room) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to find the free space for %s",
				 dev->path);
	*ret_bytes = room + st.taken;
	return 0;
}

int slot_target_reserve(struct slot_target *dev, uint64_t size, struct err *err)
{
	const struct disk *disk = dev->disk;

	if (slot_target_is_file(dev) && disk->reserve(disk->ctx, dev->file, size) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to take room for %s", dev->path);
	return 0;
}

int slot_target_write(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err)
{
	struct slot_target *dev = ctx;

	if (offset > dev->capacity || len > dev->capacity - offset)
		return err_set(err, EX_IOERR, "failed to write %s: the image does not fit",
			       dev->path);
	if (dev->disk->write(dev->disk->ctx, dev->file, data, len, offset) < 0)
		return failed(dev, "write", err);
	return 0;
}

int slot_target_flush(void *ctx, struct err *err)
{
	struct slot_target *dev = ctx;

	if (dev->disk->flush(dev->disk->ctx, dev->file) < 0)
		return failed(dev, "flush", err);
	return 0;
}

int slot_target_finish(struct slot_target *dev, uint64_t size, struct err *err)
{
	const struct disk *disk = dev->disk;

	if (slot_target_is_file(dev) && disk->truncate(disk->ctx, dev->file, size) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to cut %s to size", dev->path);
	return slot_target_flush(dev, err);
}
