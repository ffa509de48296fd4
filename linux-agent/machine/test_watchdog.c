/* SPDX-License-Identifier: MIT */
/* Watchdogs as files under a sysroot. The device is a regular file: what is written
 * to it stays. open(), ioctl() and what leave.c would do are this file's own. */
#include "watchdog.h"

#include "init.h"
#include "testdir.h"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

static bool systemd_runs, busctl_fails;
static char told[256];		/* what systemd was told */
static int open_error, ioctl_error, seconds_set, opens;
static struct testdir dir;
static struct config config;
static char say[512];

bool init_is_systemd(const char *sysroot)
{
	(void)sysroot;
	return systemd_runs;
}

int init_run(const char *sysroot, char *const argv[], struct err *err)
{
	(void)sysroot;
	*told = 0;
	for (int i = 0; argv[i]; i++)
		strcat(strcat(told, i ? " " : ""), argv[i]);
	return busctl_fails ? err_set(err, EX_UNAVAILABLE, "failed to run busctl") : 0;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (strstr(path, "/dev/watchdog")) {
		opens++;
		errno = open_error;
		if (open_error)
			return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	int *value;

	(void)fd;
	va_start(ap, request);
	value = va_arg(ap, int *);
	va_end(ap);
	assert_int_equal(request, WDIOC_SETTIMEOUT);
	seconds_set = *value;
	errno = ioctl_error;
	return ioctl_error ? -1 : 0;
}

static int setup(void **state)
{
	(void)state;
	systemd_runs = busctl_fails = false;
	open_error = ioctl_error = seconds_set = opens = 0;
	testdir_make(&dir);
	config = (struct config){ .sysroot = dir.path, .watchdog_s = 33 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testdir_remove(&dir);
	return 0;
}

static void attribute(unsigned number, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof path, "sys/class/watchdog/watchdog%u/%s", number, name);
	testdir_text(&dir, path, value);
}

static void device(unsigned number, const char *identity, const char *nowayout, const char *state)
{
	char path[64];

	attribute(number, "identity", identity);
	attribute(number, "nowayout", nowayout);
	attribute(number, "state", state);
	snprintf(path, sizeof path, "dev/watchdog%u", number);
	testdir_text(&dir, path, "");
}

static void stop_on_reboot(const char *value)
{
	testdir_text(&dir, "sys/module/watchdog/parameters/stop_on_reboot", value);
}

/* What was written to /dev/watchdogN. */
static void assert_written(unsigned number, const char *want, size_t len)
{
	char name[64], got[16] = "";
	FILE *f;

	snprintf(name, sizeof name, "dev/watchdog%u", number);
	f = fopen(testdir_path(&dir, name), "r");
	assert_non_null(f);
	assert_int_equal(fread(got, 1, sizeof got, f), len);
	assert_memory_equal(got, want, len);
	fclose(f);
}

static void each_driver_is_known_by_its_name(void **state)
{
	static const struct {
		const char *identity;
		enum record_watchdog kind;
	} rows[] = {
		{ "i6300ESB timer\n", WATCHDOG_I6300ESB },
		{ "iTCO_wdt\n", WATCHDOG_ITCO },
		{ "wdat_wdt\n", WATCHDOG_WDAT },
		{ "SP5100 TCO timer\n", WATCHDOG_FCH },
		{ "sp5100-tco\n", WATCHDOG_FCH },
		{ "SBSA Generic Watchdog\n", WATCHDOG_GWDT },
		{ "sbsa-gwdt\n", WATCHDOG_GWDT },
		{ "Software Watchdog\n", WATCHDOG_NONE },
		{ "iTCO_wdt2\n", WATCHDOG_NONE },
		{ "\n", WATCHDOG_NONE },
	};
	struct watchdog w;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		attribute(0, "identity", rows[i].identity);
		watchdog_find(&config, &w);
		assert_int_equal(w.kind, rows[i].kind);
		assert_int_equal(strlen(w.identity), strlen(rows[i].identity) - 1);
	}
	assert_int_equal(opens, 0);
}

static void nothing_is_found_where_nothing_is(void **state)
{
	struct watchdog w;

	(void)state;
	watchdog_find(&config, &w);
	assert_int_equal(w.kind, WATCHDOG_NONE);
	assert_string_equal(w.identity, "");
}

