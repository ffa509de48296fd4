/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as db or dbx. Each entry lies within them, is not empty, and is read. */
#include "fuzz.h"

#include "siglist.h"

#include <stdlib.h>
#include <string.h>

static void touch(const uint8_t *bytes, size_t size, const uint8_t *data, size_t len)
{
	volatile uint8_t sum = 0;

	if (len == 0 || data < bytes || data + len > bytes + size)
		abort();
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + data[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);
	struct siglist list;

	if (!bytes)
		abort();
	memcpy(bytes, data, size);
	if (siglist_parse("db", bytes, size, &list, NULL) < 0)
		return 0;
	for (size_t i = 0; i < list.count; i++) {
		const struct siglist_entry *e = &list.entries[i];

		if (e->kind >= SIGLIST_KINDS)
			abort();
		touch(bytes, size, e->data, e->len);
		if (e->time)
			touch(bytes, size, e->time, SIGLIST_TIME_BYTES);
	}
	fuzz_taken = list.count > 0;
	siglist_clear(&list);
	return 0;
}
