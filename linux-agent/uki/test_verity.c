/* SPDX-License-Identifier: MIT */
#include "verity.h"

#include "bytes.h"
#include "testdir.h"
#include "io.h"

#include <sys/stat.h>

/* Made by veritysetup (cryptsetup 2.6): SHA-256, 4096-byte blocks. */
#define SALT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct testdir dir;
static char image[128];

/* An image of so many data blocks with its tree behind it; false: no veritysetup. */
static bool image_make(unsigned blocks, unsigned block_size, char root[65])
{
	char command[512], line[256];
	FILE *f = fopen(image, "w");
	bool found = false;

	for (unsigned i = 0; i < blocks * block_size; i++)
		fputc((int)((i * 2654435761u) >> 24), f);
	fclose(f);
	snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin veritysetup format "
		 "--data-block-size=%u --hash-block-size=%u --data-blocks=%u --hash-offset=%u "
		 "--salt=" SALT " %s %s 2>/dev/null", block_size, block_size, blocks,
		 blocks * block_size, image, image);
	f = popen(command, "r");
	while (fgets(line, sizeof line, f))
		found |= sscanf(line, "Root hash: %64s", root) == 1;
	(void)pclose(f);
	return found;
}

static void flip_byte(long at)
{
	FILE *f = fopen(image, "r+");
	int byte;

	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	byte = fgetc(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	fputc(byte ^ 1, f);
	fclose(f);
}

/* Feeds the image in pieces; 0 or -1 with err. */
static int scan_pieces(const char *root, size_t piece, struct err *err)
{
	struct verity_scan scan;
	uint8_t *bytes;
	size_t len;
	int r;

	*err = (struct err){ 0 };
	assert_int_equal(read_file(image, 64 << 20, &bytes, &len), 0);
	assert_int_equal(verity_scan_begin(&scan, root, err), 0);
	for (size_t at = 0; at < len; at += piece)
		assert_int_equal(verity_scan_feed(&scan, bytes + at,
						  len - at < piece ? len - at : piece, err), 0);
	r = verity_scan_finish(&scan, "rootfs", err);
	verity_scan_clear(&scan);
	free(bytes);
	return r;
}

static void the_tree_is_found_whatever_the_pieces(void **state)
{
	static const size_t pieces[] = { 1, 511, 512, 513, 700, 4096, 5000, 1 << 20 };
	struct err err;
	char root[65];

	(void)state;
	if (!image_make(40, 4096, root))
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
		if (scan_pieces(root, pieces[i], &err) < 0)
			fail_msg("pieces of %zu: %s", pieces[i], err.text);
}

static void another_root_hash_is_refused_with_both(void **state)
{
	struct err err;
	char root[65], other[65];

	(void)state;
	if (!image_make(3, 4096, root))
		skip();
	strcpy(other, root);
	other[10] = other[10] == '0' ? '1' : '0';
	assert_int_equal(scan_pieces(other, 4096, &err), -1);
	assert_int_equal(err.exit, EX_DATAERR);
	assert_non_null(strstr(err.text, "the image rootfs does not belong to its root hash"));
	assert_non_null(strstr(err.text, root));
	assert_non_null(strstr(err.text, other));
	assert_int_equal(verity_check_file(image, image, other, &err), -1);
}

static void an_image_without_a_tree_is_refused(void **state)
{
	struct err err;
	char root[65];

	(void)state;
	if (!image_make(40, 4096, root))
		skip();
	flip_byte(40 * 4096);		/* the superblock's magic */
	assert_int_equal(scan_pieces(root, 4096, &err), -1);
	assert_non_null(strstr(err.text, "no dm-verity tree in it"));
	assert_true(image_make(40, 4096, root));
	flip_byte(40 * 4096 + 72);	/* its number of blocks: it is behind other data */
	assert_int_equal(scan_pieces(root, 4096, &err), -1);
	assert_non_null(strstr(err.text, "no dm-verity tree in it"));
	assert_true(image_make(40, 4096, root));
	assert_int_equal(truncate(image, 40 * 4096 + 4096 + 4095), 0);
	assert_int_equal(scan_pieces(root, 4096, &err), -1);
	assert_non_null(strstr(err.text, "no dm-verity tree in it"));
}

static void a_damaged_top_block_or_salt_is_refused(void **state)
{
	static const long at[] = { 40 * 4096 + 88, 41 * 4096, 42 * 4096 - 1 };
	struct err err;
	char root[65];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		if (!image_make(40, 4096, root))
			skip();
		flip_byte(at[i]);
		assert_int_equal(scan_pieces(root, 4096, &err), -1);
		assert_non_null(strstr(err.text, "does not belong to its root hash"));
	}
}

