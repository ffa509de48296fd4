/* SPDX-License-Identifier: MIT */
#include "spool_file.h"

#include "disk.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define WAY_OUT "make room there, name another directory by spool-dir in slotboot.conf, or "

/* Without O_TMPFILE (an overlay before Linux 6.3), create a named file and unlink it at
 * once. */
static int file_make(const char *directory)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	_cleanup_free_ char *name = NULL;

	if (fd >= 0 || errno != EOPNOTSUPP)
		return fd;
	if (asprintf(&name, "%s/slotctl-XXXXXX", directory) < 0) {
		name = NULL;
		return -1;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(name);
	return fd;
}

int spool_file_open(struct spool_file *f, struct err *err)
{
	f->fd = file_make(f->directory);
	if (f->fd < 0)
		return err_errno(err, EX_CONFIG, errno, "failed to make a file in spool-dir = %s",
				 f->directory);
	return 0;
}

void spool_file_close(struct spool_file *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);
	f->fd = -1;
}

int spool_file_room(const struct spool_file *f, uint64_t bytes, struct err *err)
{
	uint64_t free_bytes;

	if (disk_posix.room(NULL, f->directory, &free_bytes) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to see how much room is in %s",
				 f->directory);
	if (bytes > free_bytes)
		return err_set(err, EX_IOERR, "failed to spool the bundle in %s: no room for %llu bytes, "
			       "%llu are free; " WAY_OUT "%s", f->directory, (unsigned long long)bytes,
			       (unsigned long long)free_bytes, f->otherwise);
	return 0;
}

int spool_file_write(const struct spool_file *f, const void *buf, size_t len, uint64_t offset,
		     struct err *err)
{
	if (pwrite_full(f->fd, buf, len, (off_t)offset) == 0)
		return 0;
	if (errno == ENOSPC || errno == EDQUOT)
		return err_set(err, EX_IOERR, "failed to spool the bundle in %s: no room is left after "
			       "%llu bytes; " WAY_OUT "%s", f->directory, (unsigned long long)offset,
			       f->otherwise);
	return err_errno(err, EX_IOERR, errno, "failed to spool the bundle in %s", f->directory);
}

int spool_file_read(const struct spool_file *f, void *buf, size_t len, uint64_t offset,
		    struct err *err)
{
	if (pread_full(f->fd, buf, len, (off_t)offset) == 0)
		return 0;
	return err_errno(err, EX_IOERR, errno, "failed to read what was spooled in %s", f->directory);
}
