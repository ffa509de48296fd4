/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as the start of a kernel. */
#include "fuzz.h"

#include "kernel_image.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kernel_image image;

	kernel_image_parse(data, size, &image);
	if (image.format > KERNEL_IMAGE_ZBOOT || image.setup_bytes > 256 * 512)
		abort();
	fuzz_taken = image.format != KERNEL_IMAGE_UNKNOWN;
	return 0;
}
