/* SPDX-License-Identifier: MIT */
#include "zstd_seekable.h"

#include "bytes.h"
#include "io.h"

enum { HEADER = 8, ROW = 8, FOOTER = 9 };

static const uint32_t skippable_magic = 0x184D2A5E, seekable_magic = 0x8F92EAB1;

size_t zstd_seekable_table_size(const struct chunkindex *index)
{
	return HEADER + (size_t)index->count * ROW + FOOTER;
}

int zstd_seekable_table_make(const struct chunkindex *index, uint8_t **ret_table, size_t *ret_len,
			     struct err *err)
{
	size_t len = zstd_seekable_table_size(index);
	uint8_t *table = calloc(1, len), *row;

	if (!table)
		return err_set(err, EX_SOFTWARE, "failed to make a seek table: out of memory");
	le32_put(table, skippable_magic);
	le32_put(table + 4, (uint32_t)(len - HEADER));
	row = table + HEADER;
	for (uint32_t i = 0; i < index->count; i++, row += ROW) {
		le32_put(row, index->chunks[i].frame);
		le32_put(row + 4, chunkindex_length(index, i));
	}
	le32_put(row, index->count);
	le32_put(row + 5, seekable_magic);
	*ret_table = table;
	*ret_len = len;
	return 0;
}