static void the_best_of_several_is_found(void **state)
{
	struct watchdog w;

	(void)state;
	device(0, "Software Watchdog\n", "0\n", "inactive\n");
	device(2, "iTCO_wdt\n", "0\n", "active\n");
	watchdog_find(&config, &w);
	assert_int_equal(w.kind, WATCHDOG_ITCO);
	assert_int_equal(w.number, 2);
	assert_true(w.open && !w.nowayout);
	device(3, "wdat_wdt\n", "0\n", "inactive\n");
	watchdog_find(&config, &w);
	assert_int_equal(w.kind, WATCHDOG_WDAT);
	device(4, "i6300ESB timer\n", "1\n", "inactive\n");
	device(5, "i6300ESB timer\n", "0\n", "inactive\n");
	watchdog_find(&config, &w);
	assert_int_equal(w.kind, WATCHDOG_I6300ESB);
	assert_int_equal(w.number, 4);
	assert_true(!w.open && w.nowayout);
}

/* CONFIG_WATCHDOG_SYSFS=n: the driver's name, and nothing else. */
static void without_attributes_the_driver_tells(void **state)
{
	struct watchdog w;
	char link[256];

	(void)state;
	testdir_text(&dir, "sys/class/watchdog/watchdog0/device/uevent", "");
	snprintf(link, sizeof link, "%s/sys/class/watchdog/watchdog0/device/driver", dir.path);
	assert_int_equal(symlink("../../../bus/pci/drivers/i6300ESB timer", link), 0);
	watchdog_find(&config, &w);
	assert_int_equal(w.kind, WATCHDOG_I6300ESB);
	assert_true(w.nowayout);
	assert_int_equal(opens, 0);
}

static void the_record_gets_what_the_configuration_says(void **state)
{
	static const struct {
		enum record_watchdog kind;
		unsigned use;
		uint8_t flags;
		uint16_t seconds;
	} rows[] = {
		{ WATCHDOG_ITCO, CONFIG_WATCHDOG_TRIAL, WATCHDOG_FLAG_TRIAL, 33 },
		{ WATCHDOG_ITCO, CONFIG_WATCHDOG_ALWAYS,
		  WATCHDOG_FLAG_TRIAL | WATCHDOG_FLAG_GOOD, 33 },
		{ WATCHDOG_ITCO, CONFIG_WATCHDOG_OFF, 0, 33 },
		{ WATCHDOG_NONE, CONFIG_WATCHDOG_ALWAYS, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct watchdog w = { .kind = rows[i].kind };
		struct record record = { .watchdog = WATCHDOG_WDAT, .watchdog_flags = 3,
					 .watchdog_s = 9 };

		config.watchdog = rows[i].use;
		watchdog_to_record(&config, &w, &record);
		assert_int_equal(record.watchdog, rows[i].kind);
		assert_int_equal(record.watchdog_flags, rows[i].flags);
		assert_int_equal(record.watchdog_s, rows[i].seconds);
	}
}

static void release_stops_what_nobody_has_open(void **state)
{
	(void)state;
	device(1, "iTCO_wdt\n", "0\n", "inactive\n");
	assert_int_equal(watchdog_release(&config, WATCHDOG_ITCO, say, sizeof say), 0);
	assert_string_equal(say, "iTCO_wdt is stopped");
	assert_written(1, "V", 1);
}

static void release_leaves_it_to_who_has_it(void **state)
{
	(void)state;
	device(0, "iTCO_wdt\n", "0\n", "active\n");
	assert_int_equal(watchdog_release(&config, WATCHDOG_ITCO, say, sizeof say), 0);
	assert_string_equal(say, "iTCO_wdt is left to the process that feeds it");
	assert_int_equal(opens, 0);
	device(0, "iTCO_wdt\n", "0\n", "inactive\n");
	open_error = EBUSY;
	assert_int_equal(watchdog_release(&config, WATCHDOG_ITCO, say, sizeof say), 0);
	assert_string_equal(say, "iTCO_wdt is left to the process that feeds it");
}

static void release_never_opens_what_it_cannot_stop(void **state)
{
	(void)state;
	device(0, "i6300ESB timer\n", "1\n", "inactive\n");
	assert_int_equal(watchdog_release(&config, WATCHDOG_I6300ESB, say, sizeof say), 0);
	assert_non_null(strstr(say, "by nowayout it could not be stopped"));
	assert_int_equal(opens, 0);
}

static void release_without_a_driver_is_a_warning_with_its_module(void **state)
{
	(void)state;
	device(0, "Software Watchdog\n", "0\n", "inactive\n");
	assert_int_equal(watchdog_release(&config, WATCHDOG_I6300ESB, say, sizeof say), -1);
	assert_non_null(strstr(say, "will reset the machine; modprobe i6300esb"));
	assert_int_equal(opens, 0);
}

static void release_that_fails_says_why(void **state)
{
	(void)state;
	device(0, "iTCO_wdt\n", "0\n", "inactive\n");
	open_error = EACCES;
	assert_int_equal(watchdog_release(&config, WATCHDOG_ITCO, say, sizeof say), -1);
	assert_string_equal(say, "failed to stop the watchdog iTCO_wdt (/dev/watchdog0): "
				 "Permission denied");
}

static void arm_sets_the_timeout_and_leaves_it_running(void **state)
{
	int fd = -1;

	(void)state;
	device(0, "i6300ESB timer\n", "0\n", "inactive\n");
	stop_on_reboot("0\n");
	assert_int_equal(watchdog_arm(&config, &fd, say, sizeof say), 1);
	assert_true(fd >= 0);
	assert_int_equal(seconds_set, 33);
	assert_written(0, "\0", 1);
	watchdog_disarm(fd);
	assert_written(0, "\0V", 2);
	assert_int_equal(close(fd), -1);
}

static void arm_wants_a_kernel_that_keeps_it_running(void **state)
{
	int fd = -1;

	(void)state;
	device(0, "i6300ESB timer\n", "0\n", "inactive\n");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(watchdog_arm(&config, &fd, say, sizeof say), -1);
		assert_non_null(strstr(say, "watchdog.stop_on_reboot=0 on the kernel command line"));
		stop_on_reboot(i == 0 ? "-1\n" : "1\n");
	}
	assert_int_equal(fd, -1);
	assert_int_equal(opens, 0);
}

