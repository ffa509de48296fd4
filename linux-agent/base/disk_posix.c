/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include "io.h"

#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

static int posix_stat(void *ctx, const char *path, struct disk_stat *ret_stat)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	(void)ctx;
	if (stat(path, &st) < 0)
		return -1;
	if (S_ISREG(st.st_mode)) {
		*ret_stat = (struct disk_stat){ .size = (uint64_t)st.st_size,
						.taken = (uint64_t)st.st_blocks * 512 };
		return 0;
	}
	if (!S_ISBLK(st.st_mode)) {
		errno = ENODEV;
		return -1;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ret_stat->device = true;
	return fd < 0 ? -1 : ioctl(fd, BLKGETSIZE64, &ret_stat->size);
}

static int open_medium(const char *path)
{
	return open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
}

/* O_DIRECT goes past the page cache; tmpfs and some others do not have it. */
static int open_uncached(const char *path)
{
	int fd = open_medium(path);

	if (fd >= 0 || errno != EINVAL)
		return fd;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return fd;
}

/* O_EXCL without O_CREAT on a block device: fails while it is in use. */
static int open_slot(const char *path)
{
	struct stat st;
	int flags, fd;

	if (stat(path, &st) < 0)
		return -1;
	flags = O_RDWR | O_CLOEXEC | (S_ISBLK(st.st_mode) ? O_EXCL : 0);
	fd = open(path, flags | O_DIRECT);
	return fd < 0 && errno == EINVAL ? open(path, flags) : fd;
}

static int posix_open(void *ctx, const char *path, enum disk_open how)
{
	(void)ctx;
	switch (how) {
	case DISK_READ:
		return open_uncached(path);
	case DISK_READ_MEDIUM:
		return open_medium(path);
	case DISK_WRITE:
		return open_slot(path);
	case DISK_CREATE:
		return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	case DISK_NEW:
		return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	}
	errno = EINVAL;
	return -1;
}

static void posix_close(void *ctx, int file)
{
	(void)ctx;
	(void)close(file);
}

static int64_t posix_read(void *ctx, int file, void *buf, size_t len, uint64_t offset)
{
	ssize_t n;

	(void)ctx;
	do
		n = pread(file, buf, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n;
}

/* The last block of an image may be partial. It, and data that a device wants aligned
 * otherwise, goes through the page cache. Another thread may have cleared the flag meanwhile. */
static int posix_write(void *ctx, int file, const void *buf, size_t len, uint64_t offset)
{
	int flags;

	(void)ctx;
	if (pwrite_full(file, buf, len, (off_t)offset) == 0)
		return 0;
	flags = errno == EINVAL ? fcntl(file, F_GETFL) : -1;
	if (flags < 0 || fcntl(file, F_SETFL, flags & ~O_DIRECT) < 0)
		return -1;
	return pwrite_full(file, buf, len, (off_t)offset);
}

static int posix_truncate(void *ctx, int file, uint64_t size)
{
	(void)ctx;
	return ftruncate(file, (off_t)size);
}

static int posix_reserve(void *ctx, int file, uint64_t size)
{
	struct stat st;
	int error;

	(void)ctx;
	if (fstat(file, &st) < 0)
		return -1;
	if (fallocate(file, 0, 0, (off_t)size) == 0)
		return 0;
	error = errno;
	/* Release what was allocated before the failure. */
	if (ftruncate(file, st.st_size) < 0)
		return -1;
	errno = error;
	return error == ENOSPC || error == EDQUOT || error == EFBIG ? -1 : 0;
}

static bool is_on_fat(int file)
{
	struct statfs fs;

	return fstatfs(file, &fs) == 0 && fs.f_type == MSDOS_SUPER_MAGIC;
}

/* The kernel flushes a FAT file's directory entry and its clusters in the allocation
 * table in no order. After a power cut in between, the entry would name clusters that
 * are free: the next new file shares them, and a removal makes the kernel set the file
 * system read-only. The table is in the block device's cache, where the entry comes
 * only with the file's own fsync: so the device is flushed first. Without the device
 * (not root, say) the order is the kernel's. */
static void flush_table(int file)
{
	_cleanup_free_ char *device = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!is_on_fat(file) || fstat(file, &st) < 0)
		return;
	device = blkid_devno_to_devname(st.st_dev);
	fd = device ? open(device, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0)
		(void)fsync(fd);	/* the file's own fsync reports an error again */
}

static int posix_flush(void *ctx, int file)
{
	(void)ctx;
	flush_table(file);
	return fsync(file);
}

static int posix_flush_dir(void *ctx, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)ctx;
	return fd < 0 ? -1 : fsync(fd);
}

/* Clusters become free in the table when the file is closed: on FAT not before its
 * entry is gone for good, for the reason above. */
static int posix_remove(void *ctx, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_free_ char *copy = strdup(path);

	if (unlink(path) < 0)
		return -1;
	return fd >= 0 && copy && is_on_fat(fd) ? posix_flush_dir(ctx, dirname(copy)) : 0;
}

static int posix_make_dir(void *ctx, const char *path)
{
	(void)ctx;
	return mkdir(path, 0755);
}

static int posix_room(void *ctx, const char *path, uint64_t *ret_bytes)
{
	struct statvfs vfs;

	(void)ctx;
	if (statvfs(path, &vfs) < 0)
		return -1;
	if (vfs.f_flag & ST_RDONLY) {
		errno = EROFS;
		return -1;
	}
	/* A tmpfs without a limit has no blocks at all. */
	*ret_bytes = vfs.f_blocks == 0 ? (uint64_t)INT64_MAX
				       : (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return 0;
}

const struct disk disk_posix = {
	.open = posix_open,
	.close = posix_close,
	.read = posix_read,
	.write = posix_write,
	.truncate = posix_truncate,
	.reserve = posix_reserve,
	.flush = posix_flush,
	.stat = posix_stat,
	.remove = posix_remove,
	.make_dir = posix_make_dir,
	.flush_dir = posix_flush_dir,
	.room = posix_room,
};
