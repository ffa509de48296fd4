/* SPDX-License-Identifier: MIT */
#include "archive_file.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <zip.h>

struct archive_file {
	zip_source_t *bytes;	/* of the whole archive */
	zip_t *zip;		/* what will be in them */
	char *path;
	int fd;
};

static int no_memory(const char *path, struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to write %s: out of memory", path);
}

static void archive_file_free(struct archive_file *f)
{
	if (f->zip)
		zip_discard(f->zip);
	if (f->bytes)
		zip_source_free(f->bytes);
	cleanup_closep(&f->fd);
	free(f->path);
	free(f);
}

static struct archive_file *archive_file_new(const char *path)
{
	struct archive_file *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->fd = -1;
	f->path = strdup(path);
	f->bytes = zip_source_buffer_create(NULL, 0, 0, NULL);
	if (f->bytes)
		f->zip = zip_open_from_source(f->bytes, ZIP_TRUNCATE, NULL);
	if (f->zip)
		zip_source_keep(f->bytes);
	if (f->path && f->zip)
		return f;
	archive_file_free(f);
	return NULL;
}

int archive_file_open(const char *path, struct archive_file **ret_file, struct err *err)
{
	size_t len = strlen(path);
	struct archive_file *f;

	if (len < sizeof "x.zip" - 1 || strcmp(path + len - strlen(".zip"), ".zip") != 0)
		return err_set(err, EX_USAGE, "%s: the name must end with .zip", path);
	f = archive_file_new(path);
	if (!f)
		return no_memory(path, err);
	f->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (f->fd < 0) {
		(void)err_errno(err, EX_IOERR, errno, "failed to create %s", path);
		archive_file_free(f);
		return -1;
	}
	*ret_file = f;
	return 0;
}

int archive_file_add(struct archive_file *file, const char *name, const void *data, size_t len,
		     struct err *err)
{
	void *copy = malloc(len + 1);
	zip_source_t *source;
	zip_int64_t at;

	if (!copy)
		return no_memory(file->path, err);
	memcpy(copy, data, len);
	source = zip_source_buffer(file->zip, copy, len, 1);
	if (!source) {
		free(copy);
		return no_memory(file->path, err);
	}
	at = zip_file_add(file->zip, name, source, ZIP_FL_ENC_UTF_8);
	if (at < 0) {
		zip_source_free(source);
		return err_set(err, EX_SOFTWARE, "failed to add %s to %s: %s", name, file->path,
			       zip_strerror(file->zip));
	}
	(void)zip_file_set_external_attributes(file->zip, (zip_uint64_t)at, 0, ZIP_OPSYS_UNIX,
					       0100600U << 16);
	return 0;
}

/* What libzip made, into the file. */
static int bytes_write(struct archive_file *f, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	zip_stat_t st;

	if (zip_source_stat(f->bytes, &st) < 0 || zip_source_open(f->bytes) < 0)
		return no_memory(f->path, err);
	data = malloc(st.size + 1);
	if (!data || zip_source_read(f->bytes, data, st.size) != (zip_int64_t)st.size) {
		(void)zip_source_close(f->bytes);
		return no_memory(f->path, err);
	}
	(void)zip_source_close(f->bytes);
	if (pwrite_full(f->fd, data, st.size, 0) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to write %s", f->path);
	if (fsync(f->fd) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to flush %s", f->path);
	return 0;
}

int archive_file_close(struct archive_file *file, int so_far, struct err *err)
{
	int r = so_far;

	if (r == 0 && zip_close(file->zip) < 0)
		r = err_set(err, EX_IOERR, "failed to write %s: %s", file->path,
			    zip_strerror(file->zip));
	else if (r == 0) {
		file->zip = NULL;
		r = bytes_write(file, err);
	}
	if (r < 0)
		(void)unlink(file->path);
	archive_file_free(file);
	return r;
}
