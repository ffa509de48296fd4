/* SPDX-License-Identifier: MIT */
#include "siglist.h"

#include "bytes.h"
#include "io.h"

#include <stdbool.h>
#include <string.h>

enum {
	GUID = 16,
	AT_LIST_SIZE = 16,
	AT_HEADER_SIZE = 20,
	AT_SIGNATURE_SIZE = 24,
	HEADER = 28,
	ANY = 0,
};

/* EFI_CERT_*_GUID, as they are stored; data: bytes behind the owner. */
static const struct type {
	uint8_t guid[GUID];
	enum siglist_kind kind;
	size_t data, digest;
} types[] = {
	{ { 0x12, 0xa5, 0x6c, 0x82, 0x10, 0xcf, 0xc9, 0x4a, 0xb1, 0x87, 0xbe, 0x01, 0x49, 0x66, 0x31, 0xbd },
	  SIGLIST_SHA1, 20, 20 },
	{ { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 },
	  SIGLIST_SHA256, 32, 32 },
	{ { 0x07, 0x53, 0x3e, 0xff, 0xd0, 0x9f, 0xc9, 0x48, 0x85, 0xf1, 0x8a, 0xd5, 0x6c, 0x70, 0x1e, 0x01 },
	  SIGLIST_SHA384, 48, 48 },
	{ { 0xae, 0x0f, 0x3e, 0x09, 0xc4, 0xa6, 0x50, 0x4f, 0x9f, 0x1b, 0xd4, 0x1e, 0x2b, 0x89, 0xc1, 0x9a },
	  SIGLIST_SHA512, 64, 64 },
	{ { 0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72 },
	  SIGLIST_X509, ANY, ANY },
	{ { 0x92, 0xa4, 0xd2, 0x3b, 0xc0, 0x96, 0x79, 0x40, 0xb4, 0x20, 0xfc, 0xf9, 0x8e, 0xf1, 0x03, 0xed },
	  SIGLIST_X509_SHA256, 32 + SIGLIST_TIME_BYTES, 32 },
	{ { 0x6e, 0x87, 0x76, 0x70, 0xc2, 0x80, 0xe6, 0x4e, 0xaa, 0xd2, 0x28, 0xb3, 0x49, 0xa6, 0x86, 0x5b },
	  SIGLIST_X509_SHA384, 48 + SIGLIST_TIME_BYTES, 48 },
	{ { 0x63, 0xbf, 0x6d, 0x44, 0x02, 0x25, 0xda, 0x4c, 0xbc, 0xfa, 0x24, 0x65, 0xd2, 0xb0, 0xfe, 0x9d },
	  SIGLIST_X509_SHA512, 64 + SIGLIST_TIME_BYTES, 64 },
};

static const struct type other = { .kind = SIGLIST_OTHER };

static const struct type *type_find(const uint8_t *guid)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (memcmp(types[i].guid, guid, GUID) == 0)
			return &types[i];
	return &other;
}

static bool add(struct siglist *list, const struct type *type, const uint8_t *data, size_t len)
{
	struct siglist_entry *more;

	/* Powers of two: the count alone says how much room there is. */
	if ((list->count & (list->count - 1)) == 0) {
		more = realloc(list->entries, (list->count ? 2 * list->count : 1) * sizeof *more);
		if (!more)
			return false;
		list->entries = more;
	}
	list->entries[list->count++] = (struct siglist_entry){
		.kind = type->kind, .data = data, .len = type->digest ? type->digest : len,
		.time = type->data > type->digest ? data + type->digest : NULL,
	};
	return true;
}

/* One list, of all the bytes that are left; *ret_size: its own. */
static int list_parse(const char *name, const uint8_t *at, size_t left, struct siglist *list,
		      size_t *ret_size, struct err *err)
{
	size_t size, header, each, body;
	const struct type *type;

	if (left < HEADER)
		return err_set(err, EX_DATAERR, "%s ends within a signature list", name);
	size = le32_get(at + AT_LIST_SIZE);
	header = le32_get(at + AT_HEADER_SIZE);
	each = le32_get(at + AT_SIGNATURE_SIZE);
	if (size < HEADER || size > left || header > size - HEADER)
		return err_set(err, EX_DATAERR, "%s has a signature list of %zu bytes with a header of %zu, "
			       "where %zu are left", name, size, header, left);
	type = type_find(at);
	body = size - HEADER - header;
	if (each <= GUID || body % each != 0 || (type->data && each != GUID + type->data))
		return err_set(err, EX_DATAERR, "%s has a signature list of %zu bytes whose signatures have "
			       "%zu each, which cannot be", name, body, each);
	if (body / each > SIGLIST_MAX_ENTRIES - list->count)
		return err_set(err, EX_DATAERR, "%s has more than %d signatures", name,
			       SIGLIST_MAX_ENTRIES);
	for (size_t done = 0; done < body; done += each)
		if (!add(list, type, at + HEADER + header + done + GUID, each - GUID))
			return err_set(err, EX_SOFTWARE, "failed to read %s: out of memory", name);
	*ret_size = size;
	return 0;
}

int siglist_parse(const char *name, uint8_t *bytes, size_t len, struct siglist *ret_list,
		  struct err *err)
{
	struct siglist list = { .bytes = bytes };
	size_t size = 0;
	int r = 0;

	if (len > SIGLIST_MAX_BYTES)
		r = err_set(err, EX_DATAERR, "%s has %zu bytes, which is more than %d", name, len,
			    SIGLIST_MAX_BYTES);
	for (size_t at = 0; r == 0 && at < len; at += size)
		r = list_parse(name, bytes + at, len - at, &list, &size, err);
	if (r < 0)
		siglist_clear(&list);
	else
		*ret_list = list;
	return r;
}

void siglist_clear(struct siglist *list)
{
	free(list->bytes);
	free(list->entries);
	*list = (struct siglist){ 0 };
}
