/* SPDX-License-Identifier: MIT */
/* bundle_create() with an older bundle, good or not. Made at another level, its frames are told from new
 * ones. */
#include "packer.h"

#include "bundle_create.h"
#include "testbundle.h"

#include <zstd.h>

enum { CHUNK = 1 << CHUNK_MIN_LOG, COUNT = 5, LEN = COUNT * CHUNK, OLD_LEVEL = 15, LEVEL = 1 };

static uint8_t image[LEN];
static char uki[128], rootfs[128], old_path[128], new_path[128];
static struct bundle_image images[1];

struct file {
	uint8_t *bytes;
	size_t len;
};

static struct bundle_create_options options(const char *output, int level)
{
	images[0] = (struct bundle_image){ .name = "rootfs", .file = rootfs };
	return (struct bundle_create_options){
		.output = output, .compatible = "acme-gw", .version = "2", .uki = uki, .images = images,
		.image_count = 1, .chunk_log = CHUNK_MIN_LOG, .level = level, .threads = 3,
	};
}

static struct file file_take(const char *path)
{
	struct file f;

	assert_int_equal(read_file(path, SIZE_MAX / 2, &f.bytes, &f.len), 0);
	return f;
}

static struct file created(const struct bundle_create_options *o)
{
	struct err err = { 0 };

	if (bundle_create(o, &err) < 0)
		fail_msg("%s", err.text);
	return file_take(o->output);
}

static bool same(struct file a, struct file b)
{
	return a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0;
}

/* The new bundle, made with the older one that is at old_path. */
static struct file reused(void)
{
	struct bundle_create_options o = options(new_path, LEVEL);

	o.reuse = old_path;
	return created(&o);
}

static void expect_reuse_refused(int exit, const char *why)
{
	struct bundle_create_options o = options(new_path, LEVEL);
	struct err err = { 0 };

	o.reuse = old_path;
	assert_int_equal(bundle_create(&o, &err), -1);
	expect_err(&err, exit, why);
}

/* Where the bytes of an entry of the older bundle are, and how many. */
static struct zipentry entry_of(const char *name)
{
	struct zipentry entry;
	struct err err = { 0 };
	struct bundle *b;

	assert_int_equal(bundle_open(old_path, &(struct bundle_options){ 0 }, &b, &err), 0);
	assert_int_equal(bundle_frames(b, name, 1, &entry, &err), 0);
	bundle_close(b);
	return entry;
}

/* Other bytes in an entry of the older bundle, from `at` on. */
static void spoil(const char *name, size_t at, size_t len)
{
	struct zipentry entry = entry_of(name);
	struct file f = file_take(old_path);

	for (size_t i = 0; i < len && at + i < entry.size; i++)
		f.bytes[entry.offset + at + i] ^= 0x55;
	testdir_put(&dir, "old.zip", f.bytes, f.len);
	free(f.bytes);
}

/* --- */

static void unchanged_frames_are_used_again(void **state)
{
	struct bundle_create_options o = options(old_path, OLD_LEVEL);
	struct file old = created(&o), again = reused(), fresh, itself;

	(void)state;
	assert_true(same(old, again));
	o = options(new_path, LEVEL);
	fresh = created(&o);
	assert_false(same(old, fresh));
	/* It may be the file that is replaced. */
	o = options(old_path, LEVEL);
	o.reuse = old_path;
	itself = created(&o);
	assert_true(same(old, itself));
	free(old.bytes);
	free(again.bytes);
	free(fresh.bytes);
	free(itself.bytes);
}

/* The chunk that changed is made, with the older dictionary; the others are taken, also that which
 * repeats, although another is the first of its kind now. */
static void what_changed_is_made_anew(void **state)
{
	struct bundle_create_options o = options(old_path, OLD_LEVEL);
	struct file old = created(&o), mixed;
	struct chunkindex before, after;
	struct bundle *b[2];
	struct err err = { 0 };

	(void)state;
	image[CHUNK] ^= 1;
	testdir_put(&dir, "rootfs", image, LEN);
	mixed = reused();
	image[CHUNK] ^= 1;
	testdir_put(&dir, "rootfs", image, LEN);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bundle_open(i ? new_path : old_path, &(struct bundle_options){ 0 }, &b[i],
					     &err), 0);
		assert_int_equal(bundle_index(b[i], &bundle_manifest(b[i])->payloads[1], i ? &after : &before,
					      &err), 0);
		bundle_close(b[i]);
	}
	assert_true(before.chunks[3].repeats && !after.chunks[3].repeats);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_equal(before.chunks[i].frame == after.chunks[i].frame, i != 1);
	chunkindex_clear(&before);
	chunkindex_clear(&after);
	free(old.bytes);
	free(mixed.bytes);
}

