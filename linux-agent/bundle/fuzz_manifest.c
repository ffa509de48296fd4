/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as manifest.json; what parses must survive a round trip. */
#include "fuzz.h"

#include "manifest.h"
#include "version_compare.h"

#include <stdlib.h>
#include <string.h>

/* Names that an install removes and writes by: in one directory, seen by the stub, one payload each. */
static void beside_check(const struct manifest *m)
{
	for (size_t i = 0; i < 2 * m->payload_count; i++) {
		const struct payload *p = &m->payloads[i / 2];
		const char *name = manifest_beside(p, i % 2);

		if (name && (strchr(name, '/') || *name == '.' || strlen(name) > 128 ||
			     manifest_beside_find(m, i % 2, name) != p))
			abort();
	}
}

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
	beside_check(m);
	fuzz_taken = true;
	free(text);
	manifest_free(m);
	manifest_free(again);
	return 0;
}
