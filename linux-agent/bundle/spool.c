/* SPDX-License-Identifier: MIT */
#include "spool.h"

#include "disk.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_BYTES ((size_t)1 << 20)
#define WAY_OUT "make room there, name another directory by spool-dir in slotboot.conf, or verify as it is " \
		"written: --verify-first=no"

struct extent {
	uint64_t offset, end;
};

struct spool {
	struct bundle_source source;
	struct bundle_source *inner;
	int fd;
	bool keeps;
	struct extent *kept;	/* in order, with gaps between them */
	size_t count, room;
	struct extent run;	/* announced and not yet asked for; empty: none */
	char directory[];
};

/* The first extent that ends at or behind offset. */
static size_t extent_at(const struct spool *s, uint64_t offset)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->kept[middle].end < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_kept(const struct spool *s, uint64_t offset, uint64_t len)
{
	size_t i = extent_at(s, offset);

	return i < s->count && s->kept[i].offset <= offset && offset <= s->kept[i].end &&
	       len <= s->kept[i].end - offset;
}

static int extent_insert(struct spool *s, size_t at, struct extent extent)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct extent *more = realloc(s->kept, room * sizeof *more);

		if (!more)
			return -1;
		s->kept = more;
		s->room = room;
	}
	memmove(s->kept + at + 1, s->kept + at, (s->count - at) * sizeof *s->kept);
	s->kept[at] = extent;
	s->count++;
	return 0;
}

/* With those that it touches made one. */
static int extent_add(struct spool *s, uint64_t offset, uint64_t end)
{
	size_t first = extent_at(s, offset), next = first;

	while (next < s->count && s->kept[next].offset <= end) {
		offset = offset < s->kept[next].offset ? offset : s->kept[next].offset;
		end = end > s->kept[next].end ? end : s->kept[next].end;
		next++;
	}
	if (next == first)
		return extent_insert(s, first, (struct extent){ offset, end });
	s->kept[first] = (struct extent){ offset, end };
	memmove(s->kept + first + 1, s->kept + next, (s->count - next) * sizeof *s->kept);
	s->count -= next - first - 1;
	return 0;
}

static int write_failed(const struct spool *s, int errno_value, struct err *err)
{
	if (errno_value == ENOSPC || errno_value == EDQUOT)
		return err_set(err, EX_IOERR, "failed to spool the bundle in %s: there is no room left; "
			       WAY_OUT, s->directory);
	return err_errno(err, EX_IOERR, errno_value, "failed to spool the bundle in %s", s->directory);
}

static int keep(struct spool *s, const void *buf, size_t len, uint64_t offset, struct err *err)
{
	if (pwrite_full(s->fd, buf, len, (off_t)offset) < 0)
		return write_failed(s, errno, err);
	if (extent_add(s, offset, offset + len) < 0)
		return err_set(err, EX_SOFTWARE, "failed to spool the bundle: out of memory");
	return 0;
}

/* A run is handed on only when something of it is missing here. */
static void run_begin(struct spool *s, uint64_t offset)
{
	if (s->inner->run && offset >= s->run.offset && offset < s->run.end)
		s->inner->run(s->inner, offset, s->run.end - offset);
	s->run = (struct extent){ 0 };
}

static int spool_read(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
		      struct err *err)
{
	struct spool *s = (struct spool *)source;

	if (is_kept(s, offset, len)) {
		if (pread_full(s->fd, buf, len, (off_t)offset) < 0)
			return err_errno(err, EX_IOERR, errno, "failed to read what was spooled in %s",
					 s->directory);
		return 0;
	}
	run_begin(s, offset);
	if (s->inner->read(s->inner, buf, len, offset, err) < 0)
		return -1;
	return s->keeps ? keep(s, buf, len, offset, err) : 0;
}

static void spool_run(struct bundle_source *source, uint64_t offset, uint64_t len)
{
	((struct spool *)source)->run = (struct extent){ offset, offset + len };
}

