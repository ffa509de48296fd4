/* SPDX-License-Identifier: MIT */
#include "ziplocal.h"

#include "bytes.h"

#include <string.h>

enum { HEADER_BYTES = 30, AT_FLAGS = 6, AT_METHOD = 8, AT_CRC = 14, AT_PACKED = 18, AT_SIZE = 22,
       AT_NAME_LEN = 26, AT_EXTRA_LEN = 28 };
enum { FLAG_ENCRYPTED = 1 << 0, FLAG_DESCRIPTOR = 1 << 3 };
enum { EXTRA_ZIP64 = 1 };

#define LOCAL_MAGIC 0x04034b50u
#define MEANS_ZIP64 0xffffffffu

/* APPNOTE 4.5.3: both sizes, the unpacked one first. */
static bool zip64_sizes(const uint8_t *extra, size_t len, uint64_t *ret_size,
			uint64_t *ret_packed)
{
	for (size_t at = 0; len - at >= 4;) {
		uint16_t id = le16_get(extra + at), n = le16_get(extra + at + 2);

		at += 4;
		if (n > len - at)
			return false;
		if (id == EXTRA_ZIP64 && n >= 16) {
			*ret_size = le64_get(extra + at);
			*ret_packed = le64_get(extra + at + 8);
			return true;
		}
		at += n;
	}
	return false;
}

static int sizes_take(const uint8_t *header, const uint8_t *extra, size_t extra_len,
		      struct ziplocal *local, struct err *err)
{
	uint64_t size = le32_get(header + AT_SIZE), packed = le32_get(header + AT_PACKED);

	if ((size == MEANS_ZIP64 || packed == MEANS_ZIP64) &&
	    !zip64_sizes(extra, extra_len, &size, &packed))
		return err_set(err, EX_DATAERR, "%s has no size in its local header",
			       local->name);
	if (size != packed || size > INT64_MAX - local->data)
		return err_set(err, EX_DATAERR, "%s has sizes in its local header that cannot be "
			       "true", local->name);
	local->size = size;
	local->next = local->data + size;
	return 0;
}

static int kind_check(const uint8_t *header, const char *name, struct err *err)
{
	uint16_t flags = le16_get(header + AT_FLAGS), method = le16_get(header + AT_METHOD);

	if (flags & FLAG_ENCRYPTED)
		return err_set(err, EX_DATAERR, "%s is encrypted", name);
	if (method != 0)
		return err_set(err, EX_DATAERR, "%s is compressed by method %u; a bundle's entries "
			       "are stored", name, method);
	if (flags & FLAG_DESCRIPTOR)
		return err_set(err, EX_DATAERR, "%s has its size behind it (a data descriptor) and "
			       "not in front", name);
	return 0;
}

static int header_take(struct bundle_source *source, uint64_t offset,
		       const uint8_t header[HEADER_BYTES], struct ziplocal *local, struct err *err)
{
	size_t name_len = le16_get(header + AT_NAME_LEN);
	size_t extra_len = le16_get(header + AT_EXTRA_LEN);
	uint8_t extra[ZIPLOCAL_EXTRA_MAX];

	if (name_len == 0 || name_len > ZIPLOCAL_NAME_MAX || extra_len > ZIPLOCAL_EXTRA_MAX)
		return err_set(err, EX_DATAERR, "a local header of the ZIP is damaged");
	if (source->read(source, local->name, name_len, offset + HEADER_BYTES, err) < 0 ||
	    (extra_len > 0 && source->read(source, extra, extra_len,
					   offset + HEADER_BYTES + name_len, err) < 0))
		return -1;
	local->name[name_len] = 0;
	local->crc = le32_get(header + AT_CRC);
	local->header = offset;
	local->data = offset + HEADER_BYTES + name_len + extra_len;
	if (strlen(local->name) != name_len)
		return err_set(err, EX_DATAERR, "a name in the ZIP is damaged");
	if (kind_check(header, local->name, err) < 0)
		return -1;
	return sizes_take(header, extra, extra_len, local, err);
}

int ziplocal_read(struct bundle_source *source, uint64_t offset, struct ziplocal *ret_local,
		  struct err *err)
{
	uint8_t header[HEADER_BYTES];
	struct ziplocal local;

	if (offset > INT64_MAX ||
	    source->read(source, header, sizeof header, offset, err) < 0)
		return offset > INT64_MAX ? err_set(err, EX_DATAERR, "the ZIP is damaged") : -1;
	if (le32_get(header) != LOCAL_MAGIC)
		return err_set(err, EX_DATAERR, offset == 0 ? "it is not a ZIP file"
			       : "an entry of the ZIP has no local header");
	if (header_take(source, offset, header, &local, err) < 0)
		return -1;
	*ret_local = local;
	return 0;
}

int ziplocal_find(struct bundle_source *source, uint64_t data, const char *name,
		  struct ziplocal *ret_local, struct err *err)
{
	uint8_t before[HEADER_BYTES + ZIPLOCAL_NAME_MAX + ZIPLOCAL_EXTRA_MAX];
	size_t len = HEADER_BYTES + strlen(name), most = len + ZIPLOCAL_EXTRA_MAX;

	if (strlen(name) > ZIPLOCAL_NAME_MAX)
		return err_set(err, EX_DATAERR, "a name in the ZIP is too long");
	if (most > data)
		most = (size_t)data;
	if (source->read(source, before, most, data - most, err) < 0)
		return -1;
	for (; len <= most; len++) {
		const uint8_t *header = before + most - len;

		if (le32_get(header) != LOCAL_MAGIC ||
		    le16_get(header + AT_NAME_LEN) != strlen(name) ||
		    memcmp(header + HEADER_BYTES, name, strlen(name)) != 0 ||
		    le16_get(header + AT_EXTRA_LEN) != len - HEADER_BYTES - strlen(name))
			continue;
		return ziplocal_read(source, data - len, ret_local, err);
	}
	return err_set(err, EX_DATAERR, "%s has a local header that disagrees with the ZIP's "
		       "directory", name);
}
