/* SPDX-License-Identifier: MIT */
/* slotdev, readback and lock, on regular files. */
#include "lock.h"
#include "readback.h"
#include "slot_target.h"
#include "testdir.h"
#include "io.h"

#include <errno.h>
#include <openssl/sha.h>

static void what_is_written_reads_back(void **state)
{
	static uint8_t data[3 * 1024 * 1024 + 17];
	struct testdir dir;
	struct slot_target dev;
	struct err err = { 0 };
	uint8_t sha256[32];
	const char *path;

	(void)state;
	testdir_make(&dir);
	testdir_text(&dir, "slot", "old and longer than nothing");
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7);
	SHA256(data, sizeof data, sha256);
	path = testdir_path(&dir, "slot");
	assert_int_equal(slot_target_open(&disk_posix, path, &dev, &err), 0);
	for (size_t at = 0; at < sizeof data; at += 1000000)
		assert_int_equal(slot_target_write(&dev, data + at,
						   sizeof data - at < 1000000 ? sizeof data - at
									  : 1000000, at, &err), 0);
	assert_int_equal(slot_target_finish(&dev, sizeof data, &err), 0);
	slot_target_close(&dev);
	assert_int_equal(readback_check(&disk_posix, path, sizeof data, sha256, NULL, &err), 0);
	sha256[0] ^= 1;
	assert_int_equal(readback_check(&disk_posix, path, sizeof data, sha256, NULL, &err), -1);
	assert_int_equal(err.exit, EX_IOERR);
	assert_int_equal(readback_check(&disk_posix, path, sizeof data + 1, sha256, NULL, &err), -1);
	assert_non_null(strstr(err.text, "ends early"));
	testdir_remove(&dir);
}

/* A file of ten bytes as a slot's target. */
static void open_ten_bytes(struct testdir *dir, struct slot_target *ret_dev)
{
	struct err err;

	testdir_make(dir);
	testdir_text(dir, "slot", "0123456789");
	assert_int_equal(slot_target_open(&disk_posix, testdir_path(dir, "slot"), ret_dev, &err), 0);
}

static void room_is_taken_before_anything_is_overwritten(void **state)
{
	struct testdir dir;
	struct slot_target dev;
	struct stat st;
	struct err err;

	(void)state;
	open_ten_bytes(&dir, &dev);
	assert_int_equal(slot_target_reserve(&dev, 1000000, &err), 0);
	assert_int_equal(stat(testdir_path(&dir, "slot"), &st), 0);
	assert_int_equal(st.st_size, 1000000);
	assert_true(st.st_blocks * 512 >= 1000000);
	assert_int_equal(slot_target_reserve(&dev, (uint64_t)1 << 50, &err), -1);
	assert_int_equal(err.exit, EX_IOERR);
	assert_non_null(strstr(err.text, "failed to take room for"));
	slot_target_close(&dev);
	testdir_remove(&dir);
}

static void a_shorter_image_cuts_the_file(void **state)
{
	struct testdir dir;
	struct slot_target dev;
	struct stat st;
	struct err err;

	(void)state;
	open_ten_bytes(&dir, &dev);
	assert_int_equal(slot_target_write(&dev, (const uint8_t *)"abc", 3, 0, &err), 0);
	assert_int_equal(slot_target_finish(&dev, 3, &err), 0);
	slot_target_close(&dev);
	assert_int_equal(stat(testdir_path(&dir, "slot"), &st), 0);
	assert_int_equal(st.st_size, 3);
	testdir_remove(&dir);
}

