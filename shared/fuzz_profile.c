/* SPDX-License-Identifier: MIT */
/* Any bytes as the text of a .profile; and what is taken for a slot's is taken again
 * where its lines come last. */
#include "fuzz.h"

#include "profile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char more[] = "\nID=slot-b\n";
	size_t len = strnlen((const char *)data, size);
	int slot = profile_slot(data, size);
	uint8_t *longer;

	if (slot < -1 || slot > 1)
		abort();
	fuzz_taken |= slot >= 0;
	longer = malloc(len + sizeof more);
	if (!longer)
		return 0;
	memcpy(longer, data, len);
	memcpy(longer + len, more, sizeof more);
	if (profile_slot(longer, len + sizeof more) != 1)
		abort();
	free(longer);
	return 0;
}
