/* SPDX-License-Identifier: MIT */
#include "packer.h"

#include "digest.h"
#include "packer_frame.h"
#include "zstd_seekable.h"
#include "io.h"
#include "pool.h"

#include <string.h>

struct full {
	struct packer *packer;
	FILE *out;
	EVP_MD_CTX *whole;
};

struct full_slot {
	uint8_t *chunk;
	struct packer_buffer frame;
	uint8_t sha256[32];
};

static void slot_clear(void *data)
{
	struct full_slot *slot = data;

	free(slot->chunk);
	packer_buffer_clear(&slot->frame);
}

static int chunk_work(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct full *full = ctx;
	struct full_slot *slot = data;
	const struct packer *p = full->packer;
	uint32_t len = chunkindex_length(&p->index, (uint32_t)i);

	if (!slot->chunk)
		slot->chunk = malloc((size_t)1 << p->chunk_log);
	if (!slot->chunk)
		return packer_no_memory(err);
	if (packer_read(p, i << p->chunk_log, slot->chunk, len, err) < 0)
		return -1;
	if (p->uki && i == 0 && (len < 2 || memcmp(slot->chunk, "MZ", 2) != 0))
		return err_set(err, EX_DATAERR, "%s is not a UKI: a PE file begins with MZ",
			       p->path);
	if (EVP_Digest(slot->chunk, len, slot->sha256, NULL, EVP_sha256(), NULL) != 1)
		return packer_no_memory(err);
	slot->frame.len = 0;
	return packer_frame(p->level, NULL, 0, slot->chunk, len, &slot->frame, err);
}

static int chunk_emit(void *ctx, uint64_t i, void *data, struct err *err)
{
	struct full *full = ctx;
	struct full_slot *slot = data;
	struct packer *p = full->packer;
	struct chunk *row = &p->index.chunks[i];

	memcpy(row->sha256, slot->sha256, sizeof row->sha256);
	row->frame = (uint32_t)slot->frame.len;
	row->offset = p->index.frames_size;
	p->index.frames_size += row->frame;
	if (EVP_DigestUpdate(full->whole, slot->chunk,
			     chunkindex_length(&p->index, (uint32_t)i)) != 1)
		return packer_no_memory(err);
	packer_progress(p, i + 1);
	return packer_write(full->out, slot->frame.data, slot->frame.len, err);
}

static int index_start(struct packer *p, struct err *err)
{
	uint64_t count = chunkindex_parts(p->size, p->chunk_log);

	if (count > CHUNKS_MAX)
		return err_set(err, EX_DATAERR, "%s is too large for chunks of %u KiB: at most "
			       "%d of them are allowed", p->path, 1U << (p->chunk_log - 10),
			       CHUNKS_MAX);
	p->index = (struct chunkindex){ .chunk_log = p->chunk_log, .count = (uint32_t)count,
					.size = p->size };
	p->index.chunks = calloc(count, sizeof *p->index.chunks);
	return p->index.chunks ? 0 : packer_no_memory(err);
}

static int table_write(const struct packer *p, FILE *out, struct err *err)
{
	_cleanup_free_ uint8_t *table = NULL;
	size_t len;

	if (zstd_seekable_table_make(&p->index, &table, &len, err) < 0)
		return -1;
	return packer_write(out, table, len, err);
}

int packer_full(struct packer *packer, FILE *out, struct err *err)
{
	_cleanup_(md_ctx_freep) EVP_MD_CTX *whole = EVP_MD_CTX_new();
	struct full full = { packer, out, whole };
	struct pool_job job = {
		.threads = packer->threads,
		.slot_bytes = sizeof(struct full_slot),
		.work = chunk_work, .emit = chunk_emit, .slot_clear = slot_clear,
	};

	if (!whole || EVP_DigestInit_ex(whole, EVP_sha256(), NULL) != 1)
		return packer_no_memory(err);
	if (index_start(packer, err) < 0)
		return -1;
	packer_step(packer, "the whole image");
	job.parts = packer->index.count;
	if (pool_in_order(&job, &full, err) < 0 || table_write(packer, out, err) < 0)
		return -1;
	return EVP_DigestFinal_ex(whole, packer->sha256, NULL) == 1 ? 0 : packer_no_memory(err);
}
