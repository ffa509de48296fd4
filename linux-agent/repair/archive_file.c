/* SPDX-License-Identifier: MIT */
#include "archive_file.h"

#include "io.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

struct archive_file {
	struct archive *archive;
	char *path;
	int fd;
};

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len > n && strcmp(text + len - n, end) == 0;
}

static int failed(const struct archive_file *f, struct err *err)
{
	const char *why = archive_error_string(f->archive);

	return err_set(err, EX_IOERR, "failed to write %s: %s", f->path, why ? why : "libarchive failed");
}

static void archive_file_free(struct archive_file *f)
{
	if (f->archive)
		(void)archive_write_free(f->archive);
	cleanup_closep(&f->fd);
	free(f->path);
	free(f);
}

static int filter_set(struct archive_file *f, struct err *err)
{
	int r;

	if (ends_with(f->path, ".tar.zst"))
		r = archive_write_add_filter_zstd(f->archive);
	else if (ends_with(f->path, ".tar.gz"))
		r = archive_write_add_filter_gzip(f->archive);
	else
		return err_set(err, EX_USAGE, "%s: the name must end with .tar.zst or .tar.gz", f->path);
	return r == ARCHIVE_OK && archive_write_set_format_pax_restricted(f->archive) == ARCHIVE_OK
		       ? 0 : failed(f, err);
}

int archive_file_open(const char *path, struct archive_file **ret_file, struct err *err)
{
	struct archive_file *f = calloc(1, sizeof *f);

	if (!f)
		return err_set(err, EX_SOFTWARE, "failed to write %s: out of memory", path);
	f->fd = -1;
	f->path = strdup(path);
	f->archive = archive_write_new();
	if (!f->path || !f->archive) {
		(void)err_set(err, EX_SOFTWARE, "failed to write %s: out of memory", path);
	} else if (filter_set(f, err) == 0) {
		f->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (f->fd < 0)
			(void)err_errno(err, EX_IOERR, errno, "failed to create %s", path);
		else if (archive_write_open_fd(f->archive, f->fd) != ARCHIVE_OK)
			(void)failed(f, err);
		else {
			*ret_file = f;
			return 0;
		}
		if (f->fd >= 0)
			(void)unlink(path);
	}
	archive_file_free(f);
	return -1;
}

int archive_file_add(struct archive_file *file, const char *name, const void *data, size_t len,
		     struct err *err)
{
	struct archive_entry *entry = archive_entry_new();
	int r = -1;

	if (!entry)
		return err_set(err, EX_SOFTWARE, "failed to write %s: out of memory", file->path);
	archive_entry_set_pathname(entry, name);
	archive_entry_set_size(entry, (la_int64_t)len);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_mtime(entry, time(NULL), 0);
	if (archive_write_header(file->archive, entry) == ARCHIVE_OK &&
	    (len == 0 || archive_write_data(file->archive, data, len) == (la_ssize_t)len))
		r = 0;
	archive_entry_free(entry);
	return r == 0 ? 0 : failed(file, err);
}

int archive_file_close(struct archive_file *file, int so_far, struct err *err)
{
	int r = so_far;

	if (r == 0 && archive_write_close(file->archive) != ARCHIVE_OK)
		r = failed(file, err);
	if (r == 0 && fsync(file->fd) < 0)
		r = err_errno(err, EX_IOERR, errno, "failed to flush %s", file->path);
	if (r < 0)
		(void)unlink(file->path);
	archive_file_free(file);
	return r;
}
