/* SPDX-License-Identifier: MIT */
/* Any bytes as GTDT, with and without a checksum made good: what is found are two
 * pages that do not begin at 0. */
#include "fuzz.h"

#include "bytes.h"
#include "gwdt.h"

#include <stdlib.h>
#include <string.h>

static void check(const uint8_t *data, size_t size)
{
	struct gwdt gwdt;

	if (gwdt_parse(data, size, &gwdt) != SB_OK)
		return;
	fuzz_taken = true;
	if (gwdt.refresh == 0 || gwdt.control == 0 ||
	    (gwdt.refresh | gwdt.control) % GWDT_FRAME_BYTES != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *sealed, sum = 0;

	check(data, size);
	if (size < 96)
		return 0;
	sealed = malloc(size);
	if (!sealed)
		return 0;
	memcpy(sealed, data, size);
	memcpy(sealed, "GTDT", 4);
	le32_put(sealed + 4, (uint32_t)size);
	sealed[9] = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + sealed[i]);
	sealed[9] = (uint8_t)-sum;
	check(sealed, size);
	free(sealed);
	return 0;
}
