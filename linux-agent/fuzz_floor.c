/* SPDX-License-Identifier: MIT */
/* Any bytes as the rollback floor: never read past, and what is taken for a version is
 * one. */
#include "fuzz.h"

#include "floor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct floor floor;

	if (!floor_decode(data, len, &floor))
		return 0;
	fuzz_taken = *floor.version != 0;
	if (strlen(floor.version) > FLOOR_VERSION_MAX)
		abort();
	for (const char *p = floor.version; *p; p++)
		if (*p <= 0x20 || *p >= 0x7f)
			abort();
	if ((floor.held[0] || floor.held[1]) != (*floor.version != 0))
		abort();
	return 0;
}