static uint64_t spool_fetched(const struct bundle_source *source, unsigned *ret_requests)
{
	const struct spool *s = (const struct spool *)source;

	return s->inner->fetched(s->inner, ret_requests);
}

/* Which of the bytes was wrong nobody says, so that all of them are fetched again. */
static void spool_anew(struct bundle_source *source)
{
	struct spool *s = (struct spool *)source;

	s->count = 0;
	s->run = (struct extent){ 0 };
	s->inner->anew(s->inner);
}

static const char *spool_doubt(const struct bundle_source *source)
{
	const struct spool *s = (const struct spool *)source;

	return s->inner->doubt(s->inner);
}

static void spool_free(struct spool *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s->kept);
	free(s);
}

static void spool_close(struct bundle_source *source)
{
	struct spool *s = (struct spool *)source;

	bundle_source_close(s->inner);
	spool_free(s);
}

bool spool_is(const struct bundle_source *source)
{
	return source->close == spool_close;
}

void spool_keep(struct bundle_source *source)
{
	((struct spool *)source)->keeps = true;
}

int spool_room(const struct bundle_source *source, uint64_t bytes, struct err *err)
{
	const struct spool *s = (const struct spool *)source;
	uint64_t free_bytes;

	if (disk_posix.room(NULL, s->directory, &free_bytes) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to see how much room is in %s",
				 s->directory);
	if (bytes > free_bytes)
		return err_set(err, EX_IOERR, "failed to spool the bundle in %s: no room for %llu bytes, "
			       "%llu are free; " WAY_OUT, s->directory, (unsigned long long)bytes,
			       (unsigned long long)free_bytes);
	return 0;
}

/* Where the file system has no O_TMPFILE, as an overlay before Linux 6.3, by a name that
 * goes at once. */
static int file_open(const char *directory)
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

/* All of a server without ranges. */
static int drain(struct spool *s, struct err *err)
{
	_cleanup_free_ uint8_t *buf = malloc(DRAIN_BYTES);
	uint64_t size = s->source.size;

	if (!buf)
		return err_set(err, EX_SOFTWARE, "failed to spool the bundle: out of memory");
	if (size == UINT64_MAX)
		return err_set(err, EX_UNAVAILABLE, "failed to spool the bundle: the server has neither "
			       "ranges nor tells its size; --verify-first=no takes it as it comes");
	if (spool_room(&s->source, size, err) < 0)
		return -1;
	for (uint64_t at = 0; at < size;) {
		size_t len = size - at < DRAIN_BYTES ? (size_t)(size - at) : DRAIN_BYTES;

		if (s->inner->read(s->inner, buf, len, at, err) < 0 || keep(s, buf, len, at, err) < 0)
			return -1;
		at += len;
	}
	return 0;
}

int spool_open(const char *directory, struct bundle_source *source, struct bundle_source **ret_source,
	       struct err *err)
{
	struct spool *s = calloc(1, sizeof *s + strlen(directory) + 1);

	if (!s)
		return err_set(err, EX_SOFTWARE, "failed to spool the bundle: out of memory");
	s->source = (struct bundle_source){
		.size = source->size,
		.remote = source->remote && !source->forward,
		.read = spool_read,
		.run = spool_run,
		.fetched = source->fetched ? spool_fetched : NULL,
		.anew = source->anew ? spool_anew : NULL,
		.doubt = source->doubt ? spool_doubt : NULL,
		.close = spool_close,
	};
	s->inner = source;
	strcpy(s->directory, directory);
	s->fd = file_open(directory);
	if (s->fd < 0)
		(void)err_errno(err, EX_CONFIG, errno, "failed to make a file in spool-dir = %s", directory);
	if (s->fd < 0 || (source->forward && drain(s, err) < 0)) {
		spool_free(s);
		return -1;
	}
	*ret_source = &s->source;
	return 0;
}
