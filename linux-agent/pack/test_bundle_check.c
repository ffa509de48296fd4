/* SPDX-License-Identifier: MIT */
#include "bundle_check.h"

#include "bundle_create.h"
#include "testbundle.h"

enum { LEN = 400000 };

static char output[128];

static int make(void **state)
{
	char uki[128], image[128], base[128];
	const struct bundle_image images[] = { { .name = "rootfs", .file = image } };
	const struct bundle_base bases[] = { { "rootfs", base } };
	const struct bundle_create_options o = {
		.output = output, .compatible = "a", .version = "1", .uki = uki, .images = images,
		.image_count = 1, .bases = bases, .base_count = 1, .chunk_log = CHUNK_MIN_LOG,
	};
	uint8_t *bytes = malloc(LEN);
	struct err err = { 0 };
	uint32_t seed = 1;

	(void)state;
	testdir_make(&dir);
	snprintf(output, sizeof output, "%s/out.zip", dir.path);
	snprintf(uki, sizeof uki, "%s/uki", dir.path);
	snprintf(image, sizeof image, "%s/image", dir.path);
	snprintf(base, sizeof base, "%s/base", dir.path);
	for (size_t i = 0; i < LEN; i++) {
		seed = seed * 1103515245 + 12345;	/* no block is like another */
		bytes[i] = (uint8_t)(seed >> 16 & 15);
	}
	testdir_text(&dir, "uki", "MZ");
	testdir_put(&dir, "image", bytes, LEN);
	for (size_t i = 0; i < LEN / 2; i += 1000)
		bytes[i] ^= 1;
	testdir_put(&dir, "base", bytes, LEN);
	free(bytes);
	if (bundle_create(&o, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	testdir_remove(&dir);
	return 0;
}

/* Opens it, too. wrong: as if the manifest had another hash of the image. */
static int check(bool wrong, struct err *err)
{
	_cleanup_(bundle_closep) struct bundle *b = NULL;

	if (bundle_open(output, &(struct bundle_options){ 0 }, &b, err) < 0)
		return -1;
	if (wrong)
		((struct manifest *)(uintptr_t)bundle_manifest(b))->payloads[1].sha256[31] ^= 1;
	return bundle_check(b, err);
}

static void a_good_bundle_is_good(void **state)
{
	_cleanup_(bundle_closep) struct bundle *b = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(bundle_open(output, &(struct bundle_options){ 0 }, &b, &err), 0);
	assert_int_equal(bundle_manifest(b)->payloads[1].base_count, 1);
	assert_non_null(bundle_manifest(b)->payloads[1].blocks.dictionary.file);
	if (bundle_check(b, &err) < 0)
		fail_msg("%s", err.text);
}

/* Rewrites one entry with its byte `at` changed (negative: from the end), or one byte longer
 * (at == LEN), so that the ZIP's own CRC is right. */
static void spoil(const char *name, long at)
{
	zip_t *zip = zip_open(output, ZIP_RDONLY, NULL);
	zip_file_t *file = zip_fopen(zip, name, 0);
	zip_stat_t st;
	uint8_t *data;
	size_t len;

	assert_int_equal(zip_stat(zip, name, 0, &st), 0);
	len = st.size;
	assert_true(len > 0);
	data = calloc(1, len + 1);
	assert_int_equal(zip_fread(file, data, len), len);
	zip_fclose(file);
	zip_discard(zip);
	if (at == LEN)
		len++;
	else
		data[at < 0 ? (size_t)((long)len + at) : (size_t)at] ^= 0x55;
	testzip_replace(output, name, data, len);
	free(data);
}

static void each_entry_that_is_damaged_is_named(void **state)
{
	static const struct {
		const char *name;
		long at;
		const char *why;
	} rows[] = {
		{ "rootfs.index", 40, "rootfs.index is damaged or altered" },
		{ "rootfs.index", LEN, "bytes in the ZIP and" },
		{ "rootfs.4k.index", 40, "rootfs.4k.index is damaged or altered" },
		{ "rootfs.dict", 40, "rootfs.dict is damaged or altered" },
		{ "rootfs.from-1.index", 60, "rootfs.from-1.index is damaged or altered" },
		{ "rootfs.img.zst", 3000, "rootfs.img.zst is damaged" },
		{ "rootfs.img.zst", -6, "rootfs.img.zst is damaged" },
		{ "rootfs.img.zst", LEN, "rootfs.img.zst is longer" },
		{ "rootfs.from-1.zst", 0, "rootfs.from-1.zst is damaged" },
		{ "rootfs.from-1.zst", LEN, "rootfs.from-1.zst is longer" },
		{ "uki.efi.zst", 10, "uki.efi.zst is damaged" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t *good_bytes;
		size_t len;
		struct err err = { 0 };

		assert_int_equal(read_file(output, SIZE_MAX / 2, &good_bytes, &len), 0);
		spoil(rows[i].name, rows[i].at);
		if (check(false, &err) != -1 || !strstr(err.text, rows[i].why) ||
		    err.exit != EX_DATAERR)
			fail_msg("row %zu (%s): got: %s", i, rows[i].why, err.text);
		testdir_put(&dir, "out.zip", good_bytes, len);
		free(good_bytes);
	}
}

static void a_missing_entry_is_named(void **state)
{
	uint8_t *good_bytes;
	size_t len;
	struct err err = { 0 };
	zip_t *zip;

	(void)state;
	assert_int_equal(read_file(output, SIZE_MAX / 2, &good_bytes, &len), 0);
	zip = zip_open(output, 0, NULL);
	assert_int_equal(zip_delete(zip, (zip_uint64_t)zip_name_locate(zip, "rootfs.4k.index", 0)), 0);
	assert_int_equal(zip_close(zip), 0);
	assert_int_equal(check(false, &err), -1);
	assert_non_null(strstr(err.text, "rootfs.4k.index is missing"));
	testdir_put(&dir, "out.zip", good_bytes, len);
	free(good_bytes);
}

static void a_payload_that_is_not_the_manifests_is_refused(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(check(true, &err), -1);
	assert_int_equal(err.exit, EX_DATAERR);
	assert_non_null(strstr(err.text, "rootfs as a whole is not what the manifest says"));
}

/* No machine looks at it; unzip does. */
static void a_wrong_crc_of_frames_is_named(void **state)
{
	static const char *const names[] = { "uki.efi.zst", "rootfs.img.zst", "rootfs.from-1.zst" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint8_t *good_bytes, *bytes;
		size_t len, n = strlen(names[i]);
		struct err err = { 0 };
		char why[64];

		assert_int_equal(read_file(output, SIZE_MAX / 2, &good_bytes, &len), 0);
		bytes = malloc(len);
		memcpy(bytes, good_bytes, len);
		for (size_t at = 0; at + 46 + n < len; at++) {
			if (memcmp(bytes + at, "PK\3\4", 4) == 0 && memcmp(bytes + at + 30, names[i], n) == 0)
				bytes[at + 14] ^= 1;
			if (memcmp(bytes + at, "PK\1\2", 4) == 0 && memcmp(bytes + at + 46, names[i], n) == 0)
				bytes[at + 16] ^= 1;
		}
		testdir_put(&dir, "out.zip", bytes, len);
		free(bytes);
		snprintf(why, sizeof why, "%s does not have the CRC", names[i]);
		if (check(false, &err) != -1 || !strstr(err.text, why) || err.exit != EX_DATAERR)
			fail_msg("%s: got: %s", names[i], err.text);
		testdir_put(&dir, "out.zip", good_bytes, len);
		free(good_bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_bundle_is_good),
		cmocka_unit_test(each_entry_that_is_damaged_is_named),
		cmocka_unit_test(a_missing_entry_is_named),
		cmocka_unit_test(a_payload_that_is_not_the_manifests_is_refused),
		cmocka_unit_test(a_wrong_crc_of_frames_is_named),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
