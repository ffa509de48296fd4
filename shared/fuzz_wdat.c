/* SPDX-License-Identifier: MIT */
/* Any bytes as WDAT table, with and without a checksum made good: no access but to
 * what the table may name, in a width that there is. Registers hold the bytes. */
#include "fuzz.h"

#include "bytes.h"
#include "wdat.h"

#include <stdlib.h>
#include <string.h>

struct registers {
	uint8_t next;
	unsigned accesses;
};

static void access_check(struct registers *r, enum wdat_space space, uint64_t address,
			 unsigned width)
{
	if (width != 8 && width != 16 && width != 32)
		abort();
	if (space != WDAT_MEMORY && (space != WDAT_PORT || address + width / 8 > 0x10000))
		abort();
	if (address == 0 || address + (width / 8 - 1) < address)
		abort();
	if (++r->accesses > 2 * WDAT_ENTRIES_MAX * 64)
		abort();
}

static bool register_read(void *ctx, enum wdat_space space, uint64_t address, unsigned width,
			  uint32_t *ret_value)
{
	struct registers *r = ctx;

	access_check(r, space, address, width);
	r->next = (uint8_t)(r->next * 5 + 1);
	*ret_value = r->next * 0x01010101u >> (32 - width);
	return r->next != 0;
}

static bool register_write(void *ctx, enum wdat_space space, uint64_t address, unsigned width,
			   uint32_t value)
{
	access_check(ctx, space, address, width);
	if (width < 32 && value >> width)
		abort();
	return true;
}

static void check(const uint8_t *data, size_t size)
{
	struct registers r = { .next = size > 0 ? data[size - 1] : 0 };
	struct wdat_ops ops = { &r, register_read, register_write };
	struct wdat wdat;

	if (wdat_parse(data, size, &wdat) != SB_OK)
		return;
	fuzz_taken = true;
	for (unsigned action = 0; action < 64; action++)
		(void)wdat_run(&wdat, &ops, (enum wdat_action)action,
			       wdat_counts(&wdat, action * 1024), NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *sealed;
	uint32_t length;

	check(data, size);
	if (size < 68)
		return 0;
	sealed = malloc(size);
	if (!sealed)
		return 0;
	memcpy(sealed, data, size);
	memcpy(sealed, "WDAT", 4);
	le32_put(sealed + 4, (uint32_t)size);
	sealed[9] = 0;
	length = 0;
	for (size_t i = 0; i < size; i++)
		length += sealed[i];
	sealed[9] = (uint8_t)(0 - length);
	check(sealed, size);
	free(sealed);
	return 0;
}
