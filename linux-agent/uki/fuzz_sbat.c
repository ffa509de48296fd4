/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as a .sbat section, and as the level. What is read of them is not
 * below itself. */
#include "fuzz.h"

#include "sbat.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct sbat sbat, level;
	unsigned wanted;

	if (sbat_parse(".sbat", text, size, &sbat, NULL) < 0)
		return 0;
	fuzz_taken = sbat.count > 0;
	for (size_t i = 0; i < sbat.count; i++) {
		const struct sbat_entry *e = &sbat.entries[i];

		if (e->generation == 0 || e->generation > 65535 || e->name_len == 0 || e->name < text ||
		    e->name + e->name_len >= text + size)
			abort();
	}
	/* Of a name that is there twice the lower generation counts. */
	level = sbat;
	for (size_t i = 0; i < level.count; i++)
		level.entries[i].generation = 1;
	if (sbat_revoked(&sbat, &level, &wanted))
		abort();
	return 0;
}
