/* SPDX-License-Identifier: MIT */
#include "zipentry.h"

#include "io.h"
#include "zipend.h"
#include "ziplocal.h"

#include <string.h>
#include <sys/stat.h>
#include <zip.h>
#include <zlib.h>

/* A source as libzip sees it. */
struct view {
	struct bundle_source *source;
	uint64_t from;		/* what is in front reads as zeros */
	uint64_t pos;
	uint64_t last;		/* where the last read began */
	struct err err;		/* of the source */
	zip_error_t error;
};

struct ziparchive {
	zip_t *zip;
	struct view view;
	struct place {
		uint64_t from, to;	/* from its local header on; 0, 0: not found yet */
	} places[ZIPEND_ENTRIES_MAX];
};

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to read a ZIP: out of memory");
}

static zip_int64_t view_read(struct view *v, void *data, zip_uint64_t len)
{
	uint64_t zeros = v->pos < v->from ? v->from - v->pos : 0;

	if (v->pos >= v->source->size)
		return 0;
	if (len > v->source->size - v->pos)
		len = v->source->size - v->pos;
	if (zeros > len)
		zeros = len;
	v->last = v->pos;
	memset(data, 0, zeros);
	if (len > zeros && v->source->read(v->source, (uint8_t *)data + zeros, len - zeros,
					   v->pos + zeros, &v->err) < 0) {
		zip_error_set(&v->error, ZIP_ER_READ, 0);
		return -1;
	}
	v->pos += len;
	return (zip_int64_t)len;
}

static zip_int64_t view_seek(struct view *v, void *data, zip_uint64_t len)
{
	zip_int64_t to = zip_source_seek_compute_offset(v->pos, v->source->size, data, len,
							&v->error);

	if (to < 0)
		return -1;
	v->pos = (uint64_t)to;
	return 0;
}

static zip_int64_t view_stat(struct view *v, void *data)
{
	zip_stat_t *st = data;

	zip_stat_init(st);
	st->size = v->source->size;
	st->valid = ZIP_STAT_SIZE;
	return sizeof *st;
}

static zip_int64_t view_call(void *ctx, void *data, zip_uint64_t len, zip_source_cmd_t command)
{
	struct view *v = ctx;

	switch (command) {
	case ZIP_SOURCE_OPEN:
		v->pos = 0;
		return 0;
	case ZIP_SOURCE_READ:
		return view_read(v, data, len);
	case ZIP_SOURCE_SEEK:
		return view_seek(v, data, len);
	case ZIP_SOURCE_TELL:
		return (zip_int64_t)v->pos;
	case ZIP_SOURCE_STAT:
		return view_stat(v, data);
	case ZIP_SOURCE_ERROR:
		return zip_error_to_data(&v->error, data, len);
	case ZIP_SOURCE_CLOSE:
	case ZIP_SOURCE_FREE:
		return 0;
	case ZIP_SOURCE_SUPPORTS:
		return zip_source_make_command_bitmap(
			ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL,
			ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_CLOSE, ZIP_SOURCE_FREE, -1);
	default:
		zip_error_set(&v->error, ZIP_ER_OPNOTSUPP, 0);
		return -1;
	}
}

static int zip_refuse(const struct view *v, zip_error_t *e, struct err *err)
{
	if (v->err.exit) {
		if (err)
			*err = v->err;
		return -1;
	}
	if (zip_error_code_zip(e) == ZIP_ER_MEMORY)
		return no_memory(err);
	return err_set(err, EX_DATAERR, "the ZIP is damaged or truncated: %s",
		       zip_error_strerror(e));
}

static bool name_is_plain(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= ZIPLOCAL_NAME_MAX && *name != '.' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
	       len;
}

static int entry_check(zip_t *zip, zip_uint64_t i, struct err *err)
{
	const char *name = zip_get_name(zip, i, ZIP_FL_ENC_RAW);
	zip_uint32_t attributes = 0;
	zip_uint8_t system = 0;

	if (!name || !name_is_plain(name))
		return err_set(err, EX_DATAERR, "the ZIP has an entry whose name is not plain");
	if (zip_name_locate(zip, name, ZIP_FL_ENC_RAW) != (zip_int64_t)i)
		return err_set(err, EX_DATAERR, "two entries of the ZIP have the same name, %s",
			       name);
	(void)zip_file_get_external_attributes(zip, i, 0, &system, &attributes);
	if (system == ZIP_OPSYS_UNIX && attributes >> 16 & S_IFMT &&
	    !S_ISREG(attributes >> 16))
		return err_set(err, EX_DATAERR, "%s is no file but a link or something else in the "
			       "ZIP", name);
	return 0;
}

static int entries_check(zip_t *zip, struct err *err)
{
	zip_int64_t count = zip_get_num_entries(zip, 0);

	if (count > ZIPEND_ENTRIES_MAX)
		return err_set(err, EX_DATAERR, "the ZIP has %lld entries, more than any bundle",
			       (long long)count);
	for (zip_int64_t i = 0; i < count; i++)
		if (entry_check(zip, (zip_uint64_t)i, err) < 0)
			return -1;
	return 0;
}

