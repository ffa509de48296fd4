/* SPDX-License-Identifier: MIT */
/* Any bytes as quirks.json: what is taken is in range, and comes back from what is written. */
#include "fuzz.h"

#include "quirks.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct quirks quirks, again;
	char *json = NULL;

	quirks_parse(data, len, &quirks);
	for (unsigned thing = 0; thing < QUIRK_COUNT; thing++) {
		if (quirks.of[thing].undone > QUIRKS_UNDONE_MAX)
			abort();
		fuzz_taken = fuzz_taken || *quirks.of[thing].boot_id;
	}
	if (quirks_format(&quirks, &json, NULL) < 0)
		abort();
	quirks_parse((const uint8_t *)json, strlen(json), &again);
	if (memcmp(&quirks, &again, sizeof quirks) != 0)
		abort();
	free(json);
	return 0;
}