/* Nothing of them can be used, and what comes is as if they were not there. */
static void bundles_made_otherwise_are_of_no_use_and_do_no_harm(void **state)
{
	static const struct {
		const char *what, *name;
		unsigned chunk_log;
		bool whole_before, whole_now;
	} rows[] = {
		{ "larger chunks", "rootfs", CHUNK_MIN_LOG + 1, false, false },
		{ "no blocks", "rootfs", CHUNK_MIN_LOG, true, false },
		{ "blocks", "rootfs", CHUNK_MIN_LOG, false, true },
		{ "another image", "usr", CHUNK_MIN_LOG, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bundle_create_options o = options(old_path, OLD_LEVEL);
		struct file old, fresh, again;

		o.chunk_log = rows[i].chunk_log;
		o.no_blocks = rows[i].whole_before;
		images[0].name = rows[i].name;
		old = created(&o);
		o = options(new_path, LEVEL);
		o.no_blocks = rows[i].whole_now;
		fresh = created(&o);
		o.reuse = old_path;
		again = created(&o);
		if (!same(fresh, again))
			fail_msg("%s", rows[i].what);
		free(old.bytes);
		free(fresh.bytes);
		free(again.bytes);
	}
}

/* No machine would take it: others signed it. Each frame is compared with what it must give. */
static void nobody_has_to_have_signed_it(void **state)
{
	char key[160], cert[160];
	struct cms_signer stranger = { .key = key, .cert = cert };
	struct bundle_create_options o = options(old_path, OLD_LEVEL);
	struct file unsigned_one = created(&o), signed_one, again;

	(void)state;
	snprintf(key, sizeof key, "%s/stranger.key", dir.path);
	snprintf(cert, sizeof cert, "%s/stranger.crt", dir.path);
	o.signers = &stranger;
	o.signer_count = 1;
	signed_one = created(&o);
	assert_false(same(unsigned_one, signed_one));
	again = reused();
	assert_true(same(unsigned_one, again));
	free(unsigned_one.bytes);
	free(signed_one.bytes);
	free(again.bytes);
}

static void a_damaged_frame_is_made_anew(void **state)
{
	struct bundle_create_options o = options(old_path, OLD_LEVEL);
	struct file old = created(&o), one, none, fresh;

	(void)state;
	spoil("rootfs.img.zst", 1000, 1);
	one = reused();
	assert_false(same(one, old));
	spoil("rootfs.img.zst", 0, SIZE_MAX);
	spoil("uki.efi.zst", 0, SIZE_MAX);
	none = reused();
	assert_false(same(one, none));
	o = options(new_path, LEVEL);
	fresh = created(&o);
	assert_true(same(none, fresh));		/* the dictionary of the same image is the same */
	free(old.bytes);
	free(one.bytes);
	free(none.bytes);
	free(fresh.bytes);
}

/* An index of blocks is not needed; without the others, it is no bundle of which anything is known. */
static void what_the_manifest_pins_must_be_right(void **state)
{
	static const struct {
		const char *entry, *why;
	} rows[] = {
		{ "rootfs.index", "rootfs.index is damaged" },
		{ "rootfs.dict", "rootfs.dict is damaged" },
		{ "manifest.json", "manifest" },
	};
	struct bundle_create_options o = options(old_path, OLD_LEVEL);
	struct file old = created(&o), again;
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		spoil(rows[i].entry, 1, 30);
		expect_reuse_refused(EX_DATAERR, rows[i].why);
		expect_reuse_refused(EX_DATAERR, old_path);
		testdir_put(&dir, "old.zip", old.bytes, old.len);
	}
	testdir_put(&dir, "old.zip", old.bytes, old.len / 2);
	expect_reuse_refused(EX_DATAERR, old_path);
	testdir_text(&dir, "old.zip", "");
	expect_reuse_refused(EX_DATAERR, old_path);
	testdir_put(&dir, "old.zip", old.bytes, old.len);
	spoil("rootfs.4k.index", 40, 1);
	again = reused();
	assert_true(same(old, again));
	assert_int_equal(remove(old_path), 0);
	expect_reuse_refused(EX_NOINPUT, old_path);
	o = options(new_path, LEVEL);
	o.reuse = "https://example.org/old.zip";
	assert_int_equal(bundle_create(&o, &err), -1);
	expect_err(&err, EX_USAGE, "--reuse=https://example.org/old.zip: must be a file; fetch it first");
	free(old.bytes);
	free(again.bytes);
}

/* --- an older bundle with frames that bundle_create() does not make --- */

/* A frame of 4096 zeros behind so many empty blocks of zstd's. */
static size_t long_frame(uint8_t *out, unsigned empty)
{
	static const uint8_t head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x60, 0x00, 0x0f }, last[] = { 0x03, 0x80, 0x00, 0 };

	memcpy(out, head, sizeof head);
	memset(out + sizeof head, 0, 3 * (size_t)empty);
	memcpy(out + sizeof head + 3 * (size_t)empty, last, sizeof last);
	return sizeof head + 3 * (size_t)empty + sizeof last;
}

