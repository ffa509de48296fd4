/* SPDX-License-Identifier: MIT */
/* A sysfs of two disks in a directory; of sda, the ESP's, there is an image, too. */
#include "espdisk.h"

#include "io.h"
#include "testdir.h"

#include <sys/sysmacros.h>

static struct testdir dir;
static struct esp_info esp;

static void put_device(const char *number, const char *sysfs, const char *uevent)
{
	char name[128], link[512], target[128];

	(void)snprintf(name, sizeof name, "sys/devices/%s/uevent", sysfs);
	testdir_text(&dir, name, uevent);
	testdir_text(&dir, "sys/dev/block/made", "");
	(void)snprintf(link, sizeof link, "%s/sys/dev/block/%s", dir.path, number);
	(void)snprintf(target, sizeof target, "../../devices/%s", sysfs);
	assert_int_equal(symlink(target, link), 0);
}

static void put_slave(const char *of, const char *name, const char *sysfs)
{
	char link[512], target[128], made[128];

	(void)snprintf(made, sizeof made, "sys/devices/%s/slaves/.made", of);
	testdir_text(&dir, made, "");
	(void)snprintf(link, sizeof link, "%s/sys/devices/%s/slaves/%s", dir.path, of, name);
	(void)snprintf(target, sizeof target, "../../%s", sysfs);
	assert_int_equal(symlink(target, link), 0);
}

static int make_disks(void **state)
{
	static char disk[128], esp_dir[] = "/efi";
	char script[512];

	(void)state;
	testdir_make(&dir);
	testdir_text(&dir, "script", "label: gpt\nunit: sectors\nstart=2048, size=4096, type=U, name=esp\n"
		     "start=8192, size=2048, type=L, name=slotboot-a\n"
		     "start=10240, size=2048, type=L, name=slotboot-b\n");
	testdir_text(&dir, "dev/sda", "");
	(void)snprintf(disk, sizeof disk, "%s/dev/sda", dir.path);
	assert_int_equal(truncate(disk, 16 << 20), 0);
	(void)snprintf(script, sizeof script, "/usr/sbin/sfdisk -q --no-reread --no-tell-kernel %s <%s/script", disk, dir.path);
	assert_int_equal(system(script), 0);
	put_device("8:0", "sda", "DEVNAME=sda\n");
	put_device("8:1", "sda/sda1", "DEVNAME=sda1\nPARTN=1\nPARTNAME=esp\n");
	put_device("8:2", "sda/sda2", "DEVNAME=sda2\nPARTN=2\nPARTNAME=slotboot-a\n");
	testdir_text(&dir, "sys/devices/sda/sda2/partition", "2\n");
	put_device("8:18", "sdb/sdb2", "DEVNAME=sdb2\nPARTN=2\nPARTNAME=slotboot-a\n");
	put_device("8:19", "sdb/sdb3", "DEVNAME=sdb3\nPARTN=3\nPARTNAME=root\n");
	put_device("8:20", "sdb/sdb4", "DEVNAME=sdb4\nPARTN=4\n");
	put_device("9:0", "md0", "DEVNAME=md0\n");
	put_slave("md0", "sdb2", "sdb/sdb2");
	put_slave("md0", "sda2", "sda/sda2");
	put_device("253:0", "dm-0", "DEVNAME=dm-0\n");
	put_slave("dm-0", "sdb2", "sdb/sdb2");
	put_device("253:1", "dm-1", "DEVNAME=dm-1\n");
	put_slave("dm-1", "dm-0", "dm-0");
	put_device("253:2", "dm-2", "DEVNAME=dm-2\nPARTNAME=slotboot-a\n");
	put_slave("dm-2", "sdb3", "sdb/sdb3");
	testdir_text(&dir, "sys/class/block/.made", "");
	(void)snprintf(script, sizeof script, "%s/sys/class/block/sda", dir.path);
	assert_int_equal(symlink("../../devices/sda", script), 0);
	esp = (struct esp_info){ .dir = esp_dir, .disk = disk, .sysroot = dir.path, .part = 1 };
	return 0;
}

static int remove_disks(void **state)
{
	(void)state;
	testdir_remove(&dir);
	return 0;
}

static void what_root_stands_on_is_held_against_the_disk_of_the_esp(void **state)
{
	static const struct {
		unsigned maj, min;
		bool agrees;
	} rows[] = {
		{ 0, 0, true },		/* in memory */
		{ 8, 2, true },		/* of the ESP's disk */
		{ 8, 18, false },	/* of the other, and both have that label */
		{ 8, 19, true },	/* on another disk by design */
		{ 8, 20, true },	/* the same, without a label */
		{ 9, 0, true },		/* mirrored: one leg is here */
		{ 253, 0, false },	/* verity over the other disk's */
		{ 253, 1, false },
		{ 253, 2, true },	/* what it stands on counts, not its own label */
		{ 8, 99, true },	/* sysfs does not know it */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		int r = esp_disk_compare(&esp, makedev(rows[i].maj, rows[i].min), &err);

		if ((r == 0) != rows[i].agrees)
			fail_msg("row %zu: %d, %s", i, r, err.text);
	}
}

static void the_error_names_both_partitions(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(esp_disk_compare(&esp, makedev(8, 18), &err), -1);
	assert_int_equal(err.exit, EX_CONFIG);
	assert_non_null(strstr(err.text, "/dev/sdb2"));
	assert_non_null(strstr(err.text, "/dev/sda2"));
	assert_non_null(strstr(err.text, "slotboot-a"));
}

/* The node of an image file is none. */
static void an_image_file_is_no_disk_to_compare_with(void **state)
{
	struct esp_info image = esp;
	char path[128];

	(void)state;
	testdir_text(&dir, "image", "");
	(void)snprintf(path, sizeof path, "%s/image", dir.path);
	image.disk = path;
	assert_int_equal(esp_disk_compare(&image, makedev(8, 18), NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_root_stands_on_is_held_against_the_disk_of_the_esp),
		cmocka_unit_test(the_error_names_both_partitions),
		cmocka_unit_test(an_image_file_is_no_disk_to_compare_with),
	};

	return cmocka_run_group_tests(tests, make_disks, remove_disks);
}
