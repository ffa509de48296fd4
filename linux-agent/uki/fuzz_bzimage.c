/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as the start of a kernel. */
#include "fuzz.h"

#include "bzimage.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bzimage image;

	bzimage_parse(data, size, &image);
	if (image.format > BZIMAGE_ZBOOT || image.setup_bytes > 256 * 512)
		abort();
	fuzz_taken = image.format != BZIMAGE_UNKNOWN;
	return 0;
}
