/* SPDX-License-Identifier: MIT */
/* The bundle reader and ZIP files that are damaged, cut short or made to deceive. */
#include "testbundle.h"

#include <fcntl.h>

/* Overwrites every occurrence of a 32-bit number after a ZIP header's signature:
 * local headers hold it at 22, the directory at 24. */
static void patch_size(const char *name, uint32_t is, uint32_t becomes)
{
	uint8_t *data;
	size_t len, n = strlen(name), patched = 0;

	assert_int_equal(read_file(zip_path, SIZE_MAX / 2, &data, &len), 0);
	for (size_t i = 0; i + 46 + n < len; i++) {
		bool local = memcmp(data + i, "PK\3\4", 4) == 0;
		bool central = memcmp(data + i, "PK\1\2", 4) == 0;
		uint8_t *field = data + i + (local ? 22 : 24);

		if ((!local && !central) ||
		    memcmp(data + i + (local ? 30 : 46), name, n) != 0)
			continue;
		assert_memory_equal(field, &is, sizeof is);
		memcpy(field, &becomes, sizeof becomes);
		patched++;
	}
	assert_int_equal(patched, 2);
	testdir_put(&dir, "bundle.zip", data, len);
	free(data);
}

static void a_bomb_is_stopped_at_the_size_the_manifest_says(void **state)
{
	(void)state;
	testbundle_free(&good);
	testbundle_make(&good, &dir, 4000000);
	testbundle_manifest(&good, &dir, -3999000);
	testbundle_zip(&good, zip_path);
	expect_extract_refused("rootfs.img.zst is larger", 1000);
}

static void a_payload_that_ends_early_is_refused(void **state)
{
	(void)state;
	testbundle_manifest(&good, &dir, 1000);
	testbundle_zip(&good, zip_path);
	expect_extract_refused("rootfs.img.zst is shorter", ROOTFS_LEN);
}

static void a_manifest_or_signature_beyond_its_cap_is_refused(void **state)
{
	uint8_t *spaces = malloc(MANIFEST_MAX_BYTES + 1);

	(void)state;
	memset(spaces, ' ', MANIFEST_MAX_BYTES + 1);
	testbundle_set(&good, ENTRY_P7S, spaces, CMS_MAX_BYTES + 1);
	good.entries[ENTRY_P7S].method = ZIP_CM_DEFLATE;
	expect_good_refused("manifest.p7s is larger than 65536 bytes");
	testbundle_set(&good, ENTRY_JSON, spaces, MANIFEST_MAX_BYTES + 1);
	good.entries[ENTRY_JSON].method = ZIP_CM_DEFLATE;
	expect_good_refused("manifest.json is larger than 1048576 bytes");
	free(spaces);
}

static void a_manifest_larger_than_its_header_says_is_refused(void **state)
{
	uint32_t len = (uint32_t)good.entries[ENTRY_JSON].len;

	(void)state;
	good.entries[ENTRY_JSON].method = ZIP_CM_DEFLATE;
	testbundle_zip(&good, zip_path);
	patch_size("manifest.json", len, len - 9);
	expect_refused(EX_DATAERR, "manifest.json does not have the size the ZIP says");
}

static void encrypted_entries_are_refused(void **state)
{
	(void)state;
	good.entries[ENTRY_ROOTFS].encryption = ZIP_EM_TRAD_PKWARE;
	expect_good_refused("rootfs.img.zst is encrypted");
	good.entries[ENTRY_ROOTFS].encryption = ZIP_EM_AES_256;
	expect_good_refused("rootfs.img.zst is encrypted");
	good.entries[ENTRY_JSON].encryption = ZIP_EM_AES_256;
	expect_good_refused("manifest.json is encrypted");
}

static void other_compressions_are_refused_by_their_number(void **state)
{
	(void)state;
	good.entries[ENTRY_ROOTFS].method = ZIP_CM_BZIP2;
	expect_good_refused("rootfs.img.zst is compressed by method 12");
}

