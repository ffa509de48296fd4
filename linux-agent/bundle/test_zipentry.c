/* SPDX-License-Identifier: MIT */
/* The bundle reader and ZIP files that are damaged, cut short or made to deceive. */
#include "bytes.h"
#include "testbundle.h"
#include "zipentry.h"

#include <fcntl.h>

/* The index is right and the frames yield more, or less. */
static void frames_that_yield_more_or_less_than_the_index_says_are_refused(void **state)
{
	static const size_t lens[] = { ROOTFS_LEN - 1, ROOTFS_LEN + 1, 50000000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct testentry *e = &good.entries[ENTRY_ROOTFS];
		uint8_t *zeros = calloc(lens[i], 1), *frame = malloc(ZSTD_compressBound(lens[i]));

		testbundle_set(&good, ENTRY_ROOTFS, frame,
			       ZSTD_compress(frame, ZSTD_compressBound(lens[i]), zeros, lens[i], 1));
		e->data = realloc(e->data, e->len + 5000);
		memset(e->data + e->len, 0, 5000);
		e->len += 5000;
		testbundle_zip(&good, zip_path);
		expect_extract_refused("rootfs.img.zst is damaged or altered: chunk 0", 0);
		free(zeros);
		free(frame);
	}
}

static void frames_shorter_than_their_index_says_are_refused(void **state)
{
	(void)state;
	good.entries[ENTRY_ROOTFS].len -= 64;	/* more than the seek table behind them */
	testbundle_zip(&good, zip_path);
	expect_extract_refused("its index tells of", 0);
}

static void an_index_that_the_manifest_does_not_pin_is_refused(void **state)
{
	(void)state;
	good.entries[ENTRY_ROOTFS_INDEX].data[24] ^= 1;
	testbundle_zip(&good, zip_path);
	expect_extract_refused("rootfs.index is damaged or altered", 0);
	good.entries[ENTRY_ROOTFS_INDEX].len--;
	testbundle_zip(&good, zip_path);
	expect_extract_refused("rootfs.index is 59 bytes in the ZIP and 60 in the manifest", 0);
}

static void a_manifest_or_signature_beyond_its_cap_is_refused(void **state)
{
	uint8_t *spaces = malloc(MANIFEST_MAX_BYTES + 1);

	(void)state;
	memset(spaces, ' ', MANIFEST_MAX_BYTES + 1);
	testbundle_set(&good, ENTRY_P7S, spaces, CMS_MAX_BYTES + 1);
	expect_good_refused("manifest.p7s is larger than 65536 bytes");
	testbundle_set(&good, ENTRY_JSON, spaces, MANIFEST_MAX_BYTES + 1);
	expect_good_refused("manifest.json is larger than 1048576 bytes");
	free(spaces);
}

/* Changes count bytes at so many after the start of an entry's header: in the local
 * header, in the directory, or in both. */
enum { IN_LOCAL = 1, IN_CENTRAL = 2 };
static void patch_header(const char *name, int where, size_t local_at, const void *bytes,
			 size_t count)
{
	uint8_t *data;
	size_t len, n = strlen(name);
	int patched = 0;

	testbundle_zip(&good, zip_path);
	assert_int_equal(read_file(zip_path, SIZE_MAX / 2, &data, &len), 0);
	for (size_t i = 0; i + 46 + n < len; i++) {
		bool local = memcmp(data + i, "PK\3\4", 4) == 0;
		bool central = memcmp(data + i, "PK\1\2", 4) == 0;

		if ((!local && !central) || memcmp(data + i + (local ? 30 : 46), name, n) != 0 ||
		    !(where & (local ? IN_LOCAL : IN_CENTRAL)))
			continue;
		memcpy(data + i + local_at + (central ? 2 : 0), bytes, count);
		patched |= local ? IN_LOCAL : IN_CENTRAL;
	}
	assert_int_equal(patched, where);
	testdir_put(&dir, "bundle.zip", data, len);
	free(data);
}

