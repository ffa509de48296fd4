/* SPDX-License-Identifier: MIT */
#include "chunkindex.h"

#include "bytes.h"
#include "io.h"

#include <string.h>

enum { HEADER = 56, ROW = 8, REGION = 12, VERSION = 1 };

static const uint8_t magic[8] = "SLOTBASE";

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to read a base index: out of memory");
}

static uint8_t *row_encode(const struct base_chunk *c, uint8_t *row)
{
	le32_put(row, c->frame);
	le32_put(row + 4, c->region_count);
	row += ROW;
	for (uint32_t k = 0; k < c->region_count; k++) {
		le64_put(row, c->regions[k].offset);
		le32_put(row + 8, c->regions[k].length);
		row += REGION;
	}
	return row;
}

int baseindex_encode(const struct baseindex *index, uint8_t **ret_data, size_t *ret_len,
		     struct err *err)
{
	size_t len = HEADER + (size_t)index->count * ROW;
	uint8_t *data, *row;

	for (uint32_t i = 0; i < index->count; i++)
		len += (size_t)index->chunks[i].region_count * REGION;
	data = calloc(1, len);
	if (!data)
		return no_memory(err);
	memcpy(data, magic, sizeof magic);
	le16_put(data + 8, VERSION);
	le32_put(data + 12, index->count);
	le64_put(data + 16, index->base_size);
	memcpy(data + 24, index->base_sha256, sizeof index->base_sha256);
	row = data + HEADER;
	for (uint32_t i = 0; i < index->count; i++)
		row = row_encode(&index->chunks[i], row);
	*ret_data = data;
	*ret_len = len;
	return 0;
}

static int header_decode(const uint8_t *data, size_t len, const struct chunkindex *chunks,
			 struct baseindex *index, struct err *err)
{
	if (len < HEADER || memcmp(data, magic, sizeof magic) != 0)
		return err_set(err, EX_DATAERR, "it is not a base index");
	if (le16_get(data + 8) != VERSION)
		return err_set(err, EX_DATAERR, "its version is %u, this slotctl knows %d",
			       le16_get(data + 8), VERSION);
	index->count = le32_get(data + 12);
	index->base_size = le64_get(data + 16);
	memcpy(index->base_sha256, data + 24, sizeof index->base_sha256);
	if (index->count < 1 || index->count != chunks->count)
		return err_set(err, EX_DATAERR, "it has %u chunks, the chunk index %u",
			       index->count, chunks->count);
	if (index->base_size < 1 || index->base_size > INT64_MAX)
		return err_set(err, EX_DATAERR, "its base is %llu bytes long",
			       (unsigned long long)index->base_size);
	if ((len - HEADER) / ROW < index->count)
		return err_set(err, EX_DATAERR, "it is cut short");
	return 0;
}

/* Reads the regions of one row; *ret_total is their length together. */
static int regions_decode(const uint8_t *data, size_t len, uint64_t base_size,
			  struct base_chunk *c, uint32_t *ret_total, struct err *err)
{
	uint32_t total = 0;

	if (c->region_count > BASE_MAX_REGIONS)
		return err_set(err, EX_DATAERR, "a chunk has %u regions, at most %d are allowed",
			       c->region_count, BASE_MAX_REGIONS);
	if (len / REGION < c->region_count)
		return err_set(err, EX_DATAERR, "it is cut short");
	for (uint32_t k = 0; k < c->region_count; k++, data += REGION) {
		struct base_region *r = &c->regions[k];

		r->offset = le64_get(data);
		r->length = le32_get(data + 8);
		if (r->length < 1 || r->length > BASE_MAX_PREFIX - total ||
		    r->length > base_size || r->offset > base_size - r->length)
			return err_set(err, EX_DATAERR, "a region of %u bytes at %llu is too long "
				       "or not within the base", r->length,
				       (unsigned long long)r->offset);
		total += r->length;
	}
	*ret_total = total;
	return 0;
}

/* One row of at most len bytes, the frame being of chunk i. */
static int row_decode(const uint8_t *row, size_t len, const struct chunkindex *chunks,
		      uint32_t i, uint64_t base_size, struct base_chunk *c, struct err *err)
{
	uint32_t bytes = chunkindex_length(chunks, i), total = 0;

	if (len < ROW)
		return err_set(err, EX_DATAERR, "it is cut short");
	c->frame = le32_get(row);
	c->region_count = le32_get(row + 4);
	if (regions_decode(row + ROW, len - ROW, base_size, c, &total, err) < 0)
		return -1;
	if (c->frame == 0 && total != bytes)
		return err_set(err, EX_DATAERR, "chunk %u has no frame, and regions of %u bytes "
			       "instead of %u", i, total, bytes);
	if (c->frame > chunkindex_frame_max(bytes))
		return err_set(err, EX_DATAERR, "the frame of chunk %u is %u bytes long", i,
			       c->frame);
	return 0;
}

int baseindex_decode(const uint8_t *data, size_t len, const struct chunkindex *chunks,
		     struct baseindex *ret_index, struct err *err)
{
	_cleanup_(baseindex_clear) struct baseindex index = { 0 };
	size_t at = HEADER;

	if (header_decode(data, len, chunks, &index, err) < 0)
		return -1;
	index.chunks = calloc(index.count, sizeof *index.chunks);
	if (!index.chunks)
		return no_memory(err);
	for (uint32_t i = 0; i < index.count; i++) {
		struct base_chunk *c = &index.chunks[i];

		if (row_decode(data + at, len - at, chunks, i, index.base_size, c, err) < 0)
			return -1;
		c->offset = index.frames_size;
		index.frames_size += c->frame;
		at += ROW + (size_t)c->region_count * REGION;
	}
	if (at != len)
		return err_set(err, EX_DATAERR, "it is %zu bytes long, its chunks make %zu", len,
			       at);
	*ret_index = index;
	index.chunks = NULL;
	return 0;
}

void baseindex_clear(struct baseindex *index)
{
	free(index->chunks);
	index->chunks = NULL;
}
