/* SPDX-License-Identifier: MIT */
/* Any bytes as UTF-8 and as UTF-16: what is read as a code point is written as the same bytes. */
#include "fuzz.h"

#include "utf.h"

#include <stdlib.h>
#include <string.h>

static void again(const uint8_t *text, size_t len, uint32_t code, size_t (*put)(uint8_t *, uint32_t))
{
	uint8_t out[4];

	if (put(out, code) != len || memcmp(out, text, len) != 0)
		abort();
	fuzz_taken |= code > 0x7f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t code;

	for (size_t i = 0, n; i < size; i += n ? n : 1) {
		n = utf8_get(data + i, size - i, &code);
		if (n > 0)
			again(data + i, n, code, utf8_put);
	}
	for (size_t i = 0, n; i < size; i += n ? n : 1) {
		n = utf16_get(data + i, size - i, &code);
		if (n > 0)
			again(data + i, n, code, utf16_put);
	}
	return 0;
}
