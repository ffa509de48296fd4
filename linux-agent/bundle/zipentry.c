/* SPDX-License-Identifier: MIT */
#include "zipentry.h"

#include "bytes.h"
#include "io.h"
#include "zipend.h"

#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

/* APPNOTE 4.3.12, an entry in the directory; 4.3.7, the local header in front of its data. */
enum { CENTRAL_BYTES = 46, AT_SYSTEM = 5, AT_NAME_LEN = 28, AT_EXTRA_LEN = 30,
       AT_COMMENT_LEN = 32, AT_DISK = 34, AT_ATTRIBUTES = 38, AT_OFFSET = 42 };
enum { LOCAL_BYTES = 30, AT_LOCAL_NAME_LEN = 26, AT_LOCAL_EXTRA_LEN = 28 };
/* Both have the same from here on. */
enum { CENTRAL_COMMON = 8, LOCAL_COMMON = 6, AT_FLAGS = 0, AT_METHOD = 2, AT_CRC = 8,
       AT_PACKED = 12, AT_SIZE = 16 };
enum { FLAG_ENCRYPTED = 1 << 0, FLAG_DESCRIPTOR = 1 << 3 };
enum { EXTRA_ZIP64 = 1, SYSTEM_UNIX = 3, EXTRA_MAX = 64 };

/* Of an entry no longer than this all is asked for with its header; of so many at most. */
enum { SMALL_BYTES = 16 * 1024, NEED_MAX = 64 };

#define CENTRAL_MAGIC 0x02014b50u
#define LOCAL_MAGIC 0x04034b50u
#define MEANS_ZIP64 0xffffffffu

struct row {
	char name[ZIPENTRY_NAME_MAX + 1];
	uint16_t flags, method;
	uint32_t crc;
	uint64_t size, packed;
	uint64_t header;	/* offset of the local header */
	uint64_t behind;	/* of what follows the data; 0: not looked for yet */
};

struct ziparchive {
	struct bundle_source *source;
	size_t count;
	struct row rows[];
};

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to read a ZIP: out of memory");
}

static int damaged(struct err *err)
{
	return err_set(err, EX_DATAERR, "the ZIP is damaged or truncated: its directory does not "
		       "hold what its end says");
}

/* APPNOTE 4.5.3: what does not fit 32 bits, one behind the other. */
static bool zip64_take(const uint8_t *extra, size_t len, uint64_t *const *fields, size_t count)
{
	for (size_t at = 0; len - at >= 4;) {
		uint16_t id = le16_get(extra + at), n = le16_get(extra + at + 2);

		at += 4;
		if (n > len - at || (id == EXTRA_ZIP64 && n < 8 * count))
			return false;
		for (size_t i = 0; id == EXTRA_ZIP64 && i < count; i++)
			*fields[i] = le64_get(extra + at + 8 * i);
		if (id == EXTRA_ZIP64)
			return true;
		at += n;
	}
	return false;
}

static void common_take(const uint8_t *common, struct row *row)
{
	row->flags = le16_get(common + AT_FLAGS);
	row->method = le16_get(common + AT_METHOD);
	row->crc = le32_get(common + AT_CRC);
	row->packed = le32_get(common + AT_PACKED);
	row->size = le32_get(common + AT_SIZE);
}

/* --- the directory ----------------------------------------------------------- */

static int name_take(const uint8_t *name, size_t len, struct row *row, struct err *err)
{
	memcpy(row->name, name, len <= ZIPENTRY_NAME_MAX ? len : 0);
	if (len == 0 || row->name[0] == '.' ||
	    strspn(row->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			      "._-") != len)
		return err_set(err, EX_DATAERR, "the ZIP has an entry whose name is not plain");
	return 0;
}

static int kind_check(const uint8_t *h, const char *name, struct err *err)
{
	uint32_t mode = le32_get(h + AT_ATTRIBUTES) >> 16;

	if (h[AT_SYSTEM] == SYSTEM_UNIX && mode & S_IFMT && !S_ISREG(mode))
		return err_set(err, EX_DATAERR, "%s is no file but a link or something else in the "
			       "ZIP", name);
	return 0;
}

/* The entry at h, of which left bytes are there. *ret_len: its own. */
static int row_take(const uint8_t *h, size_t left, struct row *row, size_t *ret_len,
		    struct err *err)
{
	size_t name_len, extra_len, len, count = 0;
	uint64_t *wide[3];

