/* SPDX-License-Identifier: MIT */
#include "watchdog.h"

#include "init.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

enum { NUMBERS = 8 };

/* Drivers by their identity (struct watchdog_info) and the name that they register; the
 * best first. Every Intel chipset has a TCO, but not every board has it wired. */
static const struct kind {
	const char *identity;
	enum record_watchdog kind;
	const char *module;
} kinds[] = {
	{ "i6300ESB timer", WATCHDOG_I6300ESB, "i6300esb" },
	{ "wdat_wdt", WATCHDOG_WDAT, "wdat_wdt" },
	{ "iTCO_wdt", WATCHDOG_ITCO, "iTCO_wdt" },
	{ "SP5100 TCO timer", WATCHDOG_FCH, "sp5100_tco" },
	{ "sp5100-tco", WATCHDOG_FCH, "sp5100_tco" },
	{ "SBSA Generic Watchdog", WATCHDOG_GWDT, "sbsa_gwdt" },
	{ "sbsa-gwdt", WATCHDOG_GWDT, "sbsa_gwdt" },
};

static void say_set(char *say, size_t cap, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say_set(char *say, size_t cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(say, cap, fmt, ap);
	va_end(ap);
}

/* Its index in kinds; one past the last if it is none of them. */
static size_t rank_of(const char *identity)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(kinds) && strcmp(kinds[i].identity, identity) != 0)
		i++;
	return i;
}

static const char *module_of(enum record_watchdog kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].module;
	return "its driver";
}

/* A file's first line. */
static bool line_read(const char *path, char *out, size_t cap)
{
	_cleanup_free_ uint8_t *text = NULL;
	size_t len;

	if (read_file(path, 4096, &text, &len) < 0)
		return false;
	text[strcspn((char *)text, "\n")] = 0;
	(void)snprintf(out, cap, "%s", (char *)text);
	return true;
}

static bool attribute_read(const struct config *config, unsigned number, const char *name,
			   char *out, size_t cap)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/sys/class/watchdog/watchdog%u/%s", config->sysroot,
		       number, name);
	return line_read(path, out, cap);
}

/* The driver's name, for kernels without CONFIG_WATCHDOG_SYSFS. */
static bool driver_read(const struct config *config, unsigned number, char *out, size_t cap)
{
	char path[512], target[512];
	const char *name;
	ssize_t n;

	(void)snprintf(path, sizeof path, "%s/sys/class/watchdog/watchdog%u/device/driver",
		       config->sysroot, number);
	n = readlink(path, target, sizeof target - 1);
	if (n <= 0)
		return false;
	target[n] = 0;
	name = strrchr(target, '/');
	(void)snprintf(out, cap, "%.*s", (int)cap - 1, name ? name + 1 : target);
	return true;
}

static bool watchdog_look(const struct config *config, unsigned number, struct watchdog *w)
{
	char text[16];
	size_t rank;

	*w = (struct watchdog){ .number = number, .nowayout = true };
	if (!attribute_read(config, number, "identity", w->identity, sizeof w->identity) &&
	    !driver_read(config, number, w->identity, sizeof w->identity))
		return false;
	rank = rank_of(w->identity);
	w->kind = rank < ARRAY_SIZE(kinds) ? kinds[rank].kind : WATCHDOG_NONE;
	if (attribute_read(config, number, "nowayout", text, sizeof text))
		w->nowayout = strcmp(text, "0") != 0;
	if (attribute_read(config, number, "state", text, sizeof text))
		w->open = strcmp(text, "active") == 0;
	return true;
}

void watchdog_find(const struct config *config, struct watchdog *ret_watchdog)
{
	struct watchdog w, best = { .kind = WATCHDOG_NONE };

	for (unsigned i = 0; i < NUMBERS; i++)
		if (watchdog_look(config, i, &w) &&
		    (!*best.identity || rank_of(w.identity) < rank_of(best.identity)))
			best = w;
	*ret_watchdog = best;
}

void watchdog_to_record(const struct config *config, const struct watchdog *watchdog,
			struct record *record)
{
	static const uint8_t flags[] = {
		[CONFIG_WATCHDOG_TRIAL] = WATCHDOG_FLAG_TRIAL,
		[CONFIG_WATCHDOG_ALWAYS] = WATCHDOG_FLAG_TRIAL | WATCHDOG_FLAG_GOOD,
		[CONFIG_WATCHDOG_OFF] = 0,
	};
	bool known = watchdog->kind != WATCHDOG_NONE;

	record->watchdog = watchdog->kind;
	record->watchdog_flags = known ? flags[config->watchdog] : 0;
	record->watchdog_s = known ? (uint16_t)config->watchdog_s : 0;
}

