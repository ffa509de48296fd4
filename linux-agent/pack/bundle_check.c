/* SPDX-License-Identifier: MIT */
#include "bundle_check.h"

#include "chunk_decode.h"
#include "chunkindex.h"
#include "digest.h"
#include "zstd_seekable.h"
#include "io.h"

#include <string.h>
#include <zip.h>

/* One payload being checked. */
struct check {
	zip_t *zip;
	const struct payload *payload;
	struct chunkindex index;
	uint8_t *chunk, *frame;		/* a chunk, and the longest frame of one */
	struct chunk_decode *code;
};

static void check_clear(struct check *c)
{
	chunkindex_clear(&c->index);
	free(c->chunk);
	free(c->frame);
	chunk_decode_free(c->code);
}

static void zip_discardp(zip_t **zip)
{
	if (*zip)
		zip_discard(*zip);
}

static void zip_file_closep(zip_file_t **file)
{
	if (*file)
		(void)zip_fclose(*file);
}

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to check a bundle: out of memory");
}

static int entry_open(zip_t *zip, const char *name, zip_file_t **ret_file, struct err *err)
{
	*ret_file = zip_fopen(zip, name, 0);
	if (!*ret_file)
		return err_set(err, EX_DATAERR, "%s: %s", name, zip_strerror(zip));
	return 0;
}

static int entry_read(zip_file_t *file, const char *name, uint8_t *buf, size_t len,
		      struct err *err)
{
	for (size_t done = 0; done < len;) {
		zip_int64_t n = zip_fread(file, buf + done, len - done);

		if (n <= 0)
			return err_set(err, EX_DATAERR, "%s is cut short or damaged", name);
		done += (size_t)n;
	}
	return 0;
}

/* libzip compares the CRC where an entry ends. */
static int entry_end(zip_file_t *file, const char *name, struct err *err)
{
	uint8_t more;
	zip_int64_t n = zip_fread(file, &more, 1);

	if (n == 0)
		return 0;
	return err_set(err, EX_DATAERR, n > 0 ? "%s is longer than its index says"
					      : "%s does not have the CRC the ZIP says", name);
}

static int pinned_read(zip_t *zip, const struct pinned_entry *pinned, uint8_t **ret_data,
		       struct err *err)
{
	_cleanup_(zip_file_closep) zip_file_t *file = NULL;
	_cleanup_free_ uint8_t *data = malloc(pinned->size);
	uint8_t sha256[32];

	if (!data)
		return no_memory(err);
	if (entry_open(zip, pinned->file, &file, err) < 0 ||
	    entry_read(file, pinned->file, data, pinned->size, err) < 0 ||
	    entry_end(file, pinned->file, err) < 0)
		return -1;
	if (EVP_Digest(data, pinned->size, sha256, NULL, EVP_sha256(), NULL) != 1)
		return no_memory(err);
	if (memcmp(sha256, pinned->sha256, sizeof sha256) != 0)
		return err_set(err, EX_DATAERR, "%s is not what the manifest says: its SHA-256 "
			       "differs", pinned->file);
	*ret_data = data;
	data = NULL;
	return 0;
}

static int chunk_compare(const struct check *c, const char *name, uint32_t i, struct err *err)
{
	uint8_t sha256[32];

	if (EVP_Digest(c->chunk, chunkindex_length(&c->index, i), sha256, NULL, EVP_sha256(),
		       NULL) != 1)
		return no_memory(err);
	if (memcmp(sha256, c->index.chunks[i].sha256, sizeof sha256) != 0)
		return err_set(err, EX_DATAERR, "%s is damaged: chunk %u has another SHA-256",
			       name, i);
	return 0;
}

/* Decodes the next frame, of len bytes, which must give exactly size bytes. */
static int frame_decode(const struct check *c, zip_file_t *file, const char *name, size_t len,
			uint8_t *out, size_t size, const struct chunkdict *dict, struct err *err)
{
	if (entry_read(file, name, c->frame, len, err) < 0)
		return -1;
	if (!chunk_decode_dict(c->code, dict, c->frame, len, out, size))
		return err_set(err, EX_DATAERR, "%s is damaged: a frame does not decode", name);
	return 0;
}

