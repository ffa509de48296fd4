/* SPDX-License-Identifier: MIT */
#include "floor.h"

#include "bytes.h"
#include "crc32.h"
#include "testdir.h"
#include "util.h"

static struct testdir dir;

/* The file as it is. */
static size_t file_get(uint8_t bytes[FLOOR_BYTES])
{
	FILE *f = fopen(testdir_path(&dir, "EFI/slotboot/floor"), "r");
	size_t len;

	assert_non_null(f);
	len = fread(bytes, 1, FLOOR_BYTES, f);
	fclose(f);
	return len;
}

static void file_put(const uint8_t *bytes, size_t len)
{
	testdir_put(&dir, "EFI/slotboot/floor", bytes, len);
}

static void raise_to(const char *version)
{
	struct err err = { 0 };

	if (floor_raise(&disk_posix, dir.path, version, &err) < 0)
		fail_msg("%s", err.text);
}

static void expect(const char *version)
{
	struct err err = { 0 };
	struct floor floor;

	if (floor_load(&disk_posix, dir.path, &floor, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(floor.version, version);
}

static void expect_damaged(void)
{
	struct err err = { 0 };
	struct floor floor;

	assert_int_equal(floor_load(&disk_posix, dir.path, &floor, &err), -1);
	assert_int_equal(err.exit, EX_CONFIG);
	assert_non_null(strstr(err.text, "EFI/slotboot/floor is damaged: slotctl mark-good writes"));
	assert_non_null(strstr(err.text, "otherwise remove the file"));
}

static void it_rises_and_never_falls(void **state)
{
	(void)state;
	expect("");
	raise_to("1.9");
	expect("1.9");
	raise_to("1.10");
	expect("1.10");
	raise_to("1.9");
	expect("1.10");
	raise_to("2~rc1");
	expect("2~rc1");
}

static void the_file_is_as_documented(void **state)
{
	uint8_t bytes[FLOOR_BYTES], want[FLOOR_SECTOR] = "SLOTFLOR";

	(void)state;
	raise_to("1.4.2");
	assert_int_equal(file_get(bytes), FLOOR_BYTES);
	want[8] = 1;
	want[10] = 5;
	memcpy(want + 16, "1.4.2", 5);
	le32_put(want + 124, crc32_of(want, 124));
	assert_memory_equal(bytes, want, FLOOR_SECTOR);
	assert_memory_equal(bytes + FLOOR_SECTOR, want, FLOOR_SECTOR);
}

static void either_copy_alone_holds_it(void **state)
{
	uint8_t bytes[FLOOR_BYTES], spoilt[FLOOR_BYTES];

	(void)state;
	raise_to("3");
	assert_int_equal(file_get(bytes), FLOOR_BYTES);
	for (unsigned copy = 0; copy < 2; copy++)
		for (unsigned at = 0; at < 128; at++) {
			memcpy(spoilt, bytes, sizeof spoilt);
			spoilt[copy * FLOOR_SECTOR + at] ^= 1;
			file_put(spoilt, sizeof spoilt);
			expect("3");
		}
	raise_to("3");		/* mends the last one */
	assert_int_equal(file_get(spoilt), FLOOR_BYTES);
	assert_memory_equal(bytes, spoilt, sizeof bytes);
}

static void the_higher_copy_counts(void **state)
{
	uint8_t low[FLOOR_BYTES], bytes[FLOOR_BYTES];

	(void)state;
	raise_to("1.9");
	file_get(low);
	raise_to("1.10");
	file_get(bytes);
	memcpy(bytes, low, FLOOR_SECTOR);
	file_put(bytes, sizeof bytes);
	expect("1.10");
	memcpy(low, bytes + FLOOR_SECTOR, FLOOR_SECTOR);
	file_put(low, sizeof low);
	expect("1.10");
}

static void sector_make(uint8_t sector[FLOOR_SECTOR], const char *text, size_t len)
{
	memset(sector, 0, FLOOR_SECTOR);
	memcpy(sector, "SLOTFLOR", 8);
	sector[8] = 1;
	le16_put(sector + 10, (uint16_t)len);
	memcpy(sector + 16, text, strlen(text));
	le32_put(sector + 124, crc32_of(sector, 124));
}

static void garbage_is_told_from_nothing(void **state)
{
	static const struct {
		const char *text;	/* in both copies, with a good checksum */
		size_t len;
	} rows[] = {
		{ "", 0 }, { "1", 65535 }, { "1 2", 3 }, { "1\n", 2 }, { "1", 2 }, { "\xff", 1 },
	};
	uint8_t bytes[FLOOR_BYTES] = { 0 };

	(void)state;
	file_put(bytes, 0);
	expect("");
	file_put(bytes, sizeof bytes);
	expect("");
	memset(bytes, 0xff, FLOOR_SECTOR);
	file_put(bytes, sizeof bytes);
	expect("");		/* as the very first write leaves it when it is cut */
	file_put(bytes, 100);
	expect("");
	memset(bytes, 0xff, sizeof bytes);
	file_put(bytes, sizeof bytes);
	expect_damaged();
	file_put(bytes, FLOOR_SECTOR + 1);
	expect_damaged();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		sector_make(bytes, rows[i].text, rows[i].len);
		sector_make(bytes + FLOOR_SECTOR, rows[i].text, rows[i].len);
		file_put(bytes, sizeof bytes);
		expect_damaged();
	}
	raise_to("1");
	expect("1");
}

/* A disk that is out of order from the n-th write or flush on. */
static struct broken_disk {
	unsigned left;
	bool lies;
	bool tears;		/* what is not written becomes garbage */
} broken;

static bool is_broken(void)
{
	if (broken.left > 0)
		broken.left--;
	return broken.left == 0;
}

static int broken_write(void *ctx, int file, const void *buf, size_t len, uint64_t offset)
{
	uint8_t garbage[FLOOR_SECTOR];

	if (!is_broken())
		return disk_posix.write(ctx, file, buf, len, offset);
	memset(garbage, 0xa5, sizeof garbage);
	if (broken.tears)
		(void)disk_posix.write(ctx, file, garbage, len, offset);
	errno = EIO;
	return broken.lies ? 0 : -1;
}

static int broken_flush(void *ctx, int file)
{
	if (!is_broken())
		return disk_posix.flush(ctx, file);
	errno = EIO;
	return broken.lies ? 0 : -1;
}

static void a_disk_that_fails_loses_no_floor_and_is_no_success(void **state)
{
	struct disk disk = disk_posix;

	(void)state;
	disk.write = broken_write;
	disk.flush = broken_flush;
	for (unsigned lies = 0; lies < 2; lies++)
		for (unsigned at = 1; at <= 4; at++) {
			struct err err = { 0 };
			int r;

			testdir_remove(&dir);
			testdir_make(&dir);
			testdir_put(&dir, "EFI/slotboot/x", "", 0);
			raise_to("1");
			broken = (struct broken_disk){ .left = at, .lies = lies };
			r = floor_raise(&disk, dir.path, "2", &err);
			/* Of a lie only what was not written can be told. */
			assert_int_equal(r, lies && at == 4 ? 0 : -1);
			if (r < 0)
				assert_int_equal(err.exit, EX_IOERR);
			if (r < 0 && lies)
				assert_non_null(strstr(err.text, "reads back differently"));
			expect(at == 1 ? "1" : "2");
		}
}

/* The power went between the copies, and goes again in the next write. */
static void the_copy_that_holds_the_floor_is_written_last(void **state)
{
	uint8_t one[FLOOR_BYTES], two[FLOOR_BYTES];
	struct disk disk = disk_posix;

	(void)state;
	disk.write = broken_write;
	raise_to("1");
	file_get(one);
	raise_to("2");
	file_get(two);
	for (unsigned holder = 0; holder < 2; holder++) {
		uint8_t bytes[FLOOR_BYTES];
		struct err err = { 0 };

		memcpy(bytes, holder == 0 ? two : one, FLOOR_SECTOR);
		memcpy(bytes + FLOOR_SECTOR, holder == 1 ? two : one, FLOOR_SECTOR);
		file_put(bytes, sizeof bytes);
		broken = (struct broken_disk){ .left = 1, .tears = true };
		assert_int_equal(floor_raise(&disk, dir.path, "3", &err), -1);
		expect("2");
	}
}

static int each_setup(void **state)
{
	(void)state;
	testdir_make(&dir);
	testdir_put(&dir, "EFI/slotboot/x", "", 0);
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
		TEST(it_rises_and_never_falls),
		TEST(the_file_is_as_documented),
		TEST(either_copy_alone_holds_it),
		TEST(the_higher_copy_counts),
		TEST(garbage_is_told_from_nothing),
		TEST(the_copy_that_holds_the_floor_is_written_last),
		TEST(a_disk_that_fails_loses_no_floor_and_is_no_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
