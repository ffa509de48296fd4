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

/* Compresses src into one frame, with its size and no checksum in its header, and appends
 * it to out; decodes it again and compares. prefix may be NULL. */
int packer_frame(int level, const void *prefix, size_t prefix_len, const void *src, size_t len,
		 struct packer_buffer *out, struct err *err);

/* Makes room for `more` bytes behind buffer->len. */
int packer_buffer_grow(struct packer_buffer *buffer, size_t more, struct err *err);