static void arm_without_a_watchdog_says_nothing(void **state)
{
	int fd = -1;

	(void)state;
	device(0, "Software Watchdog\n", "0\n", "inactive\n");
	stop_on_reboot("0\n");
	assert_int_equal(watchdog_arm(&config, &fd, say, sizeof say), 0);
	assert_string_equal(say, "");
	assert_int_equal(fd, -1);
}

static void arm_that_fails_stops_it_and_says_why(void **state)
{
	int fd = -1;

	(void)state;
	device(0, "i6300ESB timer\n", "0\n", "inactive\n");
	stop_on_reboot("0\n");
	ioctl_error = EINVAL;
	assert_int_equal(watchdog_arm(&config, &fd, say, sizeof say), -1);
	assert_string_equal(say, "a new kernel that hangs will not be reset: failed to start the "
				 "watchdog i6300ESB timer (/dev/watchdog0): Invalid argument");
	assert_written(0, "V", 1);
	assert_int_equal(fd, -1);
}

/* It is armed already, with its own timeout, and nobody feeds it after the jump. */
static void arm_leaves_it_to_the_process_that_has_it(void **state)
{
	int fd = -1;

	(void)state;
	device(0, "i6300ESB timer\n", "0\n", "active\n");
	stop_on_reboot("0\n");
	open_error = EBUSY;
	assert_int_equal(watchdog_arm(&config, &fd, say, sizeof say), 1);
	assert_int_equal(fd, -1);
	watchdog_disarm(fd);
}

static void arm_through_systemd_where_it_runs(void **state)
{
	int fd = -1;

	(void)state;
	systemd_runs = true;
	device(0, "iTCO_wdt\n", "0\n", "active\n");
	stop_on_reboot("0\n");
	assert_int_equal(watchdog_arm(&config, &fd, say, sizeof say), 1);
	assert_string_equal(told, "busctl set-property org.freedesktop.systemd1 "
			    "/org/freedesktop/systemd1 org.freedesktop.systemd1.Manager "
			    "KExecWatchdogUSec t 33000000");
	busctl_fails = true;
	assert_int_equal(watchdog_arm(&config, &fd, say, sizeof say), -1);
	assert_non_null(strstr(say, "(failed to run busctl); set KExecWatchdogSec="));
	assert_int_equal(fd, -1);
	assert_int_equal(opens, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_driver_is_known_by_its_name),
		TEST(nothing_is_found_where_nothing_is),
		TEST(the_best_of_several_is_found),
		TEST(without_attributes_the_driver_tells),
		TEST(the_record_gets_what_the_configuration_says),
		TEST(release_stops_what_nobody_has_open),
		TEST(release_leaves_it_to_who_has_it),
		TEST(release_never_opens_what_it_cannot_stop),
		TEST(release_without_a_driver_is_a_warning_with_its_module),
		TEST(release_that_fails_says_why),
		TEST(arm_sets_the_timeout_and_leaves_it_running),
		TEST(arm_wants_a_kernel_that_keeps_it_running),
		TEST(arm_without_a_watchdog_says_nothing),
		TEST(arm_that_fails_stops_it_and_says_why),
		TEST(arm_through_systemd_where_it_runs),
		TEST(arm_leaves_it_to_the_process_that_has_it),
	};
#undef TEST

	return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