/* Levels: 1, 2 and 3, with whole and broken blocks at the edges. */
static void the_build_machine_computes_the_tree_from_the_data(void **state)
{
	static const struct {
		unsigned blocks, size;
	} rows[] = { { 2, 4096 }, { 128, 4096 }, { 129, 4096 }, { 300, 4096 }, { 16, 512 },
		     { 17, 512 }, { 256, 512 }, { 257, 512 }, { 5000, 512 } };
	struct err err = { 0 };
	char root[65];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!image_make(rows[i].blocks, rows[i].size, root))
			skip();
		if (verity_check_file(image, image, root, &err) < 0)
			fail_msg("%u of %u: %s", rows[i].blocks, rows[i].size, err.text);
		flip_byte((long)(rows[i].blocks * rows[i].size - 1));
		assert_int_equal(verity_check_file(image, image, root, &err), -1);
		assert_int_equal(err.exit, EX_DATAERR);
		assert_non_null(strstr(err.text, "is not what its dm-verity tree was made of"));
	}
	assert_int_equal(verity_check_file("/nonexistent", "/nonexistent", root, &err), -1);
	assert_int_equal(err.exit, EX_NOINPUT);
}

/* In a slot larger than the image; with the tree near the end, or far from it. */
static void a_written_image_is_checked_in_its_place(void **state)
{
	static const unsigned blocks[] = { 40, 1500 };
	struct err err = { 0 };
	char root[65], other[65];
	struct stat st;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		for (unsigned behind = 0; behind < 2; behind++) {
			if (!image_make(blocks[i], 4096, root))
				skip();
			assert_int_equal(stat(image, &st), 0);
			assert_int_equal(truncate(image, st.st_size + (16 << 20)), 0);
			if (behind)
				st.st_size += 8 << 20;
			if (verity_check_disk(&disk_posix, image, (uint64_t)st.st_size, root,
					      &err) < 0)
				fail_msg("%u blocks: %s", blocks[i], err.text);
			strcpy(other, root);
			other[0] = other[0] == '0' ? '1' : '0';
			assert_int_equal(verity_check_disk(&disk_posix, image,
							   (uint64_t)st.st_size, other, &err), -1);
			assert_int_equal(err.exit, EX_DATAERR);
			assert_int_equal(verity_check_disk(&disk_posix, image, 64 << 20, other,
							   &err), -1);
			assert_int_equal(err.exit, EX_IOERR);
		}
}

static void super_make(uint8_t bytes[VERITY_SUPER_BYTES])
{
	memset(bytes, 0, VERITY_SUPER_BYTES);
	memcpy(bytes, "verity", 6);
	bytes[8] = bytes[12] = 1;
	memcpy(bytes + 32, "sha256", 6);
	le32_put(bytes + 64, 4096);
	le32_put(bytes + 68, 4096);
	le64_put(bytes + 72, 40);
	le16_put(bytes + 80, 32);
}

static void each_field_of_the_superblock_is_checked(void **state)
{
	static const struct {
		unsigned at;
		uint64_t value;
		unsigned size;
	} rows[] = {
		{ 0, 'V', 1 }, { 7, 1, 1 }, { 8, 2, 4 }, { 12, 0, 4 }, { 12, 2, 4 },
		{ 32, 'x', 1 }, { 64, 0, 4 }, { 64, 256, 4 }, { 64, 4097, 4 },
		{ 64, 131072, 4 }, { 68, 0, 4 }, { 68, 131072, 4 }, { 72, 0, 8 },
		{ 72, UINT64_MAX, 8 }, { 72, (uint64_t)INT64_MAX / 4096 + 1, 8 },
		{ 80, 257, 2 }, { 80, 65535, 2 },
	};
	uint8_t bytes[VERITY_SUPER_BYTES];
	struct verity_super super;

	(void)state;
	super_make(bytes);
	assert_true(verity_super_parse(bytes, &super));
	assert_int_equal(super.data_blocks, 40);
	assert_string_equal(super.digest, "sha256");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		super_make(bytes);
		for (unsigned b = 0; b < rows[i].size; b++)
			bytes[rows[i].at + b] = (uint8_t)(rows[i].value >> 8 * b);
		if (verity_super_parse(bytes, &super))
			fail_msg("row %zu", i);
	}
	super_make(bytes);
	memset(bytes + 32, 'a', 32);	/* a digest's name without an end */
	assert_false(verity_super_parse(bytes, &super));
}

static int each_setup(void **state)
{
	(void)state;
	testdir_make(&dir);
	snprintf(image, sizeof image, "%s/image", dir.path);
	return 0;
}

static int each_teardown(void **state)
{
	(void)state;
	testdir_remove(&dir);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, each_setup, each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_tree_is_found_whatever_the_pieces),
		TEST(another_root_hash_is_refused_with_both),
		TEST(an_image_without_a_tree_is_refused),
		TEST(a_damaged_top_block_or_salt_is_refused),
		TEST(the_build_machine_computes_the_tree_from_the_data),
		TEST(a_written_image_is_checked_in_its_place),
		TEST(each_field_of_the_superblock_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
