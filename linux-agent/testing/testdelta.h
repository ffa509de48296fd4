/* SPDX-License-Identifier: MIT */
/*
 * For tests: installs from a delta. The bundle has the image in whole chunks or, as the test wants it,
 * in blocks, and from one BASE; it is a file that is called remote. The slots are in memory: running
 * holds `old`, what is installed goes to `target`.
 */
#pragma once

#include "engine.h"

#include "testbundle.h"

enum {
	CHUNK = 65536, COUNT = 12, LEN = COUNT * CHUNK + 5000, BLOCKS = COUNT * 16 + 2,
	FILE_RUNNING = 1, FILE_TARGET = 2,
};

static uint8_t image[LEN], old[LEN], target[LEN + CHUNK];
static struct engine_held held[HELD_COUNT];
static struct manifest manifest;
static unsigned threads;
static bool is_uki;	/* the image is said to be one */

/* --- the machine ----------------------------------------------------------- */

static int (*file_read)(struct bundle_source *, void *, size_t, uint64_t, struct err *);
static uint64_t fail_offset, planned_bytes;
static int fail_exit;
static unsigned scans_until_change;	/* reads of the running slot; then it is another; 0: never */
static char warned[1024];

/* Fails with fail_exit where fail_offset is read. */
static inline int broken_read(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
			struct err *err)
{
	if (fail_exit && offset <= fail_offset && fail_offset < offset + len)
		return err_set(err, fail_exit, "the link is gone");
	return file_read(source, buf, len, offset, err);
}

static inline int disk_open(void *ctx, const char *path, enum disk_open how)
{
	(void)ctx, (void)how;
	return strcmp(path, "running") == 0 ? FILE_RUNNING : FILE_TARGET;
}

static inline void disk_close(void *ctx, int file)
{
	(void)ctx, (void)file;
}

static inline int64_t disk_read(void *ctx, int file, void *buf, size_t len, uint64_t offset)
{
	const uint8_t *from = file == FILE_RUNNING ? old : target;
	size_t size = file == FILE_RUNNING ? sizeof old : sizeof target;

	(void)ctx;
	if (offset >= size)
		return 0;
	len = len < size - offset ? len : size - offset;
	memcpy(buf, from + offset, len);
	if (file == FILE_RUNNING && scans_until_change > 0 && --scans_until_change == 0)
		memset(old, 0, sizeof old);
	return (int64_t)len;
}

static const struct disk disk = { .open = disk_open, .close = disk_close, .read = disk_read };

static inline int target_write(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err)
{
	(void)ctx, (void)err;
	memcpy(target + offset, data, len);
	return 0;
}

static inline int planned(void *ctx, const struct payload *payload, const struct plan_sum *sum,
			  struct err *err)
{
	(void)ctx, (void)payload, (void)err;
	planned_bytes = sum->bytes;
	return 0;
}

static inline void warn(void *ctx, const char *why)
{
	(void)ctx;
	snprintf(warned, sizeof warned, "%s", why);
}

static inline int run(struct bundle *b, struct engine_stats *stats, struct err *err)
{
	const struct engine_options options = { .threads = threads, .planned = planned, .warn = warn };
	const struct engine_target to = { .write = target_write, .path = "slot" };
	struct engine_job job = { .bundle = b, .disk = &disk };
	struct payload payload = bundle_manifest(b)->payloads[1];
	struct engine *engine = NULL;
	int r;

	payload.type = is_uki ? PAYLOAD_UKI : PAYLOAD_IMAGE;
	job.payload = &payload;
	memcpy(job.held, held, sizeof held);
	r = engine_prepare(&job, &options, stats, &engine, err);
	if (r == 0)
		r = engine_write(engine, &to, err);
	if (r == 0)
		r = engine_check(engine, err);
	engine_close(engine);
	return r;
}

static inline int install(struct engine_stats *stats, struct err *err)
{
	struct bundle *b;
	int r;

	*stats = (struct engine_stats){ 0 };
	*warned = 0;
	planned_bytes = 0;
	if (open_zip(&b, err) < 0)
		fail_msg("%s", err->text);
	file_read = bundle_source(b)->read;
	bundle_source(b)->read = broken_read;
	bundle_source(b)->remote = true;
	r = run(b, stats, err);
	bundle_close(b);
	return r;
}

/* Succeeds, and the image is there. */
static inline struct engine_stats installed(void)
{
	struct engine_stats stats;
	struct err err;

	if (install(&stats, &err) < 0)
		fail_msg("%s", err.text);
	assert_memory_equal(target, image, LEN);
	assert_int_equal(stats.done, LEN);
	return stats;
}

/* --- the bundle ------------------------------------------------------------ */

