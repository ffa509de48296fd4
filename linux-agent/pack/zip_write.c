/* SPDX-License-Identifier: MIT */
#include "zip_write.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <zip.h>

#define DOS_DATE_1980 ((1 << 5) | 1)	/* MS-DOS date: 1 January 1980 */

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to write a bundle: out of memory");
}

void zip_write_add_data(struct zip_write *zip, unsigned rank, const char *name, uint8_t *data,
			size_t len)
{
	zip->entries[zip->count++] = (struct zip_write_entry){
		.rank = rank, .name = name, .data = data, .len = len };
}

void zip_write_add_file(struct zip_write *zip, unsigned rank, const char *name, FILE *file)
{
	zip->entries[zip->count++] = (struct zip_write_entry){
		.rank = rank, .name = name, .file = file };
}

void zip_write_add_copy(struct zip_write *zip, unsigned rank, const char *name, zip_t *from,
			zip_uint64_t index)
{
	zip->entries[zip->count++] = (struct zip_write_entry){
		.rank = rank, .name = name, .from = from, .from_index = index };
}

static int rank_order(const void *a, const void *b)
{
	const struct zip_write_entry *x = a, *y = b;

	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

void zip_write_clear(struct zip_write *zip)
{
	for (size_t i = 0; i < zip->count; i++) {
		free(zip->entries[i].data);
		if (zip->entries[i].file)
			(void)fclose(zip->entries[i].file);
	}
	zip->count = 0;
}

/* The directory that path is in. The caller frees. */
static char *directory_of(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	return copy ? strdup(dirname(copy)) : NULL;
}

static int temporary_open(const char *dir, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	if (asprintf(&name, "%s/slotctl-XXXXXX", dir) < 0)
		return no_memory(err);
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(name);
	return fd;
}

int zip_write_temporary(const char *output, FILE **ret_file, struct err *err)
{
	_cleanup_free_ char *dir = directory_of(output);
	_cleanup_close_ int fd = -1;
	FILE *file;

	if (!dir)
		return no_memory(err);
	fd = temporary_open(dir, err);
	if (fd < 0)
		return err_errno(err, EX_IOERR, errno, "failed to create a temporary file in %s",
				 dir);
	file = fdopen(fd, "w+");
	if (!file)
		return no_memory(err);
	fd = -1;
	*ret_file = file;
	return 0;
}

static void zip_discardp(zip_t **zip)
{
	if (*zip)
		zip_discard(*zip);
}

/* The later name is that of libzip 1.10 and later; Debian 12 has 1.7. */
static zip_source_t *entry_source(zip_t *zip, const struct zip_write_entry *e)
{
#if LIBZIP_VERSION_MAJOR == 1 && LIBZIP_VERSION_MINOR < 10
	return zip_source_zip(zip, e->from, e->from_index, 0, 0, -1);
#else
	return zip_source_zip_file(zip, e->from, e->from_index, 0, 0, -1, NULL);
#endif
}

static zip_source_t *source_make(zip_t *zip, struct zip_write_entry *e)
{
	FILE *file = e->file;

	if (e->data)
		return zip_source_buffer(zip, e->data, e->len, 0);
	if (e->from)
		return entry_source(zip, e);
	/* libzip reads from where the file stands, and closes it in the end. */
	if (fseeko(file, 0, SEEK_SET) != 0)
		return NULL;
	e->file = NULL;
	return zip_source_filep(zip, file, 0, -1);
}

/* The date is given as MS-DOS numbers: libzip would turn a time_t into local time. */
static int entry_add(zip_t *zip, struct zip_write_entry *e, struct err *err)
{
	zip_source_t *source = source_make(zip, e);
	zip_int64_t index = source ? zip_file_add(zip, e->name, source, ZIP_FL_ENC_UTF_8) : -1;
	zip_uint64_t i = (zip_uint64_t)index;

	if (index < 0 && source)
		zip_source_free(source);
	if (index < 0 || zip_set_file_compression(zip, i, ZIP_CM_STORE, 0) < 0 ||
	    zip_file_set_dostime(zip, i, 0, DOS_DATE_1980, 0) < 0 ||
	    zip_file_set_external_attributes(zip, i, 0, ZIP_OPSYS_UNIX, 0100644U << 16) < 0)
		return err_set(err, EX_IOERR, "failed to add %s to the bundle: %s", e->name,
			       zip_strerror(zip));
	return 0;
}

static int zip_make(struct zip_write *list, const char *path, struct err *err)
{
	int code = 0;
	_cleanup_(zip_discardp) zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);

	if (!zip)
		return err_errno(err, EX_IOERR, errno, "failed to create %s", path);
	for (size_t i = 0; i < list->count; i++)
		if (entry_add(zip, &list->entries[i], err) < 0)
			return -1;
	if (zip_close(zip) < 0)
		return err_set(err, EX_IOERR, "failed to write %s: %s", path, zip_strerror(zip));
	zip = NULL;
	return 0;
}

static int path_fsync(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to flush %s", path);
	return 0;
}

static int zip_publish(const char *temporary, const char *output, struct err *err)
{
	_cleanup_free_ char *dir = directory_of(output);

	if (!dir)
		return no_memory(err);
	if (path_fsync(temporary, err) < 0)
		return -1;
	if (rename(temporary, output) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to rename %s to %s", temporary,
				 output);
	return path_fsync(dir, err);
}

int zip_write(struct zip_write *zip, const char *output,
	      int (*check)(const char *path, struct err *err), struct err *err)
{
	_cleanup_free_ char *temporary = NULL;

	qsort(zip->entries, zip->count, sizeof *zip->entries, rank_order);
	if (asprintf(&temporary, "%s.%d.tmp", output, getpid()) < 0) {
		temporary = NULL;
		return no_memory(err);
	}
	if (zip_make(zip, temporary, err) < 0 || (check && check(temporary, err) < 0) ||
	    zip_publish(temporary, output, err) < 0) {
		(void)unlink(temporary);
		return -1;
	}
	return 0;
}
