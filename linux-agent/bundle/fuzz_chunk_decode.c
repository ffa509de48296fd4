/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as the frames of a chunk. In front: two bytes with what the chunk holds less one, and
 * one that says whether there is a dictionary (odd). */
#include "fuzz.h"

#include "bytes.h"
#include "chunk_decode.h"
#include "chunkindex.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 3, ROOM = 1 << CHUNK_MIN_LOG };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char words[] = "the dictionary of this fuzz target is no more than a text";
	static uint8_t first[ROOM], again[ROOM];
	struct chunk_decode *code = chunk_decode_new();
	struct chunkdict *dict = NULL;
	struct chunk chunk = { .blocks = true };
	size_t len;

	if (!code || chunkdict_new("words", words, sizeof words, &dict, NULL) < 0)
		abort();
	if (size > HEAD && size < ROOM) {
		const struct chunkdict *with = data[2] & 1 ? dict : NULL;

		len = (size_t)le16_get(data) + 1;
		chunk.frame = (uint32_t)(size - HEAD);
		fuzz_taken = chunk_decode_chunk(code, with, &chunk, data + HEAD, first, len);
		/* Up to a block there is one frame, either way. */
		chunk.blocks = len > BLOCK_BYTES;
		if (chunk_decode_chunk(code, with, &chunk, data + HEAD, again, len) != fuzz_taken ||
		    (fuzz_taken && memcmp(first, again, len) != 0))
			abort();
	}
	chunkdict_free(dict);
	chunk_decode_free(code);
	return 0;
}