static void nothing_goes_past_the_end_of_a_device(void **state)
{
	struct slot_target dev = { .disk = &disk_posix, .file = -1, .path = "device", .capacity = 4 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(slot_target_write(&dev, (const uint8_t *)"01234", 5, 0, &err), -1);
	assert_int_equal(err.exit, EX_IOERR);
}

/* A device that fails: with which errno, and what is then seen of it. */
static struct {
	int error, stat_error;
	uint64_t size;
} failing;

static int failing_stat(void *ctx, const char *path, struct disk_stat *ret_stat)
{
	(void)ctx, (void)path;
	*ret_stat = (struct disk_stat){ .size = failing.size, .device = true };
	errno = failing.stat_error;
	return failing.stat_error ? -1 : 0;
}

static int failing_write(void *ctx, int file, const void *buf, size_t len, uint64_t offset)
{
	(void)ctx, (void)file, (void)buf, (void)len, (void)offset;
	errno = failing.error;
	return -1;
}

static int failing_flush(void *ctx, int file)
{
	return failing_write(ctx, file, NULL, 0, 0);
}

static void a_device_that_is_gone_is_told_from_one_that_fails(void **state)
{
	static const struct {
		int error, stat_error;
		uint64_t size;
		const char *why;
	} rows[] = {
		{ EIO, 0, 8, "failed to %s /dev/x: Input/output error" },
		{ EIO, 0, 0, "failed to %s /dev/x: the device is gone: Input/output error" },
		{ ENOSPC, 0, 0, "failed to %s /dev/x: the device is gone: No space left" },
		{ ENOSPC, 0, 7, "failed to %s /dev/x: the device is gone: No space left" },
		{ ENODEV, ENOENT, 8, "failed to %s /dev/x: the device is gone: No such device" },
		{ ENXIO, ENXIO, 8, "failed to %s /dev/x: the device is gone: No such device or" },
	};
	const struct disk disk = { .stat = failing_stat, .write = failing_write,
				   .flush = failing_flush };
	struct slot_target dev = { .disk = &disk, .path = "/dev/x", .capacity = 8 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		char want[128];

		failing.error = rows[i].error;
		failing.stat_error = rows[i].stat_error;
		failing.size = rows[i].size;
		assert_int_equal(slot_target_write(&dev, (const uint8_t *)"x", 1, 0, &err), -1);
		assert_int_equal(err.exit, EX_IOERR);
		(void)snprintf(want, sizeof want, rows[i].why, "write");
		assert_non_null(strstr(err.text, want));
		assert_int_equal(slot_target_finish(&dev, 8, &err), -1);
		assert_int_equal(err.exit, EX_IOERR);
		(void)snprintf(want, sizeof want, rows[i].why, "flush");
		assert_non_null(strstr(err.text, want));
	}
}

static void a_directory_or_nothing_is_no_slot(void **state)
{
	struct slot_target dev;
	struct err err;

	(void)state;
	assert_int_equal(slot_target_open(&disk_posix, "/tmp", &dev, &err), -1);
	assert_int_equal(err.exit, EX_CONFIG);
	assert_int_equal(slot_target_open(&disk_posix, "/nonexistent", &dev, &err), -1);
	assert_non_null(strstr(err.text, "/nonexistent"));
}

static void a_second_lock_is_refused_and_names_the_holder(void **state)
{
	struct testdir dir;
	struct err err;
	char path[512], pid[32];
	int fd, second;

	(void)state;
	testdir_make(&dir);
	snprintf(path, sizeof path, "%s", testdir_path(&dir, "run/lock"));
	assert_int_equal(lock_take(path, 0, &fd, &err), 0);
	assert_int_equal(lock_take(path, 0, &second, &err), -1);
	assert_int_equal(err.exit, EX_TEMPFAIL);
	snprintf(pid, sizeof pid, "process %ld", (long)getpid());
	assert_non_null(strstr(err.text, pid));
	close(fd);
	assert_int_equal(lock_take(path, 0, &second, &err), 0);
	close(second);
	testdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(room_is_taken_before_anything_is_overwritten),
		cmocka_unit_test(a_shorter_image_cuts_the_file),
		cmocka_unit_test(nothing_goes_past_the_end_of_a_device),
		cmocka_unit_test(a_device_that_is_gone_is_told_from_one_that_fails),
		cmocka_unit_test(a_directory_or_nothing_is_no_slot),
		cmocka_unit_test(a_second_lock_is_refused_and_names_the_holder),
	};

	return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
