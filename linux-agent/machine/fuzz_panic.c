/* SPDX-License-Identifier: MIT */
/* Any bytes as a record of pstore: the words are one clean line. */
#include "fuzz.h"

#include "panic.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char words[PANIC_WORDS_BYTES];

	if (!panic_find((const char *)data, size, words))
		return 0;
	if (!memchr(words, 0, sizeof words) || strpbrk(words, "\n\r\033"))
		abort();
	fuzz_taken |= *words != 0;
	return 0;
}
