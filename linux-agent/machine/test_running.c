/* SPDX-License-Identifier: MIT */
/* /proc and /sys as they look on real machines, laid out in a directory. Block
 * devices cannot be made without root, so the slots are files behind loop. */
#include "running.h"

#include "testdir.h"

struct scene {
	struct testdir dir;
	struct config config;
	char a[128], b[128];
};

static void scene_make(struct scene *s, const char *cmdline, const char *mountinfo)
{
	char line[256];

	memset(s, 0, sizeof *s);
	testdir_make(&s->dir);
	testdir_text(&s->dir, "a.img", "a");
	testdir_text(&s->dir, "b.img", "b");
	snprintf(s->a, sizeof s->a, "%s/a.img", s->dir.path);
	snprintf(s->b, sizeof s->b, "%s/b.img", s->dir.path);
	s->config.sysroot = s->dir.path;
	s->config.images[0] = (struct config_image){ (char *)"rootfs", { s->a, s->b } };
	s->config.image_count = 1;
	testdir_text(&s->dir, "proc/cmdline", cmdline);
	testdir_text(&s->dir, "proc/self/mountinfo", mountinfo);
	testdir_text(&s->dir, "proc/sys/kernel/bootloader_type", "33\n");
	/* 7:0 is loop0 over a, 7:1 over b; 254:0 is dm over loop1, 254:1 dm over dm. */
	snprintf(line, sizeof line, "%s\n", s->a);
	testdir_text(&s->dir, "sys/dev/block/7:0/loop/backing_file", line);
	snprintf(line, sizeof line, "%s\n", s->b);
	testdir_text(&s->dir, "sys/dev/block/7:1/loop/backing_file", line);
	testdir_text(&s->dir, "sys/dev/block/7:9/loop/backing_file", "/of/the/initrd\n");
	testdir_text(&s->dir, "sys/class/block/loop1/dev", "7:1\n");
	testdir_text(&s->dir, "sys/class/block/sda3/dev", "8:3\n");
	testdir_text(&s->dir, "sys/class/block/root/dev", "254:1\n");
	testdir_text(&s->dir, "sys/dev/block/254:0/slaves/loop1/dev", "7:1\n");
	testdir_text(&s->dir, "sys/dev/block/254:1/slaves/dm-0/dev", "254:0\n");
}

static int find(struct scene *s, const struct trace *trace, struct running *r, struct err *err)
{
	memset(err, 0, sizeof *err);
	return running_find(&s->config, trace, -1, r, err);
}

static int find_image(struct scene *s, int image, struct running *r, struct err *err)
{
	memset(err, 0, sizeof *err);
	return running_find(&s->config, NULL, image, r, err);
}

#define ON_ROOT(dev) "20 1 " dev " / / ro - erofs x ro\n"
#define OVERLAY(options) "30 1 0:30 / / rw - overlay overlay " options "\n"
#define ELSEWHERE(dev) "21 1 " dev " / /srv ro - erofs x ro\n"

