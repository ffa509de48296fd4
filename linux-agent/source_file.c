/* SPDX-License-Identifier: MIT */
#include "source.h"

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* What was read once stays in the page cache no longer than this much more is. */
#define CACHED_BYTES ((uint64_t)8 << 20)

struct source_file {
	struct source source;
	int fd;
	uint64_t dropped;	/* the cache below it was given up */
	char path[];
};

static int file_read(struct source *source, void *buf, size_t len, uint64_t offset,
		     struct err *err)
{
	struct source_file *f = (struct source_file *)source;

	if (offset > source->size || len > source->size - offset)
		return err_set(err, EX_DATAERR, "%s ends early", f->path);
	if (pread_full(f->fd, buf, len, (off_t)offset) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read %s", f->path);
	if (offset + len >= f->dropped + 2 * CACHED_BYTES) {
		(void)posix_fadvise(f->fd, (off_t)f->dropped,
				    (off_t)(offset + len - CACHED_BYTES - f->dropped),
				    POSIX_FADV_DONTNEED);
		f->dropped = offset + len - CACHED_BYTES;
	}
	return 0;
}

static void file_run(struct source *source, uint64_t offset, uint64_t len)
{
	struct source_file *f = (struct source_file *)source;

	(void)posix_fadvise(f->fd, (off_t)offset, (off_t)len, POSIX_FADV_SEQUENTIAL);
	f->dropped = offset;
}

static void file_close(struct source *source)
{
	struct source_file *f = (struct source_file *)source;

	(void)close(f->fd);
	free(f);
}

/* O_NONBLOCK: opening a FIFO by mistake must not wait for its writer. */
int source_file_open(const char *path, struct source **ret_source, struct err *err)
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
	};
	strcpy(f->path, path);
	fd = -1;
	*ret_source = &f->source;
	return 0;
}
