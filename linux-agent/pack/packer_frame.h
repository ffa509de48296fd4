/* SPDX-License-Identifier: MIT */
/*
 * What the parts of packer.h share: reading the payload, one zstd frame, messages.
 */
#pragma once

#include "packer.h"

#include <openssl/evp.h>

/* Reads exactly len bytes at offset; the payload being shorter now is EX_DATAERR. */
int packer_read(const struct packer *packer, uint64_t offset, void *buf, size_t len,
		struct err *err);

/* Reads chunk i into a buffer of 1 << chunk_log bytes and checks it against the index. */
int packer_chunk_read(const struct packer *packer, uint64_t i, void *buf, struct err *err);

int packer_changed(const struct packer *packer, struct err *err);
int packer_no_memory(struct err *err);
int packer_write(FILE *out, const void *data, size_t len, struct err *err);
void packer_step(const struct packer *packer, const char *what);
void packer_progress(const struct packer *packer, uint64_t parts);

/* A buffer for frames that is made larger when needed. */
struct packer_buffer {
	uint8_t *data;
	size_t len, cap;
};

void packer_buffer_clear(struct packer_buffer *buffer);

/* Makes room for `more` bytes behind buffer->len. */
int packer_buffer_grow(struct packer_buffer *buffer, size_t more, struct err *err);

/* Numbers of chunks, to be found by their SHA-256. */
struct packer_table {
	uint32_t *at;		/* PACKER_NOWHERE: free */
	uint32_t size;
};

#define PACKER_NOWHERE UINT32_MAX

/* For so many chunks, 1 to CHUNKS_MAX; none is in it. The caller frees ret_table->at. */
int packer_table_make(uint32_t count, struct packer_table *ret_table, struct err *err);

/* Where the number of a chunk with this digest is in the table, or would be. */
uint32_t *packer_table_find(const struct packer_table *table, const struct chunk *chunks,
			    const uint8_t sha256[32]);

/* What the decoder has, too; either may be NULL. */
struct packer_aid {
	const void *prefix;
	size_t prefix_len;
	const void *dictionary;
	size_t dictionary_len;
};

/* Compresses src into one frame, with its size and neither checksum nor dictionary id in its
 * header, and appends it to out; decodes it again and compares. */
int packer_frame(int level, const struct packer_aid *aid, const void *src, size_t len,
		 struct packer_buffer *out, struct err *err);

/* --- packer_blocks.c -------------------------------------------------------- */

/* Trains packer->dictionary, if the payload is fit for one. */
int packer_dictionary(struct packer *packer, struct err *err);

/* How many bytes of an id the payload's block index has. */
unsigned packer_id_bytes(uint64_t blocks);

struct packer_blocks;	/* what the blocks of all chunks share */
int packer_blocks_new(const struct packer *packer, struct packer_blocks **ret_blocks, struct err *err);
void packer_blocks_free(struct packer_blocks *blocks);	/* NULL is accepted */

/* Appends a frame for each block of these len bytes to out, decoded again and compared, and
 * gives their lengths. */
int packer_blocks_frames(const struct packer_blocks *blocks, const uint8_t *chunk, size_t len,
			 struct packer_buffer *out, uint16_t *ret_lengths, struct err *err);

/* --- packer_reuse.c --------------------------------------------------------- */

/* packer->dictionary becomes a copy of the one that the frames were made with, if there is one. */
int packer_reuse_dictionary(const struct packer_reuse *reuse, struct packer *packer, struct err *err);

/* Appends the frames for this chunk to out: true where there are some that decode to it. lengths: of
 * its blocks, where *ret_blocks. From several threads; out of memory is false. */
bool packer_reuse_frames(struct packer_reuse *reuse, const uint8_t sha256[32], const uint8_t *chunk,
			 uint32_t len, struct packer_buffer *out, uint16_t *ret_lengths, bool *ret_blocks);
