/* SPDX-License-Identifier: MIT */
#include "espfile.h"

#include "cmdline.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* For the manifest, its signature, directory growth and rounding to clusters. */
#define ROOM_TO_SPARE (512 * 1024)

int espfile_path(const char *esp, unsigned slot, const char *name, char **ret_path,
		 struct err *err)
{
	if (asprintf(ret_path, "%s/" ESP_OURS "/%c%s%s", esp, slot_letter(slot), name ? "/" : "",
		     name ? name : "") < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name a file on the ESP");
	return 0;
}

static int flush_parent(const char *path, struct err *err)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int fd = -1;

	if (copy)
		fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to flush the directory of %s",
				 path);
	return 0;
}

static int create_anew(const char *path, int *ret_fd, struct err *err)
{
	int fd;

	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, EX_IOERR, errno, "failed to remove %s", path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(err, EX_IOERR, errno, "failed to create %s", path);
	*ret_fd = fd;
	return 0;
}

static int flush_file(int fd, const char *path, struct err *err)
{
	if (fsync(fd) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to flush %s", path);
	return flush_parent(path, err);
}

int espfile_write(const char *path, const uint8_t *data, size_t len, struct err *err)
{
	_cleanup_close_ int fd = -1;

	if (create_anew(path, &fd, err) < 0)
		return -1;
	if (pwrite_full(fd, data, len, 0) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to write %s", path);
	return flush_file(fd, path, err);
}

struct sink {
	int fd;
	const char *path;
	uint64_t written;
};

static int sink_write(void *ctx, const uint8_t *data, size_t len, struct err *err)
{
	struct sink *sink = ctx;

	if (pwrite_full(sink->fd, data, len, (off_t)sink->written) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to write %s", sink->path);
	sink->written += len;
	return 0;
}

static int make_directory(const char *path, struct err *err)
{
	_cleanup_free_ char *copy = strdup(path);
	char *dir = copy ? dirname(copy) : NULL;

	if (!dir || (mkdir(dir, 0755) < 0 && errno != EEXIST))
		return err_errno(err, EX_IOERR, errno, "failed to create the directory of %s",
				 path);
	return flush_parent(dir, err);
}

int espfile_extract(const char *path, struct bundle *bundle, const struct payload *payload,
		    const volatile int *cancel, struct err *err)
{
	struct sink sink = { .path = path };
	_cleanup_close_ int fd = -1;

	if (make_directory(path, err) < 0 || create_anew(path, &fd, err) < 0)
		return -1;
	sink.fd = fd;
	if (bundle_extract(bundle, payload, sink_write, &sink, cancel, err) < 0)
		return -1;
	return flush_file(fd, path, err);
}

int espfile_check_room(const char *esp, unsigned slot, uint64_t size, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct statvfs vfs;
	struct stat st = { 0 };
	uint64_t room;

	if (espfile_path(esp, slot, "uki.efi", &path, err) < 0)
		return -1;
	if (statvfs(esp, &vfs) < 0)
		return err_errno(err, EX_CONFIG, errno, "failed to read the free space of the "
				 "ESP at %s", esp);
	(void)stat(path, &st);
	room = (uint64_t)vfs.f_bavail * vfs.f_frsize + (uint64_t)st.st_size;
	if (room < ROOM_TO_SPARE || size > room - ROOM_TO_SPARE)
		return err_set(err, EX_DATAERR,
			       "the UKI (%llu bytes) does not fit the ESP at %s (%llu bytes "
			       "free for slot %c)", (unsigned long long)size, esp,
			       (unsigned long long)room, slot_letter(slot));
	return 0;
}
