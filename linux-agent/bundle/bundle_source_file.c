/* SPDX-License-Identifier: MIT */
#include "bundle_source.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* Pages that were not cached before the read are dropped again, in parts of this size: */
#define PART_BYTES ((uint64_t)8 << 20)

struct source_file {
	struct bundle_source source;
	int fd;
	uint64_t part;		/* being read; UINT64_MAX: none */
	bool was_cached;
	char path[];
};

/* Whether the last byte of a part is cached; readahead never gets that far. */
static bool part_is_cached(const struct source_file *f, uint64_t part)
{
	uint64_t end = (part + 1) * PART_BYTES;
	char byte;
	struct iovec iov = { &byte, 1 };

	end = end < f->source.size ? end : f->source.size;
	return preadv2(f->fd, &iov, 1, (off_t)end - 1, RWF_NOWAIT) == 1;
}

static void part_enter(struct source_file *f, uint64_t offset)
{
	uint64_t part = offset / PART_BYTES;

	if (part == f->part)
		return;
	if (f->part != UINT64_MAX && !f->was_cached)
		(void)posix_fadvise(f->fd, (off_t)(f->part * PART_BYTES), (off_t)PART_BYTES,
				    POSIX_FADV_DONTNEED);
	f->part = part;
	f->was_cached = part_is_cached(f, part);
}

static int file_read(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
		     struct err *err)
{
	struct source_file *f = (struct source_file *)source;

	if (offset > source->size || len > source->size - offset)
		return err_set(err, EX_DATAERR, "%s ends early", f->path);
	part_enter(f, offset);
	if (pread_full(f->fd, buf, len, (off_t)offset) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read %s", f->path);
	return 0;
}

static void file_run(struct bundle_source *source, uint64_t offset, uint64_t len)
{
	struct source_file *f = (struct source_file *)source;

	(void)posix_fadvise(f->fd, (off_t)offset, (off_t)len, POSIX_FADV_SEQUENTIAL);
}

static void file_close(struct bundle_source *source)
{
	struct source_file *f = (struct source_file *)source;

	(void)close(f->fd);
	free(f);
}

/* O_NONBLOCK: opening a FIFO by mistake must not wait for its writer. */
int bundle_source_file_open(const char *path, struct bundle_source **ret_source, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct source_file *f;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to open the bundle %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EX_NOINPUT,
			       "failed to open the bundle %s: it is not a regular file", path);
	f = calloc(1, sizeof *f + strlen(path) + 1);
	if (!f)
		return err_set(err, EX_SOFTWARE, "failed to open the bundle %s: out of memory",
			       path);
	*f = (struct source_file){
		.source = { .size = (uint64_t)st.st_size, .read = file_read, .run = file_run,
			    .close = file_close },
		.fd = fd,
		.part = UINT64_MAX,
	};
	strcpy(f->path, path);
	fd = -1;
	*ret_source = &f->source;
	return 0;
}