static void two_entries_of_one_name_are_refused(void **state)
{
	uint8_t *data;
	size_t len, patched = 0;

	(void)state;
	good.entries[ENTRY_UKI].name = "rootfs.img.zsT";
	testbundle_zip(&good, zip_path);
	assert_int_equal(read_file(zip_path, SIZE_MAX / 2, &data, &len), 0);
	for (size_t i = 0; i + 14 < len; i++)
		if (memcmp(data + i, "rootfs.img.zsT", 14) == 0) {
			data[i + 13] = 't';
			patched++;
		}
	assert_int_equal(patched, 2);
	testdir_put(&dir, "bundle.zip", data, len);
	free(data);
	expect_refused(EX_DATAERR, "two entries of the ZIP have the same name");
}

static void what_is_no_zip_is_refused(void **state)
{
	(void)state;
	testdir_text(&dir, "bundle.zip", "");
	expect_refused(EX_DATAERR, "it is empty");
	testdir_text(&dir, "bundle.zip", "<html>404</html>");
	expect_refused(EX_DATAERR, "it is not a ZIP file");
}

static void what_is_no_file_is_refused(void **state)
{
	(void)state;
	remove(zip_path);
	expect_refused(EX_NOINPUT, "No such file or directory");
	assert_int_equal(mkfifo(zip_path, 0600), 0);
	expect_refused(EX_NOINPUT, "not a regular file");
	remove(zip_path);
	assert_int_equal(mkdir(zip_path, 0700), 0);
	expect_refused(EX_NOINPUT, "not a regular file");
	rmdir(zip_path);
}

static void a_zip_cut_short_anywhere_is_refused(void **state)
{
	struct stat st;

	(void)state;
	testbundle_zip(&good, zip_path);
	assert_int_equal(stat(zip_path, &st), 0);
	for (off_t len = st.st_size - 1; len >= 4; len--) {
		assert_int_equal(truncate(zip_path, len), 0);
		expect_refused(EX_DATAERR, "truncated");
	}
}

/* Opens and extracts; 1 if that gave exactly what was signed, 0 if refused. */
static int read_as_signed(void)
{
	struct seen seen = { 0 };
	struct bundle *b = NULL;
	struct err err;
	int r = open_zip(&b, &err);

	if (r == 0)
		r = bundle_extract(b, &bundle_manifest(b)->payloads[1], sink, &seen, NULL, &err);
	if (r == 0) {
		assert_int_equal(seen.len, good.rootfs_len);
		assert_memory_equal(seen.data, good.rootfs, seen.len);
		assert_string_equal(bundle_manifest(b)->version, "1.4.2");
	}
	free(seen.data);
	bundle_close(b);
	return r == 0;
}

static void no_flipped_byte_gets_through(void **state)
{
	uint8_t byte, flipped;
	off_t passed = 0, len;
	int fd;

	(void)state;
	testbundle_free(&good);
	testbundle_make(&good, &dir, 200);
	testbundle_zip(&good, zip_path);
	fd = open(zip_path, O_RDWR);
	len = lseek(fd, 0, SEEK_END);
	for (off_t i = 0; i < len; i++) {
		assert_int_equal(pread_full(fd, &byte, 1, i), 0);
		flipped = byte ^ 0x55;
		assert_int_equal(pwrite_full(fd, &flipped, 1, i), 0);
		passed += read_as_signed();
		assert_int_equal(pwrite_full(fd, &byte, 1, i), 0);
	}
	close(fd);
	assert_true(passed < len / 2);	/* times, versions, attributes */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bomb_is_stopped_at_the_size_the_manifest_says),
		TEST(a_payload_that_ends_early_is_refused),
		TEST(a_manifest_or_signature_beyond_its_cap_is_refused),
		TEST(a_manifest_larger_than_its_header_says_is_refused),
		TEST(encrypted_entries_are_refused),
		TEST(other_compressions_are_refused_by_their_number),
		TEST(two_entries_of_one_name_are_refused),
		TEST(what_is_no_zip_is_refused),
		TEST(what_is_no_file_is_refused),
		TEST(a_zip_cut_short_anywhere_is_refused),
		TEST(no_flipped_byte_gets_through),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