void settings_to_record(const struct config *config, struct record *record)
{
	struct watchdog watchdog;

	config_to_record(config, record);
	watchdog_find(config, &watchdog);
	watchdog_to_record(config, &watchdog, record);
}

static int device_open(const struct config *config, unsigned number)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/dev/watchdog%u", config->sysroot, number);
	return open(path, O_WRONLY | O_CLOEXEC);
}

static int device_stop(int fd)
{
	ssize_t n = write(fd, "V", 1);	/* the magic character: the close stops the timer */

	return close(fd) < 0 || n != 1 ? -1 : 0;
}

int watchdog_release(const struct config *config, enum record_watchdog armed, char *say,
		     size_t cap)
{
	struct watchdog w;
	int fd;

	watchdog_find(config, &w);
	if (w.kind == WATCHDOG_NONE) {
		say_set(say, cap, "the loader started the watchdog (%s) and the kernel has no "
			"driver for it: it runs on and will reset the machine; modprobe %s takes "
			"it over", record_watchdog_text(armed), module_of(armed));
		return -1;
	}
	if (w.open) {
		say_set(say, cap, "%s is left to the process that feeds it", w.identity);
		return 0;
	}
	if (w.nowayout) {
		say_set(say, cap, "%s is left to the kernel, which feeds it if it runs: by "
			"nowayout it could not be stopped", w.identity);
		return 0;
	}
	fd = device_open(config, w.number);
	if (fd < 0 && errno == EBUSY) {
		say_set(say, cap, "%s is left to the process that feeds it", w.identity);
		return 0;
	}
	if (fd < 0 || device_stop(fd) < 0) {
		say_set(say, cap, "failed to stop the watchdog %s (/dev/watchdog%u): %s", w.identity,
			w.number, strerror(errno));
		return -1;
	}
	say_set(say, cap, "%s is stopped", w.identity);
	return 0;
}

/* A driver may stop its timer at shutdown, by its own choice (-1) or by this parameter;
 * only 0 keeps it running. It is read-only once the module is loaded. */
static bool stops_at_jump(const struct config *config)
{
	char path[512], text[16];

	(void)snprintf(path, sizeof path, "%s/sys/module/watchdog/parameters/stop_on_reboot",
		       config->sysroot);
	return !line_read(path, text, sizeof text) || strcmp(text, "0") != 0;
}

/* systemd feeds the watchdog until the jump, whatever RuntimeWatchdogSec= says. */
static int arm_through_systemd(const struct config *config, struct err *err)
{
	char usec[32];
	char *argv[] = { "busctl", "set-property", "org.freedesktop.systemd1",
			 "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
			 "KExecWatchdogUSec", "t", usec, NULL };

	(void)snprintf(usec, sizeof usec, "%u000000", config->watchdog_s);
	return init_run(config->sysroot, argv, err);
}

/* A process that holds the device has armed the watchdog, and stops feeding it at the
 * jump. */
static int arm_device(const struct config *config, const struct watchdog *w, int *ret_fd)
{
	int fd = device_open(config, w->number), seconds = (int)config->watchdog_s;

	if (fd < 0)
		return errno == EBUSY ? 0 : -1;
	if (ioctl(fd, WDIOC_SETTIMEOUT, &seconds) < 0 || write(fd, "\0", 1) != 1) {
		int error = errno;

		(void)device_stop(fd);
		errno = error;
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

int watchdog_arm(const struct config *config, int *ret_fd, char *say, size_t cap)
{
	struct err err = { 0 };
	struct watchdog w;

	say_set(say, cap, "%s", "");
	watchdog_find(config, &w);
	if (w.kind == WATCHDOG_NONE)
		return 0;
	if (stops_at_jump(config)) {
		say_set(say, cap, "a new kernel that hangs will not be reset: the running kernel "
			"stops its watchdog %s at the jump; watchdog.stop_on_reboot=0 on the kernel "
			"command line keeps it running", w.identity);
		return -1;
	}
	if (init_is_systemd(config->sysroot)) {
		if (arm_through_systemd(config, &err) == 0)
			return 1;
		say_set(say, cap, "a new kernel that hangs will not be reset: systemd was not told "
			"to keep the watchdog running (%s); set KExecWatchdogSec= in "
			"/etc/systemd/system.conf", err.text);
		return -1;
	}
	if (arm_device(config, &w, ret_fd) == 0)
		return 1;
	say_set(say, cap, "a new kernel that hangs will not be reset: failed to start the watchdog "
		"%s (/dev/watchdog%u): %s", w.identity, w.number, strerror(errno));
	return -1;
}

void watchdog_disarm(int fd)
{
	if (fd >= 0)
		(void)device_stop(fd);
}
