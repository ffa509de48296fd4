/* SPDX-License-Identifier: MIT */
#include "slotdev.h"

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

int slotdev_open(const char *path, struct slotdev *ret_dev, struct err *err)
{
	_cleanup_close_ int fd = -1;
	uint64_t capacity = UINT64_MAX;
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, EX_CONFIG, errno, "failed to find slot target %s", path);
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(err, EX_CONFIG,
			       "slot target %s is neither a block device nor a regular file",
			       path);
	/* O_EXCL without O_CREAT on a block device: fails while it is in use. */
	fd = open(path, O_RDWR | O_CLOEXEC | (S_ISBLK(st.st_mode) ? O_EXCL : 0));
	if (fd < 0 && errno == EBUSY)
		return err_set(err, EX_IOERR,
			       "failed to open slot target %s: it is mounted or in use; it "
			       "cannot be the idle slot", path);
	if (fd < 0)
		return err_errno(err, EX_IOERR, errno, "failed to open slot target %s", path);
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &capacity) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read the size of %s", path);
	*ret_dev = (struct slotdev){ .fd = fd, .path = path, .capacity = capacity };
	fd = -1;
	return 0;
}

void slotdev_close(struct slotdev *dev)
{
	cleanup_closep(&dev->fd);
	dev->fd = -1;
}

int slotdev_write(void *ctx, const uint8_t *data, size_t len, struct err *err)
{
	struct slotdev *dev = ctx;

	if (len > dev->capacity - dev->written)
		return err_set(err, EX_IOERR, "failed to write %s: the image does not fit",
			       dev->path);
	if (pwrite_full(dev->fd, data, len, (off_t)dev->written) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to write %s", dev->path);
	dev->written += len;
	return 0;
}

int slotdev_finish(struct slotdev *dev, struct err *err)
{
	if (dev->capacity == UINT64_MAX && ftruncate(dev->fd, (off_t)dev->written) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to cut %s to size", dev->path);
	if (fsync(dev->fd) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to flush %s", dev->path);
	return 0;
}