/* No two blocks are alike, and none can be compressed. */
static inline void fill(uint8_t *bytes, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		bytes[i] = (uint8_t)(seed >> 56);
	}
}

/* The entries of the deltas, which come behind the others. */
static struct testentry deltas[8];
static unsigned delta_count;

static inline void put(const char *name, const void *data, size_t len)
{
	struct testentry *e = &deltas[delta_count++];

	*e = (struct testentry){ .name = name, .data = malloc(len), .len = len };
	memcpy(e->data, data, len);
}

static inline void entry_write(zip_t *zip, const struct testentry *e)
{
	zip_int64_t at = zip_file_add(zip, e->name, zip_source_buffer(zip, e->data, e->len, 0), 0);

	assert_true(at >= 0);
	assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)at, ZIP_CM_STORE, 0), 0);
}

/* spoil: the entry is another than the manifest says. */
static inline void put_pinned(struct pinned_entry *entry, const char *name, void *data, size_t len,
			      bool spoil)
{
	entry->file = (char *)(uintptr_t)name;
	entry->size = len;
	EVP_Digest(data, len, entry->sha256, NULL, EVP_sha256(), NULL);
	if (spoil)
		((uint8_t *)data)[len / 2] ^= 1;
	put(name, data, len);
}

static inline size_t chunk_len(uint32_t i)
{
	return i < COUNT ? CHUNK : LEN - COUNT * CHUNK;
}

static inline size_t block_len(uint32_t i)
{
	return i + 1 < BLOCKS ? BLOCK_BYTES : LEN - (size_t)i * BLOCK_BYTES;
}

/* Row i repeats the first chunk before it that holds the same, if there is one. */
static inline bool row_repeats(struct chunk *rows, uint32_t i)
{
	for (uint32_t k = 0; k < i && !rows[i].repeats; k++)
		if (chunk_len(k) == chunk_len(i) &&
		    memcmp(image + (size_t)k * CHUNK, image + (size_t)i * CHUNK, chunk_len(i)) == 0) {
			rows[i].repeats = true;
			rows[i].same = k;
		}
	return rows[i].repeats;
}

/* Every chunk in blocks, in the place of bundle_begin()'s. alias: this block has the id of the 8th one;
 * BLOCKS: none. */
static inline void blocks_put(struct payload *p, uint32_t alias, bool spoil_index,
			      bool spoil_dictionary)
{
	static uint8_t frames[2 * LEN], dictionary[1000];
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	struct chunk rows[COUNT + 1] = { { .frame = 0 } };
	struct chunkindex chunks = { CHUNK_MIN_LOG, COUNT + 1, LEN, 0, rows };
	struct blockindex index;
	uint8_t *data;
	size_t len = 0, n;

	fill(dictionary, sizeof dictionary, 77);
	assert_int_equal(blockindex_make(8, BLOCKS, &index, NULL), 0);
	for (uint32_t i = 0; i < BLOCKS; i++) {
		const uint8_t *block = image + (size_t)i * BLOCK_BYTES;

		if (row_repeats(rows, i / 16))
			continue;
		n = ZSTD_compress_usingDict(ctx, frames + len, sizeof frames - len, block, block_len(i),
					    dictionary, sizeof dictionary, 1);
		assert_false(ZSTD_isError(n));
		index.ids[i] = blockindex_id(block, block_len(i), 8);
		index.lengths[i] = (uint16_t)n;
		rows[i / 16].blocks = true;
		rows[i / 16].frame += (uint32_t)n;
		len += n;
	}
	if (alias < BLOCKS)
		index.ids[alias] = index.ids[7];
	ZSTD_freeCCtx(ctx);
	for (uint32_t i = 0; i <= COUNT; i++)
		EVP_Digest(image + (size_t)i * CHUNK, chunk_len(i), rows[i].sha256, NULL, EVP_sha256(), NULL);
	assert_int_equal(blockindex_encode(&index, &chunks, &data, &n, NULL), 0);
	put_pinned(&p->blocks.index, "rootfs.4k.index", data, n, spoil_index);
	put_pinned(&p->blocks.dictionary, "rootfs.dict", dictionary, sizeof dictionary, spoil_dictionary);
	free(data);
	assert_int_equal(chunkindex_encode(&chunks, &data, &n, NULL), 0);
	testbundle_set(&good, ENTRY_ROOTFS_INDEX, data, n);
	testbundle_set(&good, ENTRY_ROOTFS_INDEX + 1, frames, len);
	p->index.size = n;
	EVP_Digest(data, n, p->index.sha256, NULL, EVP_sha256(), NULL);
	free(data);
	blockindex_clear(&index);
}

/* A delta from base: chunk i is made of the base's bytes from from[i] on; with a frame only if
 * they are not the chunk already. */
