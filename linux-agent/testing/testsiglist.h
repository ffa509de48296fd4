/* SPDX-License-Identifier: MIT */
/* For tests: EFI_SIGNATURE_LISTs made by hand, from the GUIDs as the specification prints them. */
#pragma once

#include "bytes.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUID_SHA1 "826ca512-cf10-4ac9-b187-be01496631bd"
#define GUID_SHA256 "c1c41626-504c-4092-aca9-41f936934328"
#define GUID_SHA384 "ff3e5307-9fd0-48c9-85f1-8ad56c701e01"
#define GUID_SHA512 "093e0fae-a6c4-4f50-9f1b-d41e2b89c19a"
#define GUID_X509 "a5c059a1-94e4-4aa7-87b5-ab155c2bf072"
#define GUID_X509_SHA256 "3bd2a492-96c0-4079-b420-fcf98ef103ed"
#define GUID_X509_SHA384 "7076876e-80c2-4ee6-aad2-28b349a6865b"
#define GUID_X509_SHA512 "446dbf63-2502-4cda-bcfa-2465d2b0fe9d"
#define GUID_RSA2048 "3c5766e8-269c-4e34-aa14-ed776e85b3b6"

struct testlists {
	uint8_t bytes[8192];
	size_t len;
};

static inline void testlists_guid(const char *text, uint8_t out[16])
{
	unsigned a, b, c, d[8];

	if (sscanf(text, "%8x-%4x-%4x-%2x%2x-%2x%2x%2x%2x%2x%2x", &a, &b, &c, &d[0], &d[1], &d[2],
		   &d[3], &d[4], &d[5], &d[6], &d[7]) != 11)
		abort();
	le32_put(out, a);
	le16_put(out + 4, (uint16_t)b);
	le16_put(out + 6, (uint16_t)c);
	for (int i = 0; i < 8; i++)
		out[8 + i] = (uint8_t)d[i];
}

/* A list of count signatures of len bytes each, one behind the other in data. Returns the
 * list, for a test to damage. */
static inline uint8_t *testlists_add(struct testlists *lists, const char *type, const void *data,
				     size_t len, unsigned count)
{
	uint8_t *list = lists->bytes + lists->len;
	size_t size = 28 + count * (16 + len);

	if (size > sizeof lists->bytes - lists->len)
		abort();
	testlists_guid(type, list);
	le32_put(list + 16, (uint32_t)size);
	le32_put(list + 20, 0);
	le32_put(list + 24, (uint32_t)(16 + len));
	for (unsigned i = 0; i < count; i++) {
		memset(list + 28 + i * (16 + len), 0xee, 16);
		memcpy(list + 28 + i * (16 + len) + 16, (const uint8_t *)data + i * len, len);
	}
	lists->len += size;
	return list;
}
