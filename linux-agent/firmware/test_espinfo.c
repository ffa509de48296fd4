/* SPDX-License-Identifier: MIT */
#include "espinfo.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <cmocka.h>

/*
 * A directory that holds disk images made by sfdisk, an ESP directory, and a root
 * with the part of sysfs that is looked at: dev/sda (a copy of the image) with
 * partitions sda1 to sda4, of which sda1 is what this machine's / is mounted from.
 */
static char top[] = "/tmp/slotboot-test-esp-XXXXXX";
static struct err err;

#define GPT_HEAD "label: gpt\nunit: sectors\n"
#define ESP_LINE(size) "start=2048, size=" size ", type=U, " \
	"uuid=00112233-4455-6677-8899-AABBCCDDEEFF, name=esp\n"
static const char gpt[] = GPT_HEAD ESP_LINE("4096")
	"start=8192, size=2048, type=L, name=slotboot-a\n"
	"start=10240, size=2048, type=L, name=slotboot-b\n"
	"start=12288, size=2048, type=L, name=twice\n"
	"start=14336, size=2048, type=L, name=twice\n";

static const char *at(const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof paths[0], "%s/%s", top, name);
	return path;
}

static void put_file(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int run(const char *const argv[], const char *input)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t pid;

	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY,
							  0), 0);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, (char **)(uintptr_t)argv, environ) == 0)
		(void)waitpid(pid, &status, 0);
	(void)posix_spawn_file_actions_destroy(&actions);
	return status;
}

static void make_disk(const char *name, const char *script)
{
	char input[256];
	int fd = open(at(name), O_CREAT | O_RDWR | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 16 << 20), 0);
	assert_int_equal(close(fd), 0);
	put_file("script", script);
	(void)snprintf(input, sizeof input, "%s", at("script"));
	assert_int_equal(run((const char *[]){ "sfdisk", "-q", "--no-reread", "--no-tell-kernel",
						   at(name), NULL }, input), 0);
}

static void make_dir(const char *name)
{
	if (mkdir(at(name), 0755) < 0)
		assert_int_equal(errno, EEXIST);
}

static void make_sysfs(void)
{
	static const char *const dirs[] = {
		"root", "root/dev", "root/sys", "root/sys/dev", "root/sys/dev/block",
		"root/sys/class", "root/sys/class/block", "root/sys/devices",
		"root/sys/devices/sda", "root/sys/devices/sda/queue",
	};
	char name[128], text[128];
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		make_dir(dirs[i]);
	make_disk("root/dev/sda", gpt);
	put_file("root/sys/devices/sda/uevent", "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk\n");
	for (int i = 1; i <= 4; i++) {
		(void)snprintf(name, sizeof name, "root/sys/devices/sda/sda%d", i);
		make_dir(name);
		(void)snprintf(name, sizeof name, "root/sys/devices/sda/sda%d/partition", i);
		(void)snprintf(text, sizeof text, "%d\n", i);
		put_file(name, text);
		(void)snprintf(name, sizeof name, "root/sys/devices/sda/sda%d/uevent", i);
		(void)snprintf(text, sizeof text, "MAJOR=8\nDEVNAME=sda%d\nPARTN=%d\n", i, i);
		put_file(name, text);
	}
	assert_int_equal(symlink("../../devices/sda", at("root/sys/class/block/sda")), 0);
	assert_int_equal(stat("/", &st), 0);
	(void)snprintf(name, sizeof name, "root/sys/dev/block/%u:%u", major(st.st_dev),
		       minor(st.st_dev));
	assert_int_equal(symlink("../../devices/sda/sda1", at(name)), 0);
}

static int make_all(void **test)
{
	(void)test;
	if (!mkdtemp(top))
		return -1;
	make_dir("esp");
	make_disk("disk.img", gpt);
	make_disk("bare.img", GPT_HEAD "start=2048, size=4096, type=L\n");
	make_disk("mbr.img", "label: dos\nunit: sectors\nstart=2048, size=4096, type=ef\n");
	make_sysfs();
	return 0;
}

static int remove_all(void **test)
{
	(void)test;
	return run((const char *[]){ "rm", "-rf", top, NULL }, "/dev/null");
}

static int clear_err(void **test)
{
	(void)test;
	memset(&err, 0, sizeof err);
	return 0;
}

