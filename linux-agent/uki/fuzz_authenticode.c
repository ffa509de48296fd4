/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as a signed PE image, for the kernel and for the firmware. */
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
	struct authenticode_table *table = malloc(sizeof *table);
	struct authenticode a;

	if (!table || authenticode_read(&source, &a, NULL) < 0 || a.key_count > AUTHENTICODE_MAX_KEYS)
		abort();
	/* Where the table is whole, its first entry is what the kernel looks at, if it is of that type. */
	if (authenticode_table_read(&source, table, NULL) < 0 ||
	    (a.state == AUTHENTICODE_SIGNED && table->state == AUTHENTICODE_SIGNED &&
	     table->entries[0].signature.state != AUTHENTICODE_SIGNED))
		abort();
	authenticode_table_clear(table);
	free(table);
	fuzz_taken = a.state == AUTHENTICODE_SIGNED;
	return 0;
}