static inline void base_put(struct payload *p, const uint8_t *base, const size_t from[COUNT + 1],
			    bool spoil_index)
{
	static uint8_t frames[2 * LEN];
	struct base_chunk rows[COUNT + 1] = { { 0 } };
	struct baseindex index = { .count = COUNT + 1, .base_size = LEN, .chunks = rows };
	uint8_t *data;
	size_t len = 0, n;

	EVP_Digest(base, LEN, index.base_sha256, NULL, EVP_sha256(), NULL);
	for (uint32_t i = 0; i <= COUNT; i++) {
		const uint8_t *chunk = image + (size_t)i * CHUNK, *prefix = base + from[i];
		ZSTD_CCtx *ctx = ZSTD_createCCtx();

		rows[i].region_count = 1;
		rows[i].regions[0] = (struct base_region){ from[i], (uint32_t)chunk_len(i) };
		if (memcmp(chunk, prefix, chunk_len(i)) != 0) {
			ZSTD_CCtx_refPrefix(ctx, prefix, chunk_len(i));
			n = ZSTD_compress2(ctx, frames + len, sizeof frames - len, chunk, chunk_len(i));
			assert_false(ZSTD_isError(n));
			rows[i].frame = (uint32_t)n;
			len += n;
		}
		ZSTD_freeCCtx(ctx);
	}
	assert_int_equal(baseindex_encode(&index, &data, &n, NULL), 0);
	p->base_count = 1;
	p->bases[0].file = (char *)"rootfs.from-1.zst";
	p->bases[0].size = LEN;
	memcpy(p->bases[0].sha256, index.base_sha256, 32);
	put_pinned(&p->bases[0].index, "rootfs.from-1.index", data, n, spoil_index);
	put("rootfs.from-1.zst", frames, len + 1);
	free(data);
}

/* The FULL layout of image; the test adds deltas to what this returns, then bundle_end(). */
static inline struct payload *bundle_begin(void)
{
	memset(&manifest, 0, sizeof manifest);
	manifest.compatible = (char *)"acme-gw";
	manifest.version = (char *)"1.4.2";
	manifest.payload_count = 2;
	manifest.payloads[0] = (struct payload){ .type = PAYLOAD_UKI, .name = (char *)"uki",
		.file = (char *)"uki.efi.zst", .index.file = (char *)"uki.index" };
	manifest.payloads[1] = (struct payload){ .type = PAYLOAD_IMAGE, .name = (char *)"rootfs",
		.file = (char *)"rootfs.img.zst", .index.file = (char *)"rootfs.index" };
	testbundle_pack(&good, ENTRY_UKI_INDEX, &manifest.payloads[0], good.uki, good.uki_len);
	testbundle_pack(&good, ENTRY_ROOTFS_INDEX, &manifest.payloads[1], image, LEN);
	return &manifest.payloads[1];
}

static inline void bundle_end(void)
{
	zip_t *zip = zip_open(zip_path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
	char *json;

	assert_non_null(zip);
	assert_int_equal(manifest_format(&manifest, &json, NULL), 0);
	testbundle_set_text(&good, &dir, json);
	free(json);
	for (int i = 0; i < ENTRY_COUNT; i++)
		entry_write(zip, &good.entries[i]);
	for (unsigned i = 0; i < delta_count; i++)
		entry_write(zip, &deltas[i]);
	assert_int_equal(zip_close(zip), 0);
	while (delta_count > 0)
		free(deltas[--delta_count].data);
}

/* Where an entry's bytes lie in the bundle. */
static inline uint64_t entry_offset(const char *name)
{
	struct zipentry entry;
	struct bundle *b;
	struct err err;

	assert_int_equal(open_zip(&b, &err), 0);
	assert_int_equal(bundle_frames(b, name, 1, &entry, &err), 0);
	bundle_close(b);
	return entry.offset;
}

static inline void running_is(bool known)
{
	held[HELD_RUNNING] = (struct engine_held){ .path = "running", .size = LEN, .known = known };
	EVP_Digest(old, LEN, held[HELD_RUNNING].sha256, NULL, EVP_sha256(), NULL);
}

static inline void target_is(const uint8_t *bytes)
{
	memcpy(target, bytes, LEN);
	held[HELD_TARGET] = (struct engine_held){ .path = "slot", .size = LEN, .known = true };
	EVP_Digest(bytes, LEN, held[HELD_TARGET].sha256, NULL, EVP_sha256(), NULL);
}

static inline int delta_setup(void **state)
{
	(void)each_setup(state);
	fill(image, LEN, 1);
	memcpy(old, image, LEN);
	memset(target, 0xee, sizeof target);
	memset(held, 0, sizeof held);
	held[HELD_TARGET].path = "slot";
	fail_exit = 0;
	scans_until_change = 0;
	threads = 0;
	return 0;
}