static int seek_table_check(const struct check *c, zip_file_t *file, struct err *err)
{
	_cleanup_free_ uint8_t *should = NULL, *is = NULL;
	size_t len = 0;

	if (zstd_seekable_table_make(&c->index, &should, &len, err) < 0)
		return -1;
	is = malloc(len);
	if (!is)
		return no_memory(err);
	if (entry_read(file, c->payload->file, is, len, err) < 0)
		return -1;
	if (memcmp(is, should, len) != 0)
		return err_set(err, EX_DATAERR, "%s has a wrong seek table", c->payload->file);
	return entry_end(file, c->payload->file, err);
}

static int full_chunk(const struct check *c, zip_file_t *file, uint32_t i, EVP_MD_CTX *whole,
		      struct err *err)
{
	const char *name = c->payload->file;
	uint32_t len = chunkindex_length(&c->index, i);

	if (frame_decode(c, file, name, c->index.chunks[i].frame, c->chunk, len, NULL, err) < 0 ||
	    chunk_compare(c, name, i, err) < 0)
		return -1;
	return EVP_DigestUpdate(whole, c->chunk, len) == 1 ? 0 : no_memory(err);
}

static int full_check(const struct check *c, struct err *err)
{
	_cleanup_(zip_file_closep) zip_file_t *file = NULL;
	_cleanup_(md_ctx_freep) EVP_MD_CTX *whole = EVP_MD_CTX_new();
	uint8_t sha256[32];

	if (!whole || EVP_DigestInit_ex(whole, EVP_sha256(), NULL) != 1)
		return no_memory(err);
	if (entry_open(c->zip, c->payload->file, &file, err) < 0)
		return -1;
	for (uint32_t i = 0; i < c->index.count; i++)
		if (full_chunk(c, file, i, whole, err) < 0)
			return -1;
	if (EVP_DigestFinal_ex(whole, sha256, NULL) != 1)
		return no_memory(err);
	if (memcmp(sha256, c->payload->sha256, sizeof sha256) != 0)
		return err_set(err, EX_DATAERR, "%s as a whole is not what the manifest says: its "
			       "SHA-256 differs", c->payload->name);
	return seek_table_check(c, file, err);
}

static void chunkdict_freep(struct chunkdict **dict)
{
	chunkdict_free(*dict);
}

/* The blocks of chunk i, put together in c->chunk. */
static int chunk_from_blocks(const struct check *c, const struct blockindex *blocks,
			     zip_file_t *file, const struct chunkdict *dict, uint32_t i,
			     struct err *err)
{
	const char *name = c->payload->blocks.file;
	uint32_t len = chunkindex_length(&c->index, i);
	uint64_t k = (uint64_t)i << (c->index.chunk_log - BLOCK_LOG);

	for (uint32_t at = 0; at < len; at += BLOCK_BYTES, k++) {
		size_t n = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;

		if (frame_decode(c, file, name, blocks->lengths[k],
				 c->chunk + at, n, dict, err) < 0)
			return -1;
		if (blockindex_id(c->chunk + at, n, blocks->id_bytes) != blocks->ids[k])
			return err_set(err, EX_DATAERR, "%s is damaged: block %llu has another id "
				       "than in %s", name, (unsigned long long)k,
				       c->payload->blocks.index.file);
	}
	return chunk_compare(c, name, i, err);
}

