/* SPDX-License-Identifier: MIT */
#include "zipentry.h"

#include "util.h"

#include <string.h>
#include <sys/stat.h>

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to read a ZIP: out of memory");
}

/* libzip says "not a ZIP" of a ZIP whose end is missing; the start tells. */
static int not_a_zip(int fd, struct err *err)
{
	char start[4] = "";
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_size == 0)
		return err_set(err, EX_DATAERR, "it is empty");
	if (pread_full(fd, start, sizeof start, 0) == 0 && memcmp(start, "PK\3\4", 4) == 0)
		return err_set(err, EX_DATAERR, "it is truncated: the end of the ZIP is missing");
	return err_set(err, EX_DATAERR, "it is not a ZIP file");
}

static int zip_refuse(zip_error_t *e, int fd, struct err *err)
{
	switch (zip_error_code_zip(e)) {
	case ZIP_ER_NOZIP:
		return not_a_zip(fd, err);
	case ZIP_ER_EXISTS:
		return err_set(err, EX_DATAERR, "two entries of the ZIP have the same name");
	case ZIP_ER_MEMORY:
		return no_memory(err);
	case ZIP_ER_READ:
		return err_set(err, EX_IOERR, "failed to read it: %s", zip_error_strerror(e));
	default:
		return err_set(err, EX_DATAERR, "the ZIP is damaged or truncated: %s",
			       zip_error_strerror(e));
	}
}

/* ZIP_CHECKCONS: local headers must agree with the directory and no name may
 * occur twice, so that every tool sees the same files. */
int zipentry_archive_open(int fd, zip_t **ret_zip, struct err *err)
{
	FILE *file = fdopen(fd, "rb");
	zip_source_t *source;
	zip_error_t e;
	zip_t *zip;
	int r = 0;

	if (!file) {
		(void)close(fd);
		return no_memory(err);
	}
	zip_error_init(&e);
	source = zip_source_filep_create(file, 0, -1, &e);
	zip = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &e) : NULL;
	if (zip)
		*ret_zip = zip;
	else
		r = zip_refuse(&e, fd, err);
	if (!zip && source)
		zip_source_free(source);
	else if (!zip)
		(void)fclose(file);
	zip_error_fini(&e);
	return r;
}

int zipentry_open(zip_t *zip, const char *name, zip_file_t **ret_file, uint64_t *ret_size,
		      struct err *err)
{
	zip_int64_t index = zip_name_locate(zip, name, 0);
	zip_file_t *file;
	zip_stat_t st;

	if (index < 0) {
		*ret_file = NULL;
		return 0;
	}
	if (zip_stat_index(zip, (zip_uint64_t)index, 0, &st) < 0)
		return err_set(err, EX_DATAERR, "%s: %s", name, zip_strerror(zip));
	if (st.encryption_method != ZIP_EM_NONE)
		return err_set(err, EX_DATAERR, "%s is encrypted", name);
	if (st.comp_method != ZIP_CM_STORE && st.comp_method != ZIP_CM_DEFLATE)
		return err_set(err, EX_DATAERR, "%s is compressed by method %u; only stored and "
			       "deflated entries can be read", name, st.comp_method);
	file = zip_fopen_index(zip, (zip_uint64_t)index, 0);
	if (!file)
		return err_set(err, EX_DATAERR, "failed to read %s: %s", name, zip_strerror(zip));
	*ret_file = file;
	*ret_size = st.size;
	return 0;
}

int zipentry_damaged(const char *name, zip_file_t *file, struct err *err)
{
	zip_error_t *e = zip_file_get_error(file);
	int exit = zip_error_code_zip(e) == ZIP_ER_READ ? EX_IOERR : EX_DATAERR;

	return err_set(err, exit, "failed to unpack %s: %s", name, zip_error_strerror(e));
}

/* The buffer is one byte larger than the ZIP says, so that a lie about the size
 * shows. */
int zipentry_read(zip_t *zip, const char *name, uint64_t max, uint8_t **ret_data,
		      size_t *ret_len, struct err *err)
{
	_cleanup_(zip_fclosep) zip_file_t *file = NULL;
	_cleanup_free_ uint8_t *data = NULL;
	uint64_t size, done = 0;
	zip_int64_t n;

	if (zipentry_open(zip, name, &file, &size, err) < 0)
		return -1;
	if (!file)
		return 0;
	if (size > max)
		return err_set(err, EX_DATAERR, "%s is larger than %llu bytes", name,
			       (unsigned long long)max);
	data = malloc(size + 1);
	if (!data)
		return no_memory(err);
	while (done <= size && (n = zip_fread(file, data + done, size + 1 - done)) != 0) {
		if (n < 0)
			return zipentry_damaged(name, file, err);
		done += (uint64_t)n;
	}
	if (done != size)
		return err_set(err, EX_DATAERR, "%s does not have the size the ZIP says", name);
	*ret_data = data;
	*ret_len = done;
	data = NULL;
	return 0;
}
