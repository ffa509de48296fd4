/* SPDX-License-Identifier: MIT */
#include "chunk_decode.h"

#include "bytes.h"
#include "chunkindex.h"
#include "digest.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* Frame_Header_Descriptor of RFC 8878, 3.1.1.1.1: its offset and bits. */
enum { FRAME_DESCRIPTOR = 4, FRAME_HAS_CHECKSUM = 0x04, FRAME_HAS_DICTIONARY = 0x03 };

struct chunk_decode {
	ZSTD_DCtx *zstd;
	EVP_MD_CTX *md;
};

struct chunkdict {
	ZSTD_DDict *zstd;
};

struct chunk_decode *chunk_decode_new(void)
{
	struct chunk_decode *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->zstd = ZSTD_createDCtx();
	c->md = EVP_MD_CTX_new();
	if (c->zstd && c->md)
		return c;
	chunk_decode_free(c);
	return NULL;
}

void chunk_decode_free(struct chunk_decode *code)
{
	if (!code)
		return;
	(void)ZSTD_freeDCtx(code->zstd);
	EVP_MD_CTX_free(code->md);
	free(code);
}

int chunkdict_new(const char *name, const void *data, size_t len, struct chunkdict **ret_dict,
		  struct err *err)
{
	struct chunkdict *d = calloc(1, sizeof *d);

	if (!d)
		return err_set(err, EX_SOFTWARE, "failed to load %s: out of memory", name);
	d->zstd = ZSTD_createDDict(data, len);
	if (!d->zstd) {
		free(d);
		return err_set(err, EX_DATAERR, "%s is no dictionary of zstd", name);
	}
	*ret_dict = d;
	return 0;
}

void chunkdict_free(struct chunkdict *dict)
{
	if (!dict)
		return;
	(void)ZSTD_freeDDict(dict->zstd);
	free(dict);
}

/* Without these checks libzstd would hand older formats to decoders of their own, skip
 * frames, and go on behind the first one. It looks at block headers only here. */
bool chunk_decode_frame_is(const void *frame, size_t frame_len, size_t len)
{
	const uint8_t *head = frame;

	return frame_len > FRAME_DESCRIPTOR && le32_get(head) == ZSTD_MAGICNUMBER &&
	       (head[FRAME_DESCRIPTOR] & (FRAME_HAS_CHECKSUM | FRAME_HAS_DICTIONARY)) == 0 &&
	       ZSTD_getFrameContentSize(frame, frame_len) == len &&
	       ZSTD_findFrameCompressedSize(frame, frame_len) == frame_len;
}

bool chunk_decode(struct chunk_decode *code, const void *frame, size_t frame_len, void *out,
		  size_t len)
{
	return chunk_decode_dict(code, NULL, frame, frame_len, out, len);
}

bool chunk_decode_dict(struct chunk_decode *code, const struct chunkdict *dict,
		       const void *frame, size_t frame_len, void *out, size_t len)
{
	return chunk_decode_frame_is(frame, frame_len, len) &&
	       ZSTD_decompress_usingDDict(code->zstd, out, len, frame, frame_len,
					  dict ? dict->zstd : NULL) == len;
}

bool chunk_decode_blocks(struct chunk_decode *code, const struct chunkdict *dict,
			 const void *frames, size_t frames_len, void *out, size_t len)
{
	const uint8_t *frame = frames, *end = frame + frames_len;

	for (size_t at = 0; at < len; at += BLOCK_BYTES) {
		size_t block = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;
		size_t n = ZSTD_findFrameCompressedSize(frame, (size_t)(end - frame));

		if (ZSTD_isError(n) ||
		    !chunk_decode_dict(code, dict, frame, n, (uint8_t *)out + at, block))
			return false;
		frame += n;
	}
	return frame == end;
}

bool chunk_decode_chunk(struct chunk_decode *code, const struct chunkdict *dict,
			const struct chunk *chunk, const void *frames, void *out, size_t len)
{
	return chunk->blocks ? chunk_decode_blocks(code, dict, frames, chunk->frame, out, len)
			     : chunk_decode_dict(code, dict, frames, chunk->frame, out, len);
}

bool chunk_decode_prefix(struct chunk_decode *code, const void *prefix, size_t prefix_len,
			 const void *frame, size_t frame_len, void *out, size_t len)
{
	if (!chunk_decode_frame_is(frame, frame_len, len))
		return false;
	if (prefix_len > 0 &&
	    ZSTD_isError(ZSTD_DCtx_refPrefix(code->zstd, prefix, prefix_len)))
		return false;
	return ZSTD_decompressDCtx(code->zstd, out, len, frame, frame_len) == len;
}

bool chunk_decode_is(struct chunk_decode *code, const void *data, size_t len, const uint8_t sha256[32])
{
	return digest_is(code->md, data, len, sha256);
}

int chunk_decode_damaged(const char *file, uint32_t chunk, struct err *err)
{
	return err_set(err, EX_DATAERR, "%s is damaged or altered: chunk %u does not have the "
		       "SHA-256 that its index says", file, chunk);
}
