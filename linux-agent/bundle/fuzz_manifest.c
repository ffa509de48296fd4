/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as manifest.json; what parses must survive a round trip. */
#include "fuzz.h"

#include "manifest.h"
#include "version_compare.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest *m, *again;
	struct err err = { 0 };
	char *text;

	if (manifest_parse(data, size, &m, &err) < 0)
		return 0;
	if (manifest_format(m, &text, &err) < 0 ||
	    manifest_parse((const uint8_t *)text, strlen(text), &again, &err) < 0 ||
	    again->payload_count != m->payload_count ||
	    version_compare(again->version, m->version) != 0)
		abort();
	fuzz_taken = true;
	free(text);
	manifest_free(m);
	manifest_free(again);
	return 0;
}