static void pin(struct pinned_entry *entry, const void *data, size_t len)
{
	entry->size = len;
	EVP_Digest(data, len, entry->sha256, NULL, EVP_sha256(), NULL);
}

/* The older bundle gets these frames for the only chunk of its image, of zeros: in blocks. */
static void frames_set(const uint8_t *frames, size_t len)
{
	static const uint8_t zeros[CHUNK];
	struct chunk row = { .frame = (uint32_t)len, .blocks = true };
	struct chunkindex index = { CHUNK_MIN_LOG, 1, CHUNK, 0, &row };
	struct bundle *b;
	struct err err = { 0 };
	struct manifest *m;
	uint8_t *data;
	size_t data_len;
	char *json;

	EVP_Digest(zeros, CHUNK, row.sha256, NULL, EVP_sha256(), NULL);
	assert_int_equal(chunkindex_encode(&index, &data, &data_len, &err), 0);
	assert_int_equal(bundle_open(old_path, &(struct bundle_options){ 0 }, &b, &err), 0);
	m = (struct manifest *)(uintptr_t)bundle_manifest(b);
	pin(&m->payloads[1].index, data, data_len);
	assert_int_equal(manifest_format(m, &json, &err), 0);
	bundle_close(b);
	testzip_replace(old_path, "manifest.json", json, strlen(json));
	testzip_replace(old_path, "rootfs.index", data, data_len);
	testzip_replace(old_path, "rootfs.img.zst", frames, len);
	free(json);
	free(data);
}

/* 16 frames that decode to 16 blocks of zeros, the first of which is longer than the index of blocks can
 * say. */
static void a_frame_that_is_too_long_is_made_anew(void **state)
{
	static uint8_t zeros[CHUNK], frames[2 * CHUNK];

	(void)state;
	testdir_put(&dir, "rootfs", zeros, CHUNK);
	for (unsigned row = 0; row < 2; row++) {
		struct bundle_create_options o = options(old_path, OLD_LEVEL);
		struct file old = created(&o), fresh, again;
		size_t len = long_frame(frames, row == 0 ? 21000 : 21900);

		for (unsigned k = 1; k < CHUNK / BLOCK_BYTES; k++)
			len += long_frame(frames + len, 0);
		frames_set(frames, len);
		o = options(new_path, LEVEL);
		fresh = created(&o);
		again = reused();
		assert_int_equal(same(fresh, again), row == 1);
		free(old.bytes);
		free(fresh.bytes);
		free(again.bytes);
	}
	testdir_put(&dir, "rootfs", image, LEN);
}

/* Its index would have rows in blocks, which nobody could say the lengths of. */
static void blocks_that_the_manifest_does_not_have_are_refused(void **state)
{
	static uint8_t zeros[CHUNK], frames[CHUNK];
	struct bundle_create_options o = options(old_path, OLD_LEVEL), now = options(new_path, LEVEL);
	struct err err = { 0 };
	size_t len = 0;

	(void)state;
	testdir_put(&dir, "rootfs", zeros, CHUNK);
	o.no_blocks = now.no_blocks = true;
	free(created(&o).bytes);
	for (unsigned k = 0; k < CHUNK / BLOCK_BYTES; k++)
		len += long_frame(frames + len, 0);
	frames_set(frames, len);
	now.reuse = old_path;
	assert_int_equal(bundle_create(&now, &err), -1);
	expect_err(&err, EX_DATAERR, "rootfs.index: chunk 0 is in blocks, and the manifest has none");
	testdir_put(&dir, "rootfs", image, LEN);
}

static int reuse_setup(void **state)
{
	uint32_t seed = 1;

	(void)setup(state);
	for (size_t i = 0; i < LEN; i++) {
		seed = seed * 1103515245 + 12345;
		image[i] = i % 8 ? (uint8_t)(i >> 9) : (uint8_t)(seed >> 20);
	}
	memcpy(image + 3 * CHUNK, image + CHUNK, CHUNK);
	testdir_text(&dir, "uki", "MZ");
	testdir_put(&dir, "rootfs", image, LEN);
	snprintf(uki, sizeof uki, "%s/uki", dir.path);
	snprintf(rootfs, sizeof rootfs, "%s/rootfs", dir.path);
	snprintf(old_path, sizeof old_path, "%s/old.zip", dir.path);
	snprintf(new_path, sizeof new_path, "%s/new.zip", dir.path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unchanged_frames_are_used_again),
		cmocka_unit_test(what_changed_is_made_anew),
		cmocka_unit_test(bundles_made_otherwise_are_of_no_use_and_do_no_harm),
		cmocka_unit_test(nobody_has_to_have_signed_it),
		cmocka_unit_test(a_damaged_frame_is_made_anew),
		cmocka_unit_test(what_the_manifest_pins_must_be_right),
		cmocka_unit_test(a_frame_that_is_too_long_is_made_anew),
		cmocka_unit_test(blocks_that_the_manifest_does_not_have_are_refused),
	};

	return cmocka_run_group_tests(tests, reuse_setup, teardown);
}
