/* SPDX-License-Identifier: MIT */
/* The end of a ZIP, and what it claims about the directory. */
#include "bytes.h"
#include "testbundle.h"
#include "zipentry.h"

/* Writes over the end record: 22 bytes, found from the end. */
static void patch_end(size_t at, const char *bytes, size_t count)
{
	uint8_t *data;
	size_t len;

	testbundle_zip(&good, zip_path);
	assert_int_equal(read_file(zip_path, SIZE_MAX / 2, &data, &len), 0);
	memcpy(data + len - 22 + at, bytes, count);
	testdir_put(&dir, "bundle.zip", data, len);
	free(data);
}

static void lies_in_the_end_record_are_refused(void **state)
{
	static const struct {
		size_t at, count;
		const char *bytes, *why;
	} rows[] = {
		{ 8, 4, "\377\177\377\177", "has 32767 entries, more than any" },
		{ 8, 4, "\6\0\5\0", "cannot be true" },	/* not all on this disk */
		{ 8, 4, "\5\0\5\0", "" },			/* one entry less than there are */
		{ 8, 4, "\7\0\7\0", "" },			/* one more */
		{ 12, 4, "\0\0\0\177", "has a directory of 2130706432 bytes" },
		{ 12, 4, "\0\0\1\0", "cannot be true" },	/* larger than the file */
		{ 16, 4, "\0\0\0\177", "cannot be true" },	/* its offset */
		{ 16, 4, "\0\0\0\0", "cannot be true" },
		/* ZIP64, and none is there */
		{ 8, 12, "\377\377\377\377\377\377\377\377\377\377\377\377",
		  "has 65535 entries" },
		{ 16, 4, "\377\377\377\377", "cannot be true" },
		{ 20, 2, "\377\377", "announces a comment of 65535 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		patch_end(rows[i].at, rows[i].bytes, rows[i].count);
		expect_refused(EX_DATAERR, rows[i].why);
	}
}

/* Puts a ZIP64 end and its locator in front of the end, which then says nothing itself.
 * 0: the true size, offset and place; comment is put at the end of the directory. */
static void put64(uint64_t count, uint64_t size, uint64_t offset, uint64_t end64_at,
		  const char *comment)
{
	uint8_t end64[56] = "PK\6\6\54", locator[20] = "PK\6\7", end[22], *data;
	_cleanup_free_ uint8_t *all = NULL;
	size_t len, n = 0, comment_len = strlen(comment);

	testbundle_zip(&good, zip_path);
	assert_int_equal(read_file(zip_path, SIZE_MAX / 2, &data, &len), 0);
	memcpy(end, data + len - sizeof end, sizeof end);
	all = calloc(len + 200 + comment_len, 1);
	n = len - sizeof end;
	memcpy(all, data, n);
	memcpy(all + n, comment, comment_len);
	n += comment_len;
	le64_put(end64 + 24, count);
	le64_put(end64 + 32, count);
	le64_put(end64 + 40, size == 0 ? le32_get(end + 12) + comment_len : size);
	le64_put(end64 + 48, offset == 0 ? le32_get(end + 16) : offset);
	le64_put(locator + 8, end64_at == 0 ? n : end64_at);
	le32_put(locator + 16, 1);
	memcpy(all + n, end64, sizeof end64);
	memcpy(all + n + 56, locator, sizeof locator);
	memset(end + 8, 0xff, 12);
	memcpy(all + n + 76, end, sizeof end);
	testdir_put(&dir, "bundle.zip", all, n + 98);
	free(data);
}

static void a_zip64_end_that_is_true_is_read(void **state)
{
	struct bundle *b = NULL;
	struct err err;

	(void)state;
	put64(ENTRY_COUNT, 0, 0, 0, "");
	if (open_zip(&b, &err) < 0)
		fail_msg("%s", err.text);
	bundle_close(b);
}

static void lies_in_a_zip64_end_are_refused(void **state)
{
	(void)state;
	put64(1000000, 0, 0, 0, "");
	expect_refused(EX_DATAERR, "has 1000000 entries, more than any bundle");
	put64(UINT64_MAX, 0, 0, 0, "");
	expect_refused(EX_DATAERR, "has 18446744073709551615 entries");
	put64(ENTRY_COUNT, UINT64_MAX, 0, 0, "");
	expect_refused(EX_DATAERR, "has a directory of 18446744073709551615 bytes");
	put64(ENTRY_COUNT, 0, UINT64_MAX, 0, "");
	expect_refused(EX_DATAERR, "cannot be true");
	put64(ENTRY_COUNT, 0, 1, 0, "");
	expect_refused(EX_DATAERR, "cannot be true");
	put64(ENTRY_COUNT, 0, 0, 1, "");
	expect_refused(EX_DATAERR, "cannot be true");
	put64(ENTRY_COUNT, 0, 0, UINT64_MAX, "");
	expect_refused(EX_DATAERR, "cannot be true");
}

/* A tool that looks for an end by its magic would believe its count. */
static void a_second_end_in_the_directory_is_refused(void **state)
{
	(void)state;
	put64(ENTRY_COUNT, 0, 0, 0, "PK\5\6 and a lie");
	expect_refused(EX_DATAERR, "has a second end within its directory");
}

static void what_follows_the_last_entry_in_the_directory_is_refused(void **state)
{
	(void)state;
	put64(ENTRY_COUNT, 0, 0, 0, "PK\1\2 and no entry");
	expect_refused(EX_DATAERR, "its directory does not hold what its end says");
}

/* One that only looks like an end, in front of the directory, is nobody's business. */
static void a_payload_may_hold_what_looks_like_an_end(void **state)
{
	static const char end[22] = "PK\5\6\0\0\0\0\377\377\377\377";
	struct bundle *b = NULL;
	struct err err;

	(void)state;
	memcpy(good.entries[ENTRY_ROOTFS].data + 8, end, sizeof end);
	testbundle_zip(&good, zip_path);
	if (open_zip(&b, &err) < 0)
		fail_msg("%s", err.text);
	bundle_close(b);
}

/* A source that counts what is read of it. */
struct counted {
	struct bundle_source source, *file;
	uint64_t bytes;
};

static int counted_read(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
			struct err *err)
{
	struct counted *c = (struct counted *)source;

	c->bytes += len;
	return c->file->read(c->file, buf, len, offset, err);
}

/* All of them are one empty file: a local header, and so many entries for it. */
static void entries_write(uint32_t count)
{
	uint8_t local[31] = "PK\3\4", central[47] = "PK\1\2", end64[56] = "PK\6\6\54";
	uint8_t locator[20] = "PK\6\7", end[22] = "PK\5\6";
	uint64_t end64_at = sizeof local + (uint64_t)count * sizeof central;
	FILE *f = fopen(zip_path, "w");

	local[26] = central[28] = 1;	/* length of the name */
	local[30] = central[46] = 'x';
	assert_int_equal(fwrite(local, sizeof local, 1, f), 1);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(fwrite(central, sizeof central, 1, f), 1);
	le64_put(end64 + 24, count);
	le64_put(end64 + 32, count);
	le64_put(end64 + 40, end64_at - sizeof local);
	le64_put(end64 + 48, sizeof local);
	le64_put(locator + 8, end64_at);
	le32_put(locator + 16, 1);
	memset(end + 8, 0xff, 12);
	(void)fwrite(end64, sizeof end64, 1, f);
	(void)fwrite(locator, sizeof locator, 1, f);
	assert_int_equal(fwrite(end, sizeof end, 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

static void a_zip_of_a_million_entries_is_refused_without_reading_them(void **state)
{
	struct counted c = { 0 };
	struct ziparchive *a = NULL;
	struct err err = { 0 };

	(void)state;
	entries_write(1000000);
	assert_int_equal(bundle_source_file_open(zip_path, &c.file, &err), 0);
	c.source = (struct bundle_source){ .size = c.file->size, .read = counted_read };
	assert_int_equal(ziparchive_open(&c.source, &a, &err), -1);
	expect_err(&err, EX_DATAERR, "the ZIP has 1000000 entries, more than any bundle");
	assert_in_range(c.bytes, 1, 200);
	bundle_source_close(c.file);
	entries_write(1025);
	expect_refused(EX_DATAERR, "the ZIP has 1025 entries, more than any bundle");
	entries_write(1024);
	expect_refused(EX_DATAERR, "two entries of the ZIP have the same name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lies_in_the_end_record_are_refused),
		TEST(a_zip64_end_that_is_true_is_read),
		TEST(lies_in_a_zip64_end_are_refused),
		TEST(a_second_end_in_the_directory_is_refused),
		TEST(what_follows_the_last_entry_in_the_directory_is_refused),
		TEST(a_payload_may_hold_what_looks_like_an_end),
		TEST(a_zip_of_a_million_entries_is_refused_without_reading_them),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
