/* SPDX-License-Identifier: MIT */
#include "memfile.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#ifndef MFD_NOEXEC_SEAL		/* glibc 2.38 */
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum { CHUNK = 256 * 1024, SEAL_TRIES = 10 };

int memfile_open(const char *name, struct memfile *ret_file)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	if (fd < 0)
		return -1;
	*ret_file = (struct memfile){ .fd = fd };
	return 0;
}

void memfile_close(struct memfile *file)
{
	if (!file)
		return;
	cleanup_closep(&file->fd);
	file->fd = -1;
}

int memfile_write(struct memfile *file, const void *data, size_t len)
{
	if (pwrite_full(file->fd, data, len, (off_t)file->size) < 0)
		return -1;
	file->size += len;
	return 0;
}

/* For file systems that cannot splice. */
static int copy_through(int to, uint64_t at, int from, uint64_t offset, uint64_t len)
{
	_cleanup_free_ uint8_t *buf = malloc(CHUNK);

	if (!buf)
		return -1;
	while (len > 0) {
		size_t n = len < CHUNK ? (size_t)len : CHUNK;

		if (pread_full(from, buf, n, (off_t)offset) < 0 ||
		    pwrite_full(to, buf, n, (off_t)at) < 0)
			return -1;
		offset += n;
		at += n;
		len -= n;
	}
	return 0;
}

/* sendfile(2): copy_file_range(2) refuses two different file systems (EXDEV). */
int memfile_copy(struct memfile *file, int from, uint64_t offset, uint64_t len)
{
	const uint64_t end = file->size + len;
	off_t source = (off_t)offset;

	if (lseek(file->fd, (off_t)file->size, SEEK_SET) < 0)
		return -1;
	for (uint64_t at = file->size; at < end;) {
		ssize_t n = sendfile(file->fd, from, &source, end - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EINVAL || errno == ENOSYS)) {
			if (copy_through(file->fd, at, from, (uint64_t)source, end - at) < 0)
				return -1;
			break;
		}
		if (n == 0)
			errno = ENODATA;
		if (n <= 0)
			return -1;
		at += (uint64_t)n;
	}
	file->size = end;
	return 0;
}

int memfile_skip(struct memfile *file, uint64_t len)
{
	if (ftruncate(file->fd, (off_t)(file->size + len)) < 0)
		return -1;
	file->size += len;
	return 0;
}

int memfile_align(struct memfile *file)
{
	return memfile_write(file, "\0\0\0", -file->size & 3);
}

/* EBUSY: something holds one of the pages. On a machine with much to do that is the
 * kernel itself, which gives its own references back late; each call waits a fifth of
 * a second for that. */
int memfile_seal(struct memfile *file)
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	int r = -1;

	errno = EBUSY;
	for (int i = 0; i < SEAL_TRIES && r < 0 && errno == EBUSY; i++)
		r = fcntl(file->fd, F_ADD_SEALS, seals);
	return r;
}
