/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as a signed PE image. */
#include "fuzz.h"

#include "authenticode.h"

#include <stdlib.h>
#include <string.h>

static enum sb_error data_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	memcpy(buf, (const uint8_t *)ctx + offset, len);	/* ASan watches the bounds */
	return SB_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pe_source source = { .ctx = (void *)(uintptr_t)data, .size = size,
				    .read = data_read };
	struct authenticode a;

	if (authenticode_read(&source, &a, NULL) < 0 || a.key_count > AUTHENTICODE_MAX_KEYS)
		abort();
	fuzz_taken = a.state == AUTHENTICODE_SIGNED;
	return 0;
}