static void a_local_header_that_disagrees_with_the_directory_is_refused(void **state)
{
	static const struct {
		const char *what;
		size_t at, count;
		const char *bytes, *why;
	} rows[] = {
		{ "signature", 0, 1, "X", "local header" },
		{ "flag: encrypted", 6, 1, "\1", "is encrypted" },
		{ "flag: data descriptor", 6, 1, "\10", "a data descriptor" },
		{ "method", 8, 1, "\14", "is compressed by method 12" },
		{ "CRC", 14, 1, "\1", "disagrees with the ZIP's directory" },
		{ "packed size", 18, 4, "\1\0\0\0", "cannot be true" },
		{ "size", 22, 4, "\1\0\0\0", "cannot be true" },
		{ "ZIP64 without its field", 18, 8, "\377\377\377\377\377\377\377\377",
		  "has no size in its local header" },
		{ "name", 30, 1, "X", "local header" },
		{ "name length", 26, 1, "\1", "local header" },
		{ "extra length: the bytes are others then", 28, 1, "\1", "is damaged" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		patch_header("rootfs.img.zst", IN_LOCAL, rows[i].at, rows[i].bytes, rows[i].count);
		expect_extract_refused(rows[i].why, 0);
		patch_header("manifest.json", IN_LOCAL, rows[i].at, rows[i].bytes, rows[i].count);
		expect_refused(EX_DATAERR, rows[i].at == 0 ? "not a ZIP" : rows[i].why);
	}
}

static void lies_in_the_directory_are_refused(void **state)
{
	static const char lie[] = "its directory does not hold what its end says";
	static const struct {
		size_t at, count;	/* at: in the directory 2 less */
		const char *bytes, *why;
		bool when_read;		/* and not when the bundle is opened */
	} rows[] = {
		{ 26, 2, "\377\377", lie, false },	/* the lengths of name, extra fields, comment */
		{ 28, 2, "\377\377", lie, false },
		{ 30, 2, "\377\377", lie, false },
		{ 26, 1, "\5", "", false },		/* a shorter name, and so longer extra fields */
		{ 26, 1, "\0", "name is not plain", false },
		{ 44, 1, "\0", "name is not plain", false },
		{ 32, 1, "\1", lie, false },		/* another disk */
		{ 18, 4, "\377\377\377\377", lie, false },	/* ZIP64 without its fields */
		{ 22, 4, "\377\377\377\377", lie, false },
		{ 40, 4, "\377\377\377\377", lie, false },
		{ 6, 1, "\1", "is encrypted", true },
		{ 6, 1, "\10", "a data descriptor", true },
		{ 8, 1, "\10", "is compressed by method 8", true },
		{ 18, 8, "\0\0\0\0\0\0\0\0", "is empty", true },
		{ 18, 4, "\1\0\0\0", "cannot be true", true },
		{ 14, 1, "\1", "disagrees with the ZIP's directory", true },
		{ 18, 8, "\1\0\0\0\1\0\0\0", "disagrees with the ZIP's directory", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		patch_header("rootfs.img.zst", IN_CENTRAL, rows[i].at, rows[i].bytes, rows[i].count);
		if (rows[i].when_read)
			expect_extract_refused(rows[i].why, 0);
		else
			expect_refused(EX_DATAERR, rows[i].why);
	}
}

/* A field of ZIP64 in the directory, of so many numbers: size, packed size, offset. */
static void put_zip64_field(size_t numbers)
{
	static const char name[] = "rootfs.img.zst";
	uint8_t field[28] = { 1, 0, (uint8_t)(8 * numbers) }, *data, *h = NULL;
	size_t len, field_len = 4 + 8 * numbers, behind;

	testbundle_zip(&good, zip_path);
	assert_int_equal(read_file(zip_path, SIZE_MAX / 2, &data, &len), 0);
	data = realloc(data, len + field_len);
	for (size_t at = 0; at + 60 < len; at++)
		if (memcmp(data + at, "PK\1\2", 4) == 0 && memcmp(data + at + 46, name, 14) == 0)
			h = data + at;
	assert_non_null(h);
	le64_put(field + 4, le32_get(h + 24));
	le64_put(field + 12, le32_get(h + 20));
	le64_put(field + 20, le32_get(h + 42));
	memset(h + 20, 0xff, 8);
	memset(h + 42, 0xff, 4);
	le16_put(h + 30, (uint16_t)(le16_get(h + 30) + field_len));
	behind = (size_t)(h + 60 - data);
	memmove(data + behind + field_len, data + behind, len - behind);
	memcpy(data + behind, field, field_len);
	len += field_len;
	le32_put(data + len - 10, le32_get(data + len - 10) + (uint32_t)field_len);
	testdir_put(&dir, "bundle.zip", data, len);
	free(data);
}

/* The same in the local header, where both sizes must be; all behind it moves. */
static void put_local_zip64_field(size_t numbers)
{
	static const char name[] = "rootfs.img.zst";
	uint8_t field[20] = { 1, 0, (uint8_t)(8 * numbers) }, *data, *h = NULL;
	size_t len, field_len = 4 + 8 * numbers, behind;

	testbundle_zip(&good, zip_path);
	assert_int_equal(read_file(zip_path, SIZE_MAX / 2, &data, &len), 0);
	data = realloc(data, len + field_len);
	for (size_t at = 0; at + 44 < len; at++)
		if (memcmp(data + at, "PK\3\4", 4) == 0 && memcmp(data + at + 30, name, 14) == 0)
			h = data + at;
	assert_non_null(h);
	for (size_t at = 0; at + 46 < len; at++)
		if (memcmp(data + at, "PK\1\2", 4) == 0 && le32_get(data + at + 42) > (size_t)(h - data))
			le32_put(data + at + 42, le32_get(data + at + 42) + (uint32_t)field_len);
	le64_put(field + 4, le32_get(h + 22));
	le64_put(field + 12, le32_get(h + 18));
	memset(h + 18, 0xff, 8);
	le16_put(h + 28, (uint16_t)(le16_get(h + 28) + field_len));
	behind = (size_t)(h + 44 - data);
	memmove(data + behind + field_len, data + behind, len - behind);
	memcpy(data + behind, field, field_len);
	len += field_len;
	le32_put(data + len - 6, le32_get(data + len - 6) + (uint32_t)field_len);
	testdir_put(&dir, "bundle.zip", data, len);
	free(data);
}

static void zip64_fields_are_read_and_must_be_whole(void **state)
{
	static void (*const put[])(size_t) = { put_zip64_field, put_local_zip64_field };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(put); i++) {
		struct seen seen = { 0 };
		struct bundle *b;
		struct err err;

		put[i](3 - i);
		if (open_zip(&b, &err) < 0 ||
		    bundle_extract(b, &bundle_manifest(b)->payloads[1], sink, &seen, NULL, &err) < 0)
			fail_msg("%zu: %s", i, err.text);
		assert_memory_equal(seen.data, good.rootfs, ROOTFS_LEN);
		free(seen.data);
		bundle_close(b);
	}
	put_zip64_field(2);
	expect_refused(EX_DATAERR, "its directory does not hold what its end says");
	put_local_zip64_field(1);
	expect_extract_refused("rootfs.img.zst has no size in its local header", 0);
}

static void a_local_header_with_long_extra_fields_is_refused(void **state)
{
	(void)state;
	patch_header("rootfs.img.zst", IN_LOCAL, 28, "\101", 1);
	expect_extract_refused("local header", 0);
}

static void a_wrong_crc_is_refused_although_the_hash_is_right(void **state)
{
	static const char crc[] = "\1\2\3\4";

	(void)state;
	patch_header("manifest.json", IN_LOCAL | IN_CENTRAL, 14, crc, 4);
	expect_refused(EX_DATAERR, "manifest.json is damaged: its CRC differs");
	patch_header("rootfs.index", IN_LOCAL | IN_CENTRAL, 14, crc, 4);
	expect_extract_refused("rootfs.index is damaged: its CRC differs", 0);
}

static void a_right_crc_does_not_help_wrong_bytes(void **state)
{
	(void)state;
	good.entries[ENTRY_ROOTFS].data[100] ^= 1;
	testbundle_zip(&good, zip_path);
	expect_extract_refused("chunk 0 does not have the SHA-256", 0);
}

static void an_entry_that_begins_elsewhere_than_it_says_is_refused(void **state)
{
	uint8_t at[4] = { 0 };

	(void)state;
	/* The offset of the local header: on another's, and far behind the end. */
	patch_header("rootfs.img.zst", IN_CENTRAL, 40, at, 4);
	expect_extract_refused("local header", 0);
	memset(at, 0x7f, sizeof at);
	patch_header("rootfs.img.zst", IN_CENTRAL, 40, at, 4);
	expect_extract_refused("", 0);
}

/* Every byte is as it was signed, and the index lies within the frames. */
static void an_entry_within_another_is_refused(void **state)
{
	struct testentry *index = &good.entries[ENTRY_ROOTFS_INDEX];
	struct testentry *frames = &good.entries[ENTRY_ROOTFS];
	size_t header_len = 30 + strlen(index->name), n = frames->len;
	uint8_t *zip, at[4];
	size_t len;

	(void)state;
	frames->data = realloc(frames->data, n + header_len + index->len);
	frames->len += header_len + index->len;
	testbundle_zip(&good, zip_path);
	assert_int_equal(read_file(zip_path, SIZE_MAX / 2, &zip, &len), 0);
	for (size_t i = 0; i + header_len + index->len < len; i++)
		if (memcmp(zip + i, "PK\3\4", 4) == 0 &&
		    memcmp(zip + i + 30, index->name, strlen(index->name)) == 0)
			memcpy(frames->data + n, zip + i, header_len + index->len);
	patch_header("rootfs.index", 0, 0, "", 0);
	free(zip);
	assert_int_equal(read_file(zip_path, SIZE_MAX / 2, &zip, &len), 0);
	for (size_t i = 0, seen = 0; i + header_len < len; i++)
		if (memcmp(zip + i, frames->data + n, header_len) == 0 && ++seen == 2)
			for (int k = 0; k < 4; k++)
				at[k] = (uint8_t)(i >> 8 * k);
	free(zip);
	patch_header("rootfs.index", IN_CENTRAL, 40, at, 4);
	expect_extract_refused("rootfs.img.zst and rootfs.index overlap in the ZIP", 0);
}

static void names_that_are_not_plain_are_refused(void **state)
{
	static char long_name[ZIPENTRY_NAME_MAX + 2];
	static const char *const names[] = { "../etc/passwd", "/etc/passwd", "a/b", ".hidden",
					     "a\\b", "dir/", "b\xc3\xa4r", long_name };

	(void)state;
	memset(long_name, 'x', ZIPENTRY_NAME_MAX + 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		good.entries[ENTRY_ROOTFS].name = names[i];
		expect_good_refused("whose name is not plain");
	}
}

static void a_link_or_device_in_the_zip_is_refused(void **state)
{
	/* External attributes: 40 in the directory, the upper half is st_mode. */
	static const char link[] = "\377\241", device[] = "\377\141";
	static const char system[] = "\3";

	(void)state;
	for (int i = 0; i < 2; i++) {
		uint8_t *data;
		size_t len, patched = 0;

		testbundle_zip(&good, zip_path);
		assert_int_equal(read_file(zip_path, SIZE_MAX / 2, &data, &len), 0);
		for (size_t at = 0; at + 60 < len; at++)
			if (memcmp(data + at, "PK\1\2", 4) == 0 &&
			    memcmp(data + at + 46, "rootfs.img.zst", 14) == 0) {
				memcpy(data + at + 5, system, 1);
				memcpy(data + at + 40, i ? link : device, 2);
				patched++;
			}
		assert_int_equal(patched, 1);
		testdir_put(&dir, "bundle.zip", data, len);
		free(data);
		expect_refused(EX_DATAERR, "is no file but a link");
	}
}

/* Puts bytes in front of the ZIP or behind it. */
static void pad(size_t front, size_t behind)
{
	uint8_t *data, *more;
	size_t len;

	testbundle_zip(&good, zip_path);
	assert_int_equal(read_file(zip_path, SIZE_MAX / 2, &data, &len), 0);
	more = calloc(front + len + behind, 1);
	memcpy(more + front, data, len);
	testdir_put(&dir, "bundle.zip", more, front + len + behind);
	free(data);
	free(more);
}

static void bytes_in_front_and_behind_are_refused(void **state)
{
	(void)state;
	pad(1, 0);
	expect_refused(EX_DATAERR, "it is not a ZIP file");
	pad(0, 1);
	expect_refused(EX_DATAERR, "or something follows it");
	pad(0, 100000);
	expect_refused(EX_DATAERR, "or something follows it");
}

static void the_manifest_must_be_the_first_entry(void **state)
{
	struct testentry first = good.entries[ENTRY_JSON];

	(void)state;
	good.entries[ENTRY_JSON] = good.entries[ENTRY_P7S];
	good.entries[ENTRY_P7S] = first;
	expect_good_refused("its first entry is not manifest.json");
}

static void encrypted_entries_are_refused(void **state)
{
	(void)state;
	good.entries[ENTRY_ROOTFS].encryption = ZIP_EM_TRAD_PKWARE;
	testbundle_zip(&good, zip_path);
	expect_extract_refused("rootfs.img.zst is encrypted", 0);
	good.entries[ENTRY_ROOTFS].encryption = ZIP_EM_AES_256;
	testbundle_zip(&good, zip_path);
	expect_extract_refused("rootfs.img.zst is encrypted", 0);
	good.entries[ENTRY_JSON].encryption = ZIP_EM_AES_256;
	expect_good_refused("manifest.json is encrypted");
}

static void compressed_entries_are_refused_by_their_method(void **state)
{
	(void)state;
	good.entries[ENTRY_JSON].method = ZIP_CM_DEFLATE;
	expect_good_refused("manifest.json is compressed by method 8");
	good.entries[ENTRY_JSON].method = ZIP_CM_STORE;
	good.entries[ENTRY_ROOTFS_INDEX].method = ZIP_CM_BZIP2;
	testbundle_zip(&good, zip_path);
	expect_extract_refused("rootfs.index is compressed by method 12", 0);
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
		expect_refused(EX_DATAERR, "it is truncated");
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
		TEST(frames_that_yield_more_or_less_than_the_index_says_are_refused),
		TEST(frames_shorter_than_their_index_says_are_refused),
		TEST(an_index_that_the_manifest_does_not_pin_is_refused),
		TEST(a_manifest_or_signature_beyond_its_cap_is_refused),
		TEST(a_local_header_that_disagrees_with_the_directory_is_refused),
		TEST(lies_in_the_directory_are_refused),
		TEST(zip64_fields_are_read_and_must_be_whole),
		TEST(a_local_header_with_long_extra_fields_is_refused),
		TEST(a_wrong_crc_is_refused_although_the_hash_is_right),
		TEST(a_right_crc_does_not_help_wrong_bytes),
		TEST(an_entry_that_begins_elsewhere_than_it_says_is_refused),
		TEST(an_entry_within_another_is_refused),
		TEST(names_that_are_not_plain_are_refused),
		TEST(a_link_or_device_in_the_zip_is_refused),
		TEST(bytes_in_front_and_behind_are_refused),
		TEST(the_manifest_must_be_the_first_entry),
		TEST(encrypted_entries_are_refused),
		TEST(compressed_entries_are_refused_by_their_method),
		TEST(two_entries_of_one_name_are_refused),
		TEST(what_is_no_zip_is_refused),
		TEST(what_is_no_file_is_refused),
		TEST(a_zip_cut_short_anywhere_is_refused),
		TEST(no_flipped_byte_gets_through),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
