/* SPDX-License-Identifier: MIT */
/* The chunk index of any bytes, in chunks of 1 << log; for tests, fuzz targets and bench/. */
#pragma once

#include "chunkindex.h"

#include <openssl/sha.h>
#include <stdlib.h>

/* size at least 1; smaller chunks than a bundle's are fine where nobody decodes the index.
 * The caller clears. */
static inline void testindex_make(struct chunkindex *index, unsigned log, const uint8_t *bytes,
				  size_t size)
{
	*index = (struct chunkindex){ .chunk_log = log, .size = size };
	index->count = (uint32_t)chunkindex_parts(size, log);
	index->chunks = calloc(index->count, sizeof *index->chunks);
	if (!index->chunks)
		abort();
	for (uint32_t i = 0; i < index->count; i++) {
		(void)SHA256(bytes + ((size_t)i << log), chunkindex_length(index, i),
			     index->chunks[i].sha256);
		index->chunks[i].frame = 1;
	}
}