static int blocks_check(const struct check *c, struct err *err)
{
	const struct payload_blocks *b = &c->payload->blocks;
	_cleanup_(blockindex_clear) struct blockindex blocks = { 0 };
	_cleanup_(zip_file_closep) zip_file_t *file = NULL;
	_cleanup_(chunkdict_freep) struct chunkdict *dict = NULL;
	_cleanup_free_ uint8_t *data = NULL, *dictionary = NULL;

	if (!b->file)
		return 0;
	if (pinned_read(c->zip, &b->index, &data, err) < 0 ||
	    (b->dictionary.file && pinned_read(c->zip, &b->dictionary, &dictionary, err) < 0))
		return -1;
	if (blockindex_decode(data, b->index.size, c->payload->size, &blocks, err) < 0)
		return err_prefix(err, "%s", b->index.file);
	if (dictionary && chunkdict_new(b->dictionary.file, dictionary, b->dictionary.size, &dict,
					err) < 0)
		return -1;
	if (entry_open(c->zip, b->file, &file, err) < 0)
		return -1;
	for (uint32_t i = 0; i < c->index.count; i++)
		if (chunk_from_blocks(c, &blocks, file, dict, i, err) < 0)
			return -1;
	return entry_end(file, b->file, err);
}

static int base_frame_check(const struct check *c, const struct base_chunk *row,
			    zip_file_t *file, const char *name, uint32_t i, struct err *err)
{
	uint32_t len = chunkindex_length(&c->index, i);

	if (row->frame == 0)
		return 0;
	if (row->region_count == 0) {
		if (frame_decode(c, file, name, row->frame, c->chunk, len, NULL, err) < 0)
			return -1;
		return chunk_compare(c, name, i, err);
	}
	if (entry_read(file, name, c->frame, row->frame, err) < 0)
		return -1;
	if (!chunk_decode_frame_is(c->frame, row->frame, len))
		return err_set(err, EX_DATAERR, "%s is damaged: the frame of chunk %u is none of "
			       "%u bytes", name, i, len);
	return 0;
}

static int base_check(const struct check *c, const struct payload_base *base, struct err *err)
{
	_cleanup_(baseindex_clear) struct baseindex index = { 0 };
	_cleanup_(zip_file_closep) zip_file_t *file = NULL;
	_cleanup_free_ uint8_t *data = NULL;

	if (pinned_read(c->zip, &base->index, &data, err) < 0)
		return -1;
	if (baseindex_decode(data, base->index.size, &c->index, &index, err) < 0)
		return err_prefix(err, "%s", base->index.file);
	if (index.base_size != base->size ||
	    memcmp(index.base_sha256, base->sha256, sizeof base->sha256) != 0)
		return err_set(err, EX_DATAERR, "%s is for another base than the manifest says",
			       base->index.file);
	if (entry_open(c->zip, base->file, &file, err) < 0)
		return -1;
	for (uint32_t i = 0; i < c->index.count; i++)
		if (base_frame_check(c, &index.chunks[i], file, base->file, i, err) < 0)
			return -1;
	return entry_end(file, base->file, err);
}

static int payload_check(zip_t *zip, const struct payload *p, struct err *err)
{
	_cleanup_(check_clear) struct check c = { .zip = zip, .payload = p };
	_cleanup_free_ uint8_t *data = NULL;

	if (pinned_read(zip, &p->index, &data, err) < 0)
		return -1;
	if (chunkindex_decode(data, p->index.size, p->size, &c.index, err) < 0)
		return err_prefix(err, "%s", p->index.file);
	c.chunk = malloc((size_t)1 << c.index.chunk_log);
	/* A block's frame may be 64 KiB whatever it holds. */
	c.frame = malloc(chunkindex_frame_max(1ULL << c.index.chunk_log) + BLOCK_FRAME_MAX);
	c.code = chunk_decode_new();
	if (!c.chunk || !c.frame || !c.code)
		return no_memory(err);
	if ((p->file && full_check(&c, err) < 0) || blocks_check(&c, err) < 0)
		return -1;
	for (size_t i = 0; i < p->base_count; i++)
		if (base_check(&c, &p->bases[i], err) < 0)
			return -1;
	return 0;
}

int bundle_check(const char *path, const struct manifest *m, struct err *err)
{
	int code = 0;
	_cleanup_(zip_discardp) zip_t *zip = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &code);

	if (!zip)
		return err_set(err, EX_NOINPUT, "failed to open the bundle %s", path);
	for (size_t i = 0; i < m->payload_count; i++)
		if (payload_check(zip, &m->payloads[i], err) < 0)
			return err_prefix(err, "bundle %s", path);
	return 0;
}