static void assert_esp(const struct esp_info *esp)
{
	static const uint8_t guid[16] = {
		0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
		0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
	};

	assert_int_equal(esp->part, 1);
	assert_int_equal(esp->sector_size, 512);
	assert_int_equal(esp->start, 2048);
	assert_int_equal(esp->size, 4096);
	assert_memory_equal(esp->guid, guid, 16);
}

static void a_named_image_and_number_give_place_and_guid(void **test)
{
	_cleanup_(esp_info_clear) struct esp_info esp = { 0 };
	char device[256];

	(void)test;
	(void)snprintf(device, sizeof device, "%s:1", at("disk.img"));
	assert_int_equal(esp_info_find(at("esp/."), device, "", &esp, &err), 0);
	assert_esp(&esp);
	assert_string_equal(esp.dir, at("esp"));
	assert_string_equal(esp.disk, at("disk.img"));
}

static void a_mounted_directory_leads_through_sysfs_to_its_disk(void **test)
{
	_cleanup_(esp_info_clear) struct esp_info esp = { 0 };

	(void)test;
	assert_int_equal(esp_info_find("/", NULL, at("root"), &esp, &err), 0);
	assert_esp(&esp);
	assert_string_equal(esp.dir, "/");
	assert_string_equal(esp.disk, at("root/dev/sda"));
}

static void assert_no_esp(const char *dir, const char *device, int exit, const char *says)
{
	struct esp_info esp = { 0 };

	assert_int_equal(esp_info_find(dir, device, "", &esp, &err), -1);
	assert_int_equal(err.exit, exit);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
	assert_null(esp.dir);
}

static void a_directory_that_is_no_esp_is_a_configuration_error(void **test)
{
	(void)test;
	assert_no_esp(at("esp"), NULL, EX_CONFIG, "nothing is mounted on");
	assert_no_esp(at("nothing"), NULL, EX_CONFIG, "No such file");
	assert_no_esp(at("disk.img"), NULL, EX_CONFIG, "Not a directory");
	assert_no_esp("/proc", NULL, EX_CONFIG, "/proc is not a mount point of a partition");
}

static void a_device_that_is_no_esp_is_a_configuration_error(void **test)
{
	static const struct {
		const char *image, *says;
	} rows[] = {
		{ "disk.img:2", "is not an EFI system partition" },
		{ "disk.img:9", "has no partition 9" },
		{ "bare.img:1", "is not an EFI system partition" },
		{ "mbr.img:1", "has no GPT" },
		{ "script:1", "has no GPT" },
		{ "missing.img:1", "No such file" },
		{ "disk.img", "is not DISK:N" },
		{ "disk.img:", "is not DISK:N" },
		{ "disk.img:0", "is not DISK:N" },
		{ "disk.img:1x", "is not DISK:N" },
		{ "disk.img:-1", "is not DISK:N" },
		{ "disk.img:129", "is not DISK:N" },
		{ "disk.img:99999999999999999999", "is not DISK:N" },
	};

	(void)test;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_no_esp(at("esp"), at(rows[i].image), EX_CONFIG, rows[i].says);
	assert_no_esp(at("esp"), ":1", EX_CONFIG, "is not DISK:N");
}

/* The link that make_sysfs() made for the file system of / leads elsewhere for a while. */
static void raid_and_multipath_are_named(void **test)
{
	static const struct {
		const char *file, *text, *says;
	} rows[] = {
		{ "md/level", "raid1\n", "is on a software RAID (md)" },
		{ "dm/uuid", "part9-mpath-3600508b400105e21\n", "is on a multipath device" },
		{ "dm/uuid", "LVM-abc\n", "is not a mount point of a partition" },
	};
	char link[256], file[256], dir[128];
	struct esp_info esp = { 0 };
	struct stat st;

	(void)test;
	assert_int_equal(stat("/", &st), 0);
	(void)snprintf(link, sizeof link, "%s/root/sys/dev/block/%u:%u", top, major(st.st_dev),
		       minor(st.st_dev));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(dir, sizeof dir, "root/sys/devices/stack%zu", i);
		make_dir(dir);
		(void)snprintf(file, sizeof file, "%s/%.2s", dir, rows[i].file);
		make_dir(file);
		(void)snprintf(file, sizeof file, "%s/%s", dir, rows[i].file);
		put_file(file, rows[i].text);
		assert_int_equal(unlink(link), 0);
		assert_int_equal(symlink(at(dir), link), 0);
		assert_int_equal(esp_info_find("/", NULL, at("root"), &esp, &err), -1);
		assert_int_equal(err.exit, EX_CONFIG);
		if (!strstr(err.text, rows[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.text, rows[i].says);
	}
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("../../devices/sda/sda1", link), 0);
}