	if (left < CENTRAL_BYTES || le32_get(h) != CENTRAL_MAGIC)
		return damaged(err);
	name_len = le16_get(h + AT_NAME_LEN);
	extra_len = le16_get(h + AT_EXTRA_LEN);
	len = CENTRAL_BYTES + name_len + extra_len + le16_get(h + AT_COMMENT_LEN);
	if (len > left || le16_get(h + AT_DISK) != 0)
		return damaged(err);
	if (name_take(h + CENTRAL_BYTES, name_len, row, err) < 0 ||
	    kind_check(h, row->name, err) < 0)
		return -1;
	common_take(h + CENTRAL_COMMON, row);
	row->header = le32_get(h + AT_OFFSET);
	if (row->size == MEANS_ZIP64)
		wide[count++] = &row->size;
	if (row->packed == MEANS_ZIP64)
		wide[count++] = &row->packed;
	if (row->header == MEANS_ZIP64)
		wide[count++] = &row->header;
	if (count > 0 && !zip64_take(h + CENTRAL_BYTES + name_len, extra_len, wide, count))
		return damaged(err);
	*ret_len = len;
	return 0;
}

static struct row *row_find(const struct ziparchive *a, const char *name)
{
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->rows[i].name, name) == 0)
			return (struct row *)(uintptr_t)&a->rows[i];
	return NULL;
}

/* All of it, and nothing behind its last entry. */
static int directory_take(struct ziparchive *a, const uint8_t *data, const struct zipend *end,
			  struct err *err)
{
	size_t at = 0, len = 0;

	/* A tool that searches for the magic number might take another end record. */
	if (memmem(data, end->behind, "PK\5\6", 4))
		return err_set(err, EX_DATAERR, "the ZIP has a second end within its directory");
	for (; a->count < end->count; at += len) {
		struct row *row = &a->rows[a->count];

		if (row_take(data + at, end->size - at, row, &len, err) < 0)
			return -1;
		if (row_find(a, row->name))
			return err_set(err, EX_DATAERR, "two entries of the ZIP have the same name, "
				       "%s", row->name);
		a->count++;
	}
	return at == end->size ? 0 : damaged(err);
}

static struct source_range row_place(const struct ziparchive *a, const struct row *row, uint64_t content)
{
	uint64_t size = a->source->size, head = LOCAL_BYTES + strlen(row->name) + EXTRA_MAX;
	uint64_t offset = row->header < size ? row->header : size;

	content = content < size ? content : size;
	return (struct source_range){ offset, head + content < size - offset ? head + content
									     : size - offset };
}

/* Every entry's local header is read, and of most that are small the rest, too. */
static void rows_need(const struct ziparchive *a)
{
	struct source_range ranges[NEED_MAX];
	size_t count = 0;

	if (!a->source->need)
		return;
	for (size_t i = 0; i < a->count && count < NEED_MAX; i++) {
		const struct row *row = &a->rows[i];
		struct source_range r = row_place(a, row, row->size <= SMALL_BYTES ? row->size : 0);

		if (count == 0 || r.offset >= ranges[count - 1].offset)
			ranges[count++] = r;
	}
	a->source->need(a->source, ranges, count);
}

bool ziparchive_place(const struct ziparchive *archive, const char *name, struct source_range *ret_range)
{
	const struct row *row = row_find(archive, name);

	if (row)
		*ret_range = row_place(archive, row, row->size);
	return row != NULL;
}

int ziparchive_open(struct bundle_source *source, struct ziparchive **ret_archive, struct err *err)
{
	_cleanup_(ziparchive_closep) struct ziparchive *a = NULL;
	_cleanup_free_ uint8_t *data = NULL;
	struct zipend end;

	if (zipend_check(source, &end, err) < 0)
		return -1;
	a = calloc(1, sizeof *a + end.count * sizeof *a->rows);
	data = malloc(end.behind + 1);
	if (!a || !data)
		return no_memory(err);
	a->source = source;
	if (source->read(source, data, end.behind, end.offset, err) < 0 ||
	    directory_take(a, data, &end, err) < 0)
		return -1;
	rows_need(a);
	if (zipend_start_check(source, err) < 0)
		return -1;
	*ret_archive = a;
	a = NULL;
	return 0;
}

void ziparchive_close(struct ziparchive *archive)
{
	free(archive);
}

void ziparchive_closep(struct ziparchive **archive)
{
	ziparchive_close(*archive);
}