int ziparchive_open(struct bundle_source *source, struct ziparchive **ret_archive, struct err *err)
{
	_cleanup_(ziparchive_closep) struct ziparchive *a = calloc(1, sizeof *a);
	zip_source_t *zip_source;
	zip_error_t e;

	if (!a)
		return no_memory(err);
	a->view.source = source;
	zip_error_init(&a->view.error);
	/* While libzip looks for the end, what only looks like one must not be seen. */
	if (zipend_check(source, &a->view.from, err) < 0)
		return -1;
	zip_error_init(&e);
	zip_source = zip_source_function_create(view_call, &a->view, &e);
	a->zip = zip_source ? zip_open_from_source(zip_source, ZIP_RDONLY, &e) : NULL;
	if (!a->zip) {
		if (zip_source)
			zip_source_free(zip_source);
		(void)zip_refuse(&a->view, &e, err);
		zip_error_fini(&e);
		return -1;
	}
	zip_error_fini(&e);
	a->view.from = 0;
	if (entries_check(a->zip, err) < 0)
		return -1;
	*ret_archive = a;
	a = NULL;
	return 0;
}

void ziparchive_close(struct ziparchive *archive)
{
	if (!archive)
		return;
	if (archive->zip)
		zip_discard(archive->zip);
	zip_error_fini(&archive->view.error);
	free(archive);
}

void ziparchive_closep(struct ziparchive **archive)
{
	ziparchive_close(*archive);
}

/* libzip does not tell where an entry begins, but it asks for its first byte there. */
static int data_offset(struct ziparchive *a, zip_uint64_t i, uint64_t *ret_offset,
		       struct err *err)
{
	zip_file_t *file = zip_fopen_index(a->zip, i, ZIP_FL_COMPRESSED);
	zip_int64_t n;
	char byte;

	if (!file)
		return zip_refuse(&a->view, zip_get_error(a->zip), err);
	n = zip_fread(file, &byte, 1);
	if (n < 0)
		(void)zip_refuse(&a->view, zip_file_get_error(file), err);
	else if (n == 0)
		(void)err_set(err, EX_DATAERR, "the ZIP is truncated");
	(void)zip_fclose(file);
	if (n != 1)
		return -1;
	*ret_offset = a->view.last;
	return 0;
}

static int stat_check(zip_t *zip, const char *name, zip_uint64_t i, zip_stat_t *ret_stat,
		      struct err *err)
{
	if (zip_stat_index(zip, i, 0, ret_stat) < 0)
		return err_set(err, EX_DATAERR, "%s: %s", name, zip_strerror(zip));
	if (ret_stat->encryption_method != ZIP_EM_NONE)
		return err_set(err, EX_DATAERR, "%s is encrypted", name);
	if (ret_stat->comp_method != ZIP_CM_STORE)
		return err_set(err, EX_DATAERR, "%s is compressed by method %u; a bundle's entries "
			       "are stored", name, ret_stat->comp_method);
	if (ret_stat->size == 0)
		return err_set(err, EX_DATAERR, "%s is empty", name);
	if (ret_stat->size != ret_stat->comp_size)
		return err_set(err, EX_DATAERR, "%s has sizes that cannot be true", name);
	return 0;
}

/* Tools would see two contents in the same bytes. */
static int overlap_check(struct ziparchive *a, size_t i, const struct ziplocal *local,
			 struct err *err)
{
	for (size_t k = 0; k < ARRAY_SIZE(a->places); k++)
		if (k != i && local->header < a->places[k].to && a->places[k].from < local->next)
			return err_set(err, EX_DATAERR, "%s and %s overlap in the ZIP",
				       local->name, zip_get_name(a->zip, k, ZIP_FL_ENC_RAW));
	a->places[i] = (struct place){ local->header, local->next };
	return 0;
}

bool ziparchive_has(const struct ziparchive *archive, const char *name, uint64_t *ret_size)
{
	zip_stat_t st;

	if (zip_stat(archive->zip, name, ZIP_FL_ENC_RAW, &st) < 0)
		return false;
	if (ret_size)
		*ret_size = st.size;
	return true;
}

int ziparchive_find(struct ziparchive *archive, const char *name, struct zipentry *ret_entry,
		    struct err *err)
{
	zip_int64_t i = zip_name_locate(archive->zip, name, ZIP_FL_ENC_RAW);
	struct bundle_source *source = archive->view.source;
	struct ziplocal local;
	zip_stat_t st;
	uint64_t data = 0;

	if (i < 0)
		return 0;
	if (stat_check(archive->zip, name, (zip_uint64_t)i, &st, err) < 0 ||
	    data_offset(archive, (zip_uint64_t)i, &data, err) < 0 ||
	    ziplocal_find(source, data, name, &local, err) < 0)
		return -1;
	if (local.size != st.size || local.crc != st.crc)
		return err_set(err, EX_DATAERR, "%s has a local header that disagrees with the "
			       "ZIP's directory", name);
	if (local.next > source->size)
		return err_set(err, EX_DATAERR, "%s does not fit the ZIP: it is truncated", name);
	if (overlap_check(archive, (size_t)i, &local, err) < 0)
		return -1;
	*ret_entry = (struct zipentry){ local.data, local.size, local.crc };
	return 1;
}

int zipentry_read(struct bundle_source *source, const char *name, const struct zipentry *entry,
		  uint64_t max, uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;

	if (entry->size > max)
		return err_set(err, EX_DATAERR, "%s is larger than %llu bytes", name,
			       (unsigned long long)max);
	data = malloc(entry->size + 1);
	if (!data)
		return no_memory(err);
	if (source->read(source, data, entry->size, entry->offset, err) < 0)
		return -1;
	if (crc32_z(0, data, entry->size) != entry->crc)
		return err_set(err, EX_DATAERR, "%s is damaged: its CRC differs from the ZIP's",
			       name);
	*ret_data = data;
	*ret_len = entry->size;
	data = NULL;
	return 0;
}
