/* SPDX-License-Identifier: MIT */
/* The raw jump, with every call recorded instead of made. */
#include "jump.h"

#include "testdir.h"

struct recorder {
	char calls[1024];
	char said[1024];
	const char *refuse;	/* the call that fails */
};

static const char *const interfaces[] = { "lo", "eth0", "wlan0" };

static int record(void *ctx, const char *what, const char *name)
{
	struct recorder *r = ctx;
	char call[128];
	size_t len = strlen(r->calls);

	snprintf(call, sizeof call, "%s%s%s", what, *name ? " " : "", name);
	snprintf(r->calls + len, sizeof r->calls - len, "%s\n", call);
	errno = EBUSY;
	return r->refuse && strcmp(call, r->refuse) == 0 ? -1 : 0;
}

static void test_flush(void *ctx)
{
	(void)record(ctx, "flush", "");
}

static int test_remount(void *ctx, const char *where, bool read_only)
{
	return record(ctx, read_only ? "ro" : "rw", where);
}

static int test_interface_at(void *ctx, unsigned index, char ret_name[IFNAMSIZ])
{
	(void)ctx;
	if (index >= 3)
		return -1;
	snprintf(ret_name, IFNAMSIZ, "%s", interfaces[index]);
	return 0;
}

static int test_interface_down(void *ctx, const char *name)
{
	return record(ctx, "down", name);
}

static int test_kexec(void *ctx)
{
	(void)record(ctx, "kexec", "");
	errno = EINVAL;
	return -1;
}

static void test_say(void *ctx, const char *text)
{
	struct recorder *r = ctx;
	size_t len = strlen(r->said);

	snprintf(r->said + len, sizeof r->said - len, "%s\n", text);
}

static const char mounts[] =
	"20 1 254:0 / / ro,relatime shared:1 - erofs /dev/mapper/root ro\n"
	"21 20 0:5 / /dev rw,nosuid shared:2 - devtmpfs dev rw,size=4k\n"
	"22 20 0:22 / /run rw,nosuid shared:3 - tmpfs run rw\n"
	"23 20 259:1 / /efi rw,noatime shared:4 - vfat /dev/vda1 rw,umask=0077\n"
	"24 20 259:4 / /data/my\\040files rw master:1 shared:5 - ext4 /dev/vda4 rw\n"
	"25 24 0:33 /sub /data/btrfs rw - btrfs /dev/vda5 rw,space_cache\n"
	"26 20 0:44 / /net rw - nfs4 server:/export rw,vers=4.2\n"
	"27 20 259:6 / /view ro - ext4 /dev/vda6 rw\n"
	"28 20 259:7 / /rwanda ro - ext4 /dev/vda7 rwx\n"
	"29 20 broken line\n";

static struct recorder run(const char *refuse, const char *mountinfo)
{
	struct recorder r = { .refuse = refuse };
	struct jump_ops ops = {
		.ctx = &r,
		.flush = test_flush,
		.remount = test_remount,
		.interface_at = test_interface_at,
		.interface_down = test_interface_down,
		.kexec = test_kexec,
		.say = test_say,
	};
	struct testdir dir;
	struct err err = { 0 };

	testdir_make(&dir);
	if (mountinfo)
		testdir_text(&dir, "mountinfo", mountinfo);
	ops.mountinfo = testdir_path(&dir, "mountinfo");
	assert_int_equal(jump_run(&ops, &err), -1);
	assert_int_equal(err.exit, EX_UNAVAILABLE);
	assert_non_null(strstr(err.text, "failed to jump to the staged kernel: Invalid"));
	testdir_remove(&dir);
	return r;
}

static void the_steps_come_in_order_and_are_undone_where_they_can_be(void **state)
{
	struct recorder r = run(NULL, mounts);

	(void)state;
	assert_string_equal(r.calls, "flush\n"
				     "ro /view\nro /data/btrfs\nro /data/my files\nro /efi\n"
				     "down eth0\ndown wlan0\n"
				     "kexec\n"
				     "rw /efi\nrw /data/my files\nrw /data/btrfs\nrw /view\n");
	assert_string_equal(r.said, "");
}

static void what_fails_on_the_way_is_said_and_passed_over(void **state)
{
	struct recorder r = run("ro /efi", mounts);

	(void)state;
	assert_non_null(strstr(r.calls, "ro /efi\ndown eth0\ndown wlan0\nkexec\nrw /data/my files\n"));
	assert_null(strstr(r.calls, "rw /efi"));
	assert_string_equal(r.said, "failed to remount read-only /efi: Device or resource busy; "
				    "jumping all the same\n");
	r = run("down eth0", mounts);
	assert_non_null(strstr(r.calls, "down eth0\ndown wlan0\nkexec\n"));
	assert_non_null(strstr(r.said, "failed to take down eth0: "));
}

static void no_mountinfo_does_not_stop_the_jump(void **state)
{
	struct recorder r = run(NULL, NULL);

	(void)state;
	assert_string_equal(r.calls, "flush\ndown eth0\ndown wlan0\nkexec\n");
	assert_non_null(strstr(r.said, "failed to read "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_steps_come_in_order_and_are_undone_where_they_can_be),
		cmocka_unit_test(what_fails_on_the_way_is_said_and_passed_over),
		cmocka_unit_test(no_mountinfo_does_not_stop_the_jump),
	};

	return cmocka_run_group_tests_name("jump", tests, NULL, NULL);
}