bool ziparchive_has(const struct ziparchive *archive, const char *name, uint64_t *ret_size)
{
	const struct row *row = row_find(archive, name);

	if (row && ret_size)
		*ret_size = row->size;
	return row != NULL;
}

/* --- an entry ---------------------------------------------------------------- */

static int row_check(const struct row *row, struct err *err)
{
	if (row->flags & FLAG_ENCRYPTED)
		return err_set(err, EX_DATAERR, "%s is encrypted", row->name);
	if (row->method != 0)
		return err_set(err, EX_DATAERR, "%s is compressed by method %u; a bundle's entries "
			       "are stored", row->name, row->method);
	if (row->flags & FLAG_DESCRIPTOR)
		return err_set(err, EX_DATAERR, "%s has its size behind it (a data descriptor) and "
			       "not in front", row->name);
	if (row->size == 0)
		return err_set(err, EX_DATAERR, "%s is empty", row->name);
	if (row->size != row->packed)
		return err_set(err, EX_DATAERR, "%s has sizes that cannot be true", row->name);
	return 0;
}

static int local_differs(const struct row *row, struct err *err)
{
	return err_set(err, EX_DATAERR, "%s has a local header that disagrees with the ZIP's "
		       "directory", row->name);
}

/* The name and the extra fields behind a local header, and where the data begins. */
static int local_take(const struct ziparchive *a, const struct row *row, const uint8_t *h,
		      struct row *local, uint64_t *ret_data, struct err *err)
{
	uint64_t *const wide[] = { &local->size, &local->packed };
	size_t name_len = le16_get(h + AT_LOCAL_NAME_LEN), extra_len = le16_get(h + AT_LOCAL_EXTRA_LEN);
	uint8_t rest[ZIPENTRY_NAME_MAX + EXTRA_MAX];

	if (name_len != strlen(row->name) || extra_len > EXTRA_MAX)
		return local_differs(row, err);
	if (a->source->read(a->source, rest, name_len + extra_len, row->header + LOCAL_BYTES, err) < 0)
		return -1;
	if (memcmp(rest, row->name, name_len) != 0)
		return local_differs(row, err);
	memcpy(local->name, row->name, sizeof local->name);
	common_take(h + LOCAL_COMMON, local);
	if ((local->size == MEANS_ZIP64 || local->packed == MEANS_ZIP64) &&
	    !zip64_take(rest + name_len, extra_len, wide, 2))
		return err_set(err, EX_DATAERR, "%s has no size in its local header", row->name);
	*ret_data = row->header + LOCAL_BYTES + name_len + extra_len;
	return 0;
}

static int local_check(const struct ziparchive *a, const struct row *row, uint64_t *ret_data,
		       struct err *err)
{
	uint8_t h[LOCAL_BYTES];
	struct row local;

	if (a->source->read(a->source, h, sizeof h, row->header, err) < 0)
		return -1;
	if (le32_get(h) != LOCAL_MAGIC)
		return err_set(err, EX_DATAERR, "%s has no local header", row->name);
	if (local_take(a, row, h, &local, ret_data, err) < 0 || row_check(&local, err) < 0)
		return -1;
	if (local.size != row->size || local.crc != row->crc)
		return local_differs(row, err);
	if (row->size > a->source->size - *ret_data)
		return err_set(err, EX_DATAERR, "%s does not fit the ZIP: it is truncated",
			       row->name);
	return 0;
}

/* Different tools would read different contents from the same bytes. */
static int overlap_check(const struct ziparchive *a, const struct row *row, uint64_t behind,
			 struct err *err)
{
	for (const struct row *r = a->rows; r < a->rows + a->count; r++)
		if (r != row && row->header < r->behind && r->header < behind)
			return err_set(err, EX_DATAERR, "%s and %s overlap in the ZIP", row->name,
				       r->name);
	return 0;
}

int ziparchive_find(struct ziparchive *archive, const char *name, struct zipentry *ret_entry,
		    struct err *err)
{
	struct row *row = row_find(archive, name);
	uint64_t data = 0;

	if (!row)
		return 0;
	if (row_check(row, err) < 0 || local_check(archive, row, &data, err) < 0 ||
	    overlap_check(archive, row, data + row->size, err) < 0)
		return -1;
	row->behind = data + row->size;
	*ret_entry = (struct zipentry){ data, row->size, row->crc, row->header == 0 };
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
