/* SPDX-License-Identifier: MIT */
#include "running.h"

#include "cmdline.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { DEPTH_MAX = 8, BOOTLOADER_KEXEC = 13 };

/* What the slots' targets are: numbers of block devices, or files (behind loop). */
struct targets {
	dev_t dev[CONFIG_MAX_IMAGES * SLOT_COUNT];
	const char *path[CONFIG_MAX_IMAGES * SLOT_COUNT];
	unsigned slot[CONFIG_MAX_IMAGES * SLOT_COUNT];
	size_t count;
};

static void targets_collect(const struct config *config, struct targets *t)
{
	t->count = 0;
	for (size_t i = 0; i < config->image_count; i++)
		for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
			const char *path = config->images[i].target[slot];
			struct stat st;

			if (stat(path, &st) < 0)
				continue;
			t->dev[t->count] = S_ISBLK(st.st_mode) ? st.st_rdev : 0;
			t->path[t->count] = path;
			t->slot[t->count++] = slot;
		}
}

static int slot_of_dev(const struct targets *t, dev_t dev)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->dev[i] && t->dev[i] == dev)
			return (int)t->slot[i];
	return -1;
}

/* First line of a small file below the device's sysfs directory, or "". */
static void sysfs_line(const char *dir, const char *name, char *out, size_t cap)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *f = NULL;

	out[0] = 0;
	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return;
	f = fopen(path, "re");
	if (f && !fgets(out, (int)cap, f))
		out[0] = 0;
	out[strcspn(out, "\n")] = 0;
}

static int slot_of_loop(const struct targets *t, const char *dir)
{
	char file[4096];

	sysfs_line(dir, "loop/backing_file", file, sizeof file);
	for (size_t i = 0; *file && i < t->count; i++) {
		_cleanup_free_ char *real = realpath(t->path[i], NULL);

		if (real && strcmp(real, file) == 0)
			return (int)t->slot[i];
	}
	return -1;
}

/* The slot under a block device: itself, its loop file, or what dm puts it on. */
static int slot_below(const struct config *config, const struct targets *t, dev_t dev,
		      unsigned depth)
{
	_cleanup_free_ char *dir = NULL, *slaves = NULL;
	struct dirent *entry;
	int slot = slot_of_dev(t, dev);
	DIR *d;

	if (slot >= 0 || depth == DEPTH_MAX)
		return slot;
	if (asprintf(&dir, "%s/sys/dev/block/%u:%u", config->sysroot, major(dev),
		     minor(dev)) < 0 || asprintf(&slaves, "%s/slaves", dir) < 0)
		return -1;
	slot = slot_of_loop(t, dir);
	d = slot < 0 ? opendir(slaves) : NULL;
	while (d && slot < 0 && (entry = readdir(d))) {
		_cleanup_free_ char *below = NULL;
		unsigned maj, min;
		char line[32];

		if (entry->d_name[0] == '.' || asprintf(&below, "%s/%s", slaves,
							entry->d_name) < 0)
			continue;
		sysfs_line(below, "dev", line, sizeof line);
		if (sscanf(line, "%u:%u", &maj, &min) == 2)
			slot = slot_below(config, t, makedev(maj, min), depth + 1);
	}
	if (d)
		closedir(d);
	return slot;
}

/* One line of mountinfo(5): "36 35 98:0 /mnt1 /mnt2 ...". */
static int slot_of_mount(const struct config *config, const struct targets *t,
			 const char *line, char mountpoint[256])
{
	unsigned maj, min;

	if (sscanf(line, "%*u %*u %u:%u %*s %255s", &maj, &min, mountpoint) != 3)
		return -1;
	return slot_below(config, t, makedev(maj, min), 0);
}

/* The slot mounted on /; else the one slot that is mounted anywhere; else -1.
 * -1 with err filled: both are mounted and neither is on /. */
static int slot_mounted(const struct config *config, char **ret_evidence, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	char line[4096], at[256], found_at[256] = "";
	struct targets targets;
	int found = -1;

	targets_collect(config, &targets);
	if (asprintf(&path, "%s/proc/self/mountinfo", config->sysroot) < 0)
		return -1;
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		int slot = slot_of_mount(config, &targets, line, at);
		bool root = slot >= 0 && strcmp(at, "/") == 0;

		if (slot < 0)
			continue;
		if (found >= 0 && found != slot && !root && strcmp(found_at, "/") != 0)
			return err_set(err, EX_CONFIG,
				       "failed to find the running slot: both slots are mounted "
				       "(on %s and on %s)", found_at, at);
		if (found < 0 || root) {
			found = slot;
			memcpy(found_at, at, sizeof at);
		}
	}
	if (found >= 0 && asprintf(ret_evidence, "slot %c is mounted on %s",
				   slot_letter((unsigned)found), found_at) < 0)
		*ret_evidence = NULL;
	return found;
}