/* With a real disk the ESP must be mounted: what is written below would be hidden. */
static void a_real_disk_goes_with_a_mounted_esp_only(void **test)
{
	char device[256];

	(void)test;
	if (mknod(at("node"), S_IFBLK | 0600, makedev(259, 65535)) < 0)
		skip();
	(void)snprintf(device, sizeof device, "%s:1", at("node"));
	assert_no_esp(at("esp"), device, EX_CONFIG, "nothing is mounted on");
	assert_no_esp("/proc", device, EX_CONFIG, "failed to open the ESP's disk");
}

static void the_boot_flag_of_the_protective_mbr_is_seen(void **test)
{
	_cleanup_(esp_info_clear) struct esp_info without = { 0 }, with = { 0 };
	char device[256];
	int fd;

	(void)test;
	make_disk("flag.img", gpt);
	(void)snprintf(device, sizeof device, "%s:1", at("flag.img"));
	assert_int_equal(esp_info_find(at("esp"), device, "", &without, &err), 0);
	assert_false(without.pmbr_boot);
	fd = open(at("flag.img"), O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\x80", 1, 446), 1);
	assert_int_equal(close(fd), 0);
	assert_int_equal(esp_info_find(at("esp"), device, "", &with, &err), 0);
	assert_true(with.pmbr_boot);
}

static void a_disk_that_may_not_be_read_is_a_missing_permission(void **test)
{
	(void)test;
	assert_int_equal(chmod(top, 0755), 0);
	assert_int_equal(chmod(at("bare.img"), 0), 0);
	if (getuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	assert_no_esp(at("esp"), at("bare.img:1"), EX_NOPERM, "bare.img");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(at("bare.img"), 0644), 0);
}

/* A GPT with 4096-byte sectors, which sfdisk makes on no regular file: the header and
 * first entry of the 512-byte image, moved and summed anew. */
static uint32_t crc32_of(const uint8_t *data, size_t len)
{
	uint32_t crc = UINT32_MAX;

	while (len--) {
		crc ^= *data++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void le_put(uint8_t *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void make_4k_disk(void)
{
	uint8_t head[512], table[128 * 128], first[512];
	int from = open(at("disk.img"), O_RDONLY | O_CLOEXEC);
	int to = open(at("4k.img"), O_CREAT | O_RDWR | O_CLOEXEC, 0644);

	assert_int_equal(ftruncate(to, 16 << 20), 0);
	assert_int_equal(pread_full(from, first, 512, 0), 0);
	assert_int_equal(pread_full(from, head, 512, 512), 0);
	assert_int_equal(pread_full(from, table, sizeof table, 1024), 0);
	memset(table + 128, 0, sizeof table - 128);
	le_put(table + 32, 256, 8);		/* first and last block of the ESP */
	le_put(table + 40, 767, 8);
	le_put(head + 32, 4095, 8);		/* the backup, first and last usable block */
	le_put(head + 40, 6, 8);
	le_put(head + 48, 4090, 8);
	le_put(head + 88, crc32_of(table, sizeof table), 4);
	le_put(head + 16, 0, 4);
	le_put(head + 16, crc32_of(head, 92), 4);
	le_put(first + 446 + 12, 4095, 4);	/* the protective MBR's size */
	assert_int_equal(pwrite_full(to, first, 512, 0), 0);
	assert_int_equal(pwrite_full(to, head, 512, 4096), 0);
	assert_int_equal(pwrite_full(to, table, sizeof table, 8192), 0);
	assert_int_equal(close(from), 0);
	assert_int_equal(close(to), 0);
}

static void place_is_in_blocks_of_a_4096_byte_sector_disk(void **test)
{
	_cleanup_(esp_info_clear) struct esp_info esp = { 0 };
	char device[256];

	(void)test;
	make_4k_disk();
	(void)snprintf(device, sizeof device, "%s:1", at("4k.img"));
	if (esp_info_find(at("esp"), device, "", &esp, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(esp.sector_size, 4096);
	assert_int_equal(esp.start, 256);
	assert_int_equal(esp.size, 512);
}

static void a_label_on_the_esps_disk_gives_the_kernels_node(void **test)
{
	_cleanup_(esp_info_clear) struct esp_info esp = { 0 };
	_cleanup_free_ char *a = NULL, *b = NULL;

	(void)test;
	assert_int_equal(esp_info_find("/", NULL, at("root"), &esp, &err), 0);
	assert_int_equal(esp_disk_find_label(&esp, "slotboot-a", &a, &err), 0);
	assert_string_equal(a, at("root/dev/sda2"));
	assert_int_equal(esp_disk_find_label(&esp, "slotboot-b", &b, &err), 0);
	assert_string_equal(b, at("root/dev/sda3"));
}

static void a_label_that_names_no_single_node_is_a_configuration_error(void **test)
{
	_cleanup_(esp_info_clear) struct esp_info esp = { 0 }, image = { 0 };
	char device[256], *node = NULL;

	(void)test;
	assert_int_equal(esp_info_find("/", NULL, at("root"), &esp, &err), 0);
	assert_int_equal(esp_disk_find_label(&esp, "slotboot-c", &node, &err), -1);
	assert_int_equal(err.exit, EX_CONFIG);
	assert_non_null(strstr(err.text, "no partition labelled slotboot-c"));
	assert_int_equal(esp_disk_find_label(&esp, "twice", &node, &err), -1);
	assert_int_equal(err.exit, EX_CONFIG);
	assert_non_null(strstr(err.text, "partitions 4 and 5"));
	(void)snprintf(device, sizeof device, "%s:1", at("disk.img"));
	assert_int_equal(esp_info_find(at("esp"), device, "", &image, &err), 0);
	assert_int_equal(esp_disk_find_label(&image, "slotboot-a", &node, &err), -1);
	assert_int_equal(err.exit, EX_CONFIG);
	assert_non_null(strstr(err.text, "no device node"));
	assert_null(node);
}

static void the_labels_that_begin_so_are_listed_each_once(void **test)
{
	_cleanup_(esp_info_clear) struct esp_info esp = { 0 };
	char **labels;
	size_t count;

	(void)test;
	assert_int_equal(esp_info_find("/", NULL, at("root"), &esp, &err), 0);
	assert_int_equal(esp_disk_labels(&esp, "slotboot-", &labels, &count, &err), 0);
	assert_int_equal(count, 2);
	assert_string_equal(labels[0], "slotboot-a");
	assert_string_equal(labels[1], "slotboot-b");
	free(labels[0]);
	free(labels[1]);
	free(labels);
	assert_int_equal(esp_disk_labels(&esp, "tw", &labels, &count, &err), 0);
	assert_int_equal(count, 1);
	free(labels[0]);
	free(labels);
	assert_int_equal(esp_disk_labels(&esp, "slotboot-a-", &labels, &count, &err), 0);
	assert_int_equal(count, 0);
	assert_null(labels);
}

int main(void)
{
#define ESP_TEST(f) cmocka_unit_test_setup(f, clear_err)
	const struct CMUnitTest tests[] = {
		ESP_TEST(a_named_image_and_number_give_place_and_guid),
		ESP_TEST(a_mounted_directory_leads_through_sysfs_to_its_disk),
		ESP_TEST(a_directory_that_is_no_esp_is_a_configuration_error),
		ESP_TEST(a_device_that_is_no_esp_is_a_configuration_error),
		ESP_TEST(raid_and_multipath_are_named),
		ESP_TEST(a_real_disk_goes_with_a_mounted_esp_only),
		ESP_TEST(the_boot_flag_of_the_protective_mbr_is_seen),
		ESP_TEST(a_disk_that_may_not_be_read_is_a_missing_permission),
		ESP_TEST(place_is_in_blocks_of_a_4096_byte_sector_disk),
		ESP_TEST(a_label_on_the_esps_disk_gives_the_kernels_node),
		ESP_TEST(the_labels_that_begin_so_are_listed_each_once),
		ESP_TEST(a_label_that_names_no_single_node_is_a_configuration_error),
	};

	/* sfdisk is in sbin, which is not on every user's path */
	(void)setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	return cmocka_run_group_tests(tests, make_all, remove_all);
}
