/* SPDX-License-Identifier: MIT */
#include "espfile.h"

#include "cmdline.h"
#include "io.h"
#include "readback.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>

/* Room for directory growth and for rounding four files up to clusters. */
#define ROOM_TO_SPARE (512 * 1024)
#define COPY_BYTES (1024 * 1024)
#define BLOCK 4096

int espfile_path(const char *esp, unsigned slot, const char *name, char **ret_path,
		 struct err *err)
{
	if (asprintf(ret_path, "%s/" ESP_OURS "/%c%s%s", esp, slot_letter(slot), name ? "/" : "",
		     name ? name : "") < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name a file on the ESP");
	return 0;
}

static int flush_parent(const struct disk *disk, const char *path, struct err *err)
{
	if (disk_flush_parent(disk, path) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to flush the directory of %s",
				 path);
	return 0;
}

static int dir_failed(const char *path, struct err *err)
{
	return err_errno(err, EX_IOERR, errno, "failed to create the directory of %s", path);
}

int espfile_make_parent(const struct disk *disk, const char *path, struct err *err)
{
	_cleanup_free_ char *copy = strdup(path);
	char *dir = copy ? dirname(copy) : NULL;

	if (!dir || (disk->make_dir(disk->ctx, dir) < 0 && errno != EEXIST))
		return dir_failed(path, err);
	return flush_parent(disk, dir, err);
}

/* The temporary file of a replacement. */
struct sink {
	const struct disk *disk;
	const char *path;
	int file;
	uint64_t written;
};

static int sink_open(struct sink *sink, struct err *err)
{
	const struct disk *disk = sink->disk;

	if (disk->remove(disk->ctx, sink->path) < 0 && errno != ENOENT)
		return err_errno(err, EX_IOERR, errno, "failed to remove %s", sink->path);
	sink->file = disk->open(disk->ctx, sink->path, DISK_NEW);
	if (sink->file < 0)
		return err_errno(err, EX_IOERR, errno, "failed to create %s", sink->path);
	return 0;
}

static int sink_write(struct sink *sink, const uint8_t *data, size_t len, struct err *err)
{
	if (sink->disk->write(sink->disk->ctx, sink->file, data, len, sink->written) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to write %s", sink->path);
	sink->written += len;
	return 0;
}

/* so_far: the result so far; after a failure nothing is flushed. */
static int sink_close(struct sink *sink, int so_far, struct err *err)
{
	const struct disk *disk = sink->disk;
	int r = so_far;

	if (r == 0 && disk->flush(disk->ctx, sink->file) < 0)
		r = err_errno(err, EX_IOERR, errno, "failed to flush %s", sink->path);
	disk->close(disk->ctx, sink->file);
	return r < 0 ? -1 : flush_parent(disk, sink->path, err);
}

int espfile_remove(const struct disk *disk, const char *path, struct err *err)
{
	if (disk->remove(disk->ctx, path) < 0 && errno != ENOENT)
		return err_errno(err, EX_IOERR, errno, "failed to remove %s", path);
	/* A missing directory holds no file. */
	if (disk_flush_parent(disk, path) < 0 && errno != ENOENT)
		return err_errno(err, EX_IOERR, errno, "failed to flush the directory of %s",
				 path);
	return 0;
}

int espfile_write(const struct disk *disk, const char *path, const uint8_t *data,
		  size_t len, struct err *err)
{
	struct sink sink = { .disk = disk, .path = path };

	if (sink_open(&sink, err) < 0)
		return -1;
	return sink_close(&sink, sink_write(&sink, data, len, err), err);
}

static int sink_copy(struct sink *sink, int fd, uint64_t size, const volatile int *cancel,
		     struct err *err)
{
	_cleanup_free_ uint8_t *buf = malloc(COPY_BYTES);

	if (!buf)
		return err_set(err, EX_SOFTWARE, "failed to write %s: out of memory", sink->path);
	while (sink->written < size) {
		uint64_t left = size - sink->written;
		size_t n = left < COPY_BYTES ? (size_t)left : COPY_BYTES;

		if (cancel && *cancel)
			return err_set(err, EX_TEMPFAIL, "cancelled by a signal");
		if (pread_full(fd, buf, n, (off_t)sink->written) < 0)
			return err_errno(err, EX_SOFTWARE, errno, "failed to write %s", sink->path);
		if (sink_write(sink, buf, n, err) < 0)
			return -1;
	}
	return 0;
}

int espfile_copy(const struct disk *disk, const char *path, int fd, uint64_t size,
		 const volatile int *cancel, struct err *err)
{
	struct sink sink = { .disk = disk, .path = path };

	if (espfile_make_parent(disk, path, err) < 0 || sink_open(&sink, err) < 0)
		return -1;
	return sink_close(&sink, sink_copy(&sink, fd, size, cancel, err), err);
}

/* Each directory between root and the file. */
static int make_dirs(const struct disk *disk, const char *root, const char *path, struct err *err)
{
	_cleanup_free_ char *dir = strdup(path);
	char *end = dir ? strchr(dir + strlen(root) + 1, '/') : NULL;

	for (; end; end = strchr(end + 1, '/')) {
		*end = 0;
		if (disk->make_dir(disk->ctx, dir) < 0 ? errno != EEXIST
						       : disk_flush_parent(disk, dir) < 0)
			return dir_failed(path, err);
		*end = '/';
	}
	return dir ? 0 : dir_failed(path, err);
}

/* Reads come in blocks: DISK_READ. */
static int sink_mirror(struct sink *sink, const char *from, uint64_t size, struct err *err)
{
	_cleanup_free_ uint8_t *buf = aligned_alloc(BLOCK, COPY_BYTES);
	const struct disk *disk = sink->disk;
	int64_t n = buf ? 1 : 0;
	int fd = buf ? disk->open(disk->ctx, from, DISK_READ) : -1;

	if (fd < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read %s", from);
	while (sink->written < size && n > 0) {
		n = disk->read(disk->ctx, fd, buf, COPY_BYTES, sink->written);
		if (n > 0 && (uint64_t)n > size - sink->written)
			n = (int64_t)(size - sink->written);
		if (n > 0 && sink_write(sink, buf, (size_t)n, err) < 0)
			break;
	}
	disk->close(disk->ctx, fd);
	if (n <= 0 && sink->written < size)
		return err_errno(err, EX_IOERR, n < 0 ? errno : EIO, "failed to read %s", from);
	return sink->written < size ? -1 : 0;
}

int espfile_mirror(const struct disk *disk, const char *from, const char *root, const char *to,
		   struct err *err)
{
	struct sink sink = { .disk = disk, .path = to };
	struct disk_stat st;
	uint8_t sha256[32];

	if (disk->stat(disk->ctx, from, &st) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to look at %s", from);
	if (readback_sha256(disk, from, st.size, NULL, sha256, err) < 0 ||
	    make_dirs(disk, root, to, err) < 0 || sink_open(&sink, err) < 0 ||
	    sink_close(&sink, sink_mirror(&sink, from, st.size, err), err) < 0)
		return -1;
	return readback_check(disk, to, st.size, sha256, NULL, err);
}

bool espfile_same(const struct disk *disk, const char *a, const char *b)
{
	struct disk_stat x = { 0 }, y = { 0 };
	uint8_t p[32], q[32];
	bool has_a = disk->stat(disk->ctx, a, &x) == 0, no_a = !has_a && errno == ENOENT;
	bool has_b = disk->stat(disk->ctx, b, &y) == 0, no_b = !has_b && errno == ENOENT;

	if (!has_a || !has_b)
		return no_a && no_b;
	return x.size == y.size && readback_sha256(disk, a, x.size, NULL, p, NULL) == 0 &&
	       readback_sha256(disk, b, y.size, NULL, q, NULL) == 0 && memcmp(p, q, sizeof p) == 0;
}

int espfile_check_room(const struct disk *disk, const char *esp, unsigned slot,
		       uint64_t size, uint64_t freed, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct disk_stat old = { 0 };
	uint64_t room;

	if (espfile_path(esp, slot, "uki.efi", &path, err) < 0)
		return -1;
	if (disk->room(disk->ctx, esp, &room) < 0 && errno == EROFS)
		return err_set(err, EX_IOERR, "the ESP at %s is mounted read-only; mount -o "
			       "remount,rw %s, or check it with fsck.vfat", esp, esp);
	if (disk->room(disk->ctx, esp, &room) < 0)
		return err_errno(err, EX_CONFIG, errno, "failed to read the free space of the "
				 "ESP at %s", esp);
	(void)disk->stat(disk->ctx, path, &old);	/* none: nothing to replace */
	room += old.size + freed;
	if (room < ROOM_TO_SPARE || size > room - ROOM_TO_SPARE)
		return err_set(err, EX_DATAERR,
			       "the UKI with its index, manifest and what lies beside it (%llu bytes) does not fit the ESP at %s (%llu bytes "
			       "free for slot %c)", (unsigned long long)size, esp,
			       (unsigned long long)room, slot_letter(slot));
	return 0;
}