static void the_slot_is_what_is_mounted(void **state)
{
	static const struct {
		const char *mountinfo, *cmdline;
		int want;	/* -1: an error */
	} rows[] = {
		{ ON_ROOT("7:0"), "quiet", 0 },
		{ ON_ROOT("254:0"), "quiet", 1 },
		{ ON_ROOT("254:1"), "quiet slotboot.slot=b", 1 },
		{ ON_ROOT("0:21") ELSEWHERE("7:0"), "quiet", -1 },
		{ ON_ROOT("0:21") ELSEWHERE("7:0"), "slotboot.slot=b", 1 },
		{ ON_ROOT("0:21") "21 1 7:0 / /usr ro - erofs x ro\n", "", 0 },
		{ ON_ROOT("8:1") "21 1 7:0 / /usr ro - erofs x ro\n", "", 0 },
		{ ON_ROOT("8:1"), "slotboot.slot=a", -1 },
		{ ON_ROOT("7:9"), "slotboot.slot=a", 0 },	/* a loop device over an unknown file */
		/* overlayroot: the slot, moved aside, below / */
		{ "20 1 7:1 / /media/root-ro ro - erofs /dev/loop1 ro\n"
		  "21 1 0:22 / /media/root-rw rw - tmpfs tmpfs rw\n"
		  OVERLAY("rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/o"), "quiet", 1 },
		{ "20 1 7:1 / /media/a\\040b ro - erofs /dev/loop1 ro\n"
		  OVERLAY("lowerdir=/none:/media/a\\040b/sub"), "", 1 },
		{ "20 1 7:1 / /mnt ro - erofs /dev/loop1 ro\n"
		  OVERLAY("rw,lowerdir=/gone"), "", -1 },
		{ "20 1 7:1 / /mnt ro - erofs /dev/loop1 ro\n"
		  OVERLAY("rw,lowerdir=/gone"), "slotboot.slot=a", 0 },
		{ OVERLAY("rw,lowerdir=/"), "", -1 },
		{ OVERLAY("rw"), "slotboot.slot=a", 0 },
		/* btrfs has a number of its own */
		{ "20 1 0:25 /@ / rw shared:1 - btrfs /dev/loop1 rw,subvol=/@\n", "", 1 },
		{ "20 1 0:25 /@ / rw - btrfs /dev/mapper/root rw\n", "slotboot.slot=a", -1 },
		{ "20 1 0:25 /@ / rw - btrfs /dev/sda3 rw\n", "slotboot.slot=a", -1 },
		{ "20 1 0:25 / / rw - nfs server:/dev/x rw\n", "slotboot.slot=a", 0 },
		{ ON_ROOT("0:21"), "quiet slotboot.slot=B", 1 },
		{ ELSEWHERE("7:0") ON_ROOT("254:1"), "", 1 },
		{ ON_ROOT("254:1") ELSEWHERE("7:0"), "", 1 },
		{ ON_ROOT("254:1"), "slotboot.slot=a", -1 },
		{ ON_ROOT("0:21"), "slotboot.slot={slot}", -1 },
		{ ON_ROOT("0:21"), "slotboot.slot=c", -1 },
		{ ON_ROOT("8:1"), "quiet", -1 },
		{ "", "", -1 },
		{ ELSEWHERE("7:0") ELSEWHERE("7:1"), "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct running r = { 0 };
		struct scene s;
		struct err err;
		int got;

		scene_make(&s, rows[i].cmdline, rows[i].mountinfo);
		got = find(&s, NULL, &r, &err);
		if (got != (rows[i].want < 0 ? -1 : 0))
			fail_msg("row %zu: %s", i, err.text);
		if (got == 0)
			assert_int_equal(r.slot, rows[i].want);
		else
			assert_int_equal(err.exit, EX_CONFIG);
		running_clear(&r);
		testdir_remove(&s.dir);
	}
}

static void a_slot_that_is_mounted_anywhere_is_found(void **state)
{
	static const struct {
		const char *mountinfo, *want[2];
	} rows[] = {
		{ "", { NULL, NULL } },
		{ ON_ROOT("254:1") ELSEWHERE("7:0"), { "/srv", "/" } },
		{ "20 1 0:25 /@ /mnt rw - btrfs /dev/loop1 rw\n", { NULL, "/mnt" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct scene s;

		scene_make(&s, "quiet", rows[i].mountinfo);
		for (unsigned slot = 0; slot < 2; slot++) {
			char *where = running_where_mounted(&s.config, slot);

			assert_string_equal(where ? where : "", rows[i].want[slot] ? rows[i].want[slot] : "");
			free(where);
		}
		testdir_remove(&s.dir);
	}
}

static void the_trace_counts_only_after_a_firmware_boot(void **state)
{
	static const struct trace trace = {
		.step_count = 2,
		.steps = { { .slot = 0, .what = TRACE_FAILED },
			   { .slot = 1, .what = TRACE_STARTED } },
	};
	struct running r = { 0 };
	struct scene s;
	struct err err;

	(void)state;
	scene_make(&s, "quiet", "");
	assert_int_equal(find(&s, &trace, &r, &err), 0);
	assert_int_equal(r.slot, 1);
	assert_false(r.kexec);
	running_clear(&r);
	testdir_text(&s.dir, "proc/cmdline", "quiet slotboot.slot=a");
	assert_int_equal(find(&s, &trace, &r, &err), -1);
	assert_non_null(strstr(err.text, "trace"));
	testdir_text(&s.dir, "proc/cmdline", "quiet slotboot.slot=a slotboot.nonce=1");
	assert_int_equal(find(&s, &trace, &r, &err), 0);
	assert_int_equal(r.slot, 0);
	running_clear(&r);
	testdir_text(&s.dir, "proc/cmdline", "quiet slotboot.nonce=0123456789abcdef");
	assert_int_equal(find(&s, &trace, &r, &err), -1);
	testdir_remove(&s.dir);
}

static void a_kexec_shows_by_our_nonce_or_by_the_kernels_own_word(void **state)
{
	struct running r = { 0 };
	struct scene s;
	struct err err;

	(void)state;
	scene_make(&s, "slotboot.slot=a slotboot.nonce=1", "");
	assert_int_equal(find(&s, NULL, &r, &err), 0);
	assert_true(r.kexec);
	assert_int_equal(r.nonce, 1);
	assert_int_equal(r.bootloader, BOOTLOADER_IS_OTHER);
	running_clear(&r);
	testdir_text(&s.dir, "proc/cmdline", "slotboot.slot=a");
	assert_int_equal(find(&s, NULL, &r, &err), 0);
	assert_false(r.kexec);
	running_clear(&r);
	testdir_text(&s.dir, "proc/sys/kernel/bootloader_type", "208\n");
	assert_int_equal(find(&s, NULL, &r, &err), 0);
	assert_true(r.kexec);
	running_clear(&r);
	testdir_remove(&s.dir);
}

static void without_the_loader_the_uki_that_the_firmware_started_counts(void **state)
{
	struct running r;
	struct scene s;
	struct err err;

	(void)state;
	scene_make(&s, "quiet", "");
	assert_int_equal(find_image(&s, 1, &r, &err), 0);
	assert_int_equal(r.slot, 1);
	assert_string_equal(r.evidence, "the UKI that the firmware started");
	running_clear(&r);
	testdir_text(&s.dir, "proc/cmdline", "slotboot.slot=a");
	assert_int_equal(find_image(&s, 1, &r, &err), -1);
	assert_non_null(strstr(err.text, "b by the UKI that the firmware started"));
	/* After a kexec it is of an earlier boot. */
	testdir_text(&s.dir, "proc/sys/kernel/bootloader_type", "208\n");
	assert_int_equal(find_image(&s, 1, &r, &err), 0);
	assert_int_equal(r.slot, 0);
	running_clear(&r);
	testdir_remove(&s.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_slot_is_what_is_mounted),
		cmocka_unit_test(a_slot_that_is_mounted_anywhere_is_found),
		cmocka_unit_test(the_trace_counts_only_after_a_firmware_boot),
		cmocka_unit_test(without_the_loader_the_uki_that_the_firmware_started_counts),
		cmocka_unit_test(a_kexec_shows_by_our_nonce_or_by_the_kernels_own_word),
	};

	return cmocka_run_group_tests_name("running", tests, NULL, NULL);
}