static int slot_in_cmdline(const char *cmdline, struct err *err)
{
	size_t len = 0;
	const char *value = cmdline_get(cmdline, "slotboot.slot", &len);

	if (!value)
		return -1;
	if (len == 1 && (value[0] | 0x20) >= 'a' && (value[0] | 0x20) <= 'b')
		return (value[0] | 0x20) - 'a';
	return err_set(err, EX_CONFIG,
		       "the kernel command line has slotboot.slot=%.*s, which is neither a nor "
		       "b: was the UKI booted without the loader, or its {slot} not filled in "
		       "because of Secure Boot?", (int)len, value);
}

/* The slot the loader started last, or -1. */
static int slot_in_trace(const struct trace *trace)
{
	int slot = -1;

	for (unsigned i = 0; trace && i < trace->step_count; i++)
		if (trace->steps[i].what == TRACE_STARTED)
			slot = trace->steps[i].slot;
	return slot;
}

static uint64_t nonce_in_cmdline(const char *cmdline)
{
	const char *value;
	size_t len;

	value = cmdline_get(cmdline, "slotboot.nonce", &len);
	return value ? strtoull(value, NULL, 16) : 0;
}

static enum running_bootloader bootloader_find(const struct config *config)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ uint8_t *text = NULL;
	size_t len;

	if (asprintf(&path, "%s/proc/sys/kernel/bootloader_type", config->sysroot) < 0 ||
	    read_file(path, 32, &text, &len) < 0)
		return BOOTLOADER_UNKNOWN;
	return strtoul((char *)text, NULL, 10) >> 4 == BOOTLOADER_KEXEC ? BOOTLOADER_IS_KEXEC
									: BOOTLOADER_IS_OTHER;
}

/* Each -1 or a slot; two that differ are a contradiction. */
static int agree(int one, const char *one_text, int other, const char *other_text,
		 struct err *err)
{
	if (one < 0 || other < 0 || one == other)
		return 0;
	return err_set(err, EX_CONFIG,
		       "failed to find the running slot: it is %c by %s, and %c by %s; boot "
		       "through the loader a UKI whose command line has slotboot.slot={slot}",
		       slot_letter((unsigned)one), one_text, slot_letter((unsigned)other),
		       other_text);
}

static int slot_decide(const struct config *config, const struct trace *trace,
		       struct running *r, struct err *err)
{
	int mounted, token, traced;

	err->exit = 0;
	mounted = slot_mounted(config, &r->evidence, err);
	token = err->exit ? -1 : slot_in_cmdline(r->cmdline, err);
	if (err->exit)
		return -1;
	traced = r->kexec ? -1 : slot_in_trace(trace);
	if (agree(mounted, "what is mounted", token, "slotboot.slot=", err) < 0 ||
	    agree(mounted, "what is mounted", traced, "the loader's trace", err) < 0 ||
	    agree(token, "slotboot.slot=", traced, "the loader's trace", err) < 0)
		return -1;
	if (mounted < 0 && token >= 0)
		r->evidence = strdup(token ? "slotboot.slot=b on the kernel command line"
					   : "slotboot.slot=a on the kernel command line");
	if (mounted < 0 && token < 0 && traced >= 0)
		r->evidence = strdup("the loader's trace of this boot");
	if (mounted < 0 && token < 0 && traced < 0)
		return err_set(err, EX_CONFIG,
			       "failed to find the running slot: no slot's device is mounted, and "
			       "there is no slotboot.slot= on the kernel command line; name the "
			       "slots' devices in slotboot.conf, or put slotboot.slot={slot} into "
			       "the UKI's command line");
	r->slot = (unsigned)(mounted >= 0 ? mounted : token >= 0 ? token : traced);
	return 0;
}

int running_find(const struct config *config, const struct trace *trace,
		 struct running *ret_running, struct err *err)
{
	_cleanup_(running_clear) struct running r = { 0 };
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ uint8_t *cmdline = NULL;
	struct err local;
	size_t len;

	if (asprintf(&path, "%s/proc/cmdline", config->sysroot) < 0 ||
	    read_file(path, 1024 * 1024, &cmdline, &len) < 0)
		return err_errno(err, EX_CONFIG, errno, "failed to read the kernel command line");
	cmdline[strcspn((char *)cmdline, "\n")] = 0;
	r.cmdline = (char *)cmdline;
	cmdline = NULL;
	r.nonce = nonce_in_cmdline(r.cmdline);
	r.bootloader = bootloader_find(config);
	r.kexec = r.nonce != 0 || r.bootloader == BOOTLOADER_IS_KEXEC;
	if (slot_decide(config, trace, &r, err ? err : &local) < 0)
		return -1;
	*ret_running = r;
	r = (struct running){ 0 };
	return 0;
}

void running_clear(struct running *running)
{
	free(running->cmdline);
	free(running->evidence);
	*running = (struct running){ 0 };
}
