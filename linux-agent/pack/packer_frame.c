/* SPDX-License-Identifier: MIT */
#include "packer_frame.h"

#include "bytes.h"
#include "io.h"

#include <string.h>
#include <zstd.h>

static void cctx_freep(ZSTD_CCtx **ctx)
{
	(void)ZSTD_freeCCtx(*ctx);
}

static void dctx_freep(ZSTD_DCtx **ctx)
{
	(void)ZSTD_freeDCtx(*ctx);
}

void packer_buffer_clear(struct packer_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct packer_buffer){ 0 };
}

int packer_buffer_grow(struct packer_buffer *buffer, size_t more, struct err *err)
{
	uint8_t *bigger;

	if (buffer->len + more <= buffer->cap)
		return 0;
	bigger = realloc(buffer->data, buffer->len + more);
	if (!bigger)
		return packer_no_memory(err);
	buffer->data = bigger;
	buffer->cap = buffer->len + more;
	return 0;
}

int packer_table_make(uint32_t count, struct packer_table *ret_table, struct err *err)
{
	struct packer_table table = { .size = 2 * count };

	table.at = malloc(table.size * sizeof *table.at);
	if (!table.at)
		return packer_no_memory(err);
	memset(table.at, 0xff, table.size * sizeof *table.at);
	*ret_table = table;
	return 0;
}

uint32_t *packer_table_find(const struct packer_table *table, const struct chunk *chunks,
			    const uint8_t sha256[32])
{
	uint32_t i = (uint32_t)(le64_get(sha256) % table->size);

	while (table->at[i] != PACKER_NOWHERE && memcmp(chunks[table->at[i]].sha256, sha256, 32) != 0)
		i = i + 1 < table->size ? i + 1 : 0;
	return &table->at[i];
}

/* The smallest window that reaches back over everything. */
static int window_log(size_t len)
{
	int log = 10;

	while (((size_t)1 << log) < len)
		log++;
	return log;
}

static int frame_make(int level, const struct packer_aid *aid, const void *src, size_t len,
		      struct packer_buffer *out, size_t *ret_len, struct err *err)
{
	_cleanup_(cctx_freep) ZSTD_CCtx *ctx = ZSTD_createCCtx();
	size_t n;

	if (!ctx)
		return packer_no_memory(err);
	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, level);
	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, window_log(aid->prefix_len + len));
	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_dictIDFlag, 0);
	if (aid->dictionary_len > 0 &&
	    ZSTD_isError(ZSTD_CCtx_loadDictionary(ctx, aid->dictionary, aid->dictionary_len)))
		return packer_no_memory(err);
	if (aid->prefix_len > 0) {
		(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_enableLongDistanceMatching, 1);
		(void)ZSTD_CCtx_refPrefix(ctx, aid->prefix, aid->prefix_len);
	}
	n = ZSTD_compress2(ctx, out->data + out->len, out->cap - out->len, src, len);
	if (ZSTD_isError(n))
		return err_set(err, EX_SOFTWARE, "failed to compress: %s", ZSTD_getErrorName(n));
	*ret_len = n;
	return 0;
}

/* Detect a memory or zstd fault here and not in the field. */
static int frame_check(const struct packer_aid *aid, const void *frame, size_t frame_len,
		       const void *src, size_t len, struct err *err)
{
	_cleanup_(dctx_freep) ZSTD_DCtx *ctx = ZSTD_createDCtx();
	_cleanup_free_ uint8_t *again = malloc(len);

	if (!ctx || !again)
		return packer_no_memory(err);
	if (aid->dictionary_len > 0 &&
	    ZSTD_isError(ZSTD_DCtx_loadDictionary(ctx, aid->dictionary, aid->dictionary_len)))
		return packer_no_memory(err);
	if (aid->prefix_len > 0)
		(void)ZSTD_DCtx_refPrefix(ctx, aid->prefix, aid->prefix_len);
	if (ZSTD_decompressDCtx(ctx, again, len, frame, frame_len) != len ||
	    memcmp(again, src, len) != 0)
		return err_set(err, EX_SOFTWARE, "failed to compress: a frame decodes to other "
			       "bytes");
	return 0;
}

int packer_frame(int level, const struct packer_aid *aid, const void *src, size_t len,
		 struct packer_buffer *out, struct err *err)
{
	size_t n = 0;

	if (packer_buffer_grow(out, ZSTD_compressBound(len), err) < 0 ||
	    frame_make(level, aid, src, len, out, &n, err) < 0 ||
	    frame_check(aid, out->data + out->len, n, src, len, err) < 0)
		return -1;
	out->len += n;
	return 0;
}
