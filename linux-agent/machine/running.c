/* SPDX-License-Identifier: MIT */
#include "running.h"

#include "cmdline.h"
#include "mounts.h"
#include "io.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { DEPTH_MAX = 8, BOOTLOADER_KEXEC = 13 };

/* The slots' targets: device numbers, or files (behind loop devices). */
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

/* Whether a device is a loop device, over whatever file. */
static bool is_loop(const char *dir)
{
	char file[2];

	sysfs_line(dir, "loop/backing_file", file, sizeof file);
	return *file;
}

/* The slot that a block device stands on: the device itself, its loop file, or what
 * device-mapper puts it on. *loop is set if a loop device is on the way. */
static int slot_below(const struct config *config, const struct targets *t, dev_t dev,
		      unsigned depth, bool *loop)
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
	*loop = *loop || is_loop(dir);
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
			slot = slot_below(config, t, makedev(maj, min), depth + 1, loop);
	}
	if (d)
		closedir(d);
	return slot;
}

/* What is below a mount. */
struct footing {
	int slot;		/* -1: none that is known */
	dev_t dev;		/* of a block device; 0: there is none, or an overlay between */
	bool loop;
};

/* The block device of a file system with a device number of its own, as btrfs: found by
 * the name under which it was mounted. */
static dev_t source_dev(const struct config *config, const char *source)
{
	_cleanup_free_ char *path = NULL, *real = NULL, *dir = NULL;
	const char *name;
	unsigned maj, min;
	char line[32];

	if (strncmp(source, "/dev/", 5) != 0 || asprintf(&path, "%s%s", config->sysroot, source) < 0)
		return 0;
	real = realpath(path, NULL);		/* /dev/mapper/root is a link */
	name = strrchr(real ? real : path, '/') + 1;
	if (asprintf(&dir, "%s/sys/class/block/%s", config->sysroot, name) < 0)
		return 0;
	sysfs_line(dir, "dev", line, sizeof line);
	return sscanf(line, "%u:%u", &maj, &min) == 2 ? makedev(maj, min) : 0;
}

static struct footing footing_find(const struct config *config, const struct targets *t,
				   const struct mounts *mounts, const struct mount *m,
				   unsigned depth);

/* "lowerdir=/a:/b", the first one that stands on a slot. */
static struct footing overlay_footing(const struct config *config, const struct targets *t,
				      const struct mounts *mounts, const struct mount *m,
				      unsigned depth)
{
	const char *at = strncmp(m->options, "lowerdir=", 9) == 0 ? m->options
								    : strstr(m->options, ",lowerdir=");
	_cleanup_free_ char *list = NULL;
	char *rest = NULL;

	at = at ? strchr(at, '=') + 1 : "";
	list = strndup(at, strcspn(at, ","));
	for (char *dir = list ? strtok_r(list, ":", &rest) : NULL; dir;
	     dir = strtok_r(NULL, ":", &rest)) {
		const struct mount *lower = mounts_holding(mounts, dir);
		struct footing f = { .slot = -1 };

		if (lower && lower != m && depth < DEPTH_MAX)
			f = footing_find(config, t, mounts, lower, depth + 1);
		if (f.slot >= 0)
			return f;
	}
	return (struct footing){ .slot = -1 };
}

static struct footing footing_find(const struct config *config, const struct targets *t,
				   const struct mounts *mounts, const struct mount *m,
				   unsigned depth)
{
	struct footing f = { .slot = -1, .dev = m->dev };

	if (major(m->dev) == 0 && strcmp(m->type, "overlay") == 0)
		return overlay_footing(config, t, mounts, m, depth);
	if (major(m->dev) == 0)
		f.dev = source_dev(config, m->source);
	if (f.dev)
		f.slot = slot_below(config, t, f.dev, 0, &f.loop);
	return f;
}

char *running_where_mounted(const struct config *config, unsigned slot)
{
	_cleanup_(mounts_clear) struct mounts mounts = { 0 };
	struct targets targets;

	targets_collect(config, &targets);
	mounts_read(config->sysroot, &mounts);
	for (size_t i = 0; i < mounts.count; i++)
		if (footing_find(config, &targets, &mounts, &mounts.list[i], 0).slot == (int)slot)
			return strdup(mounts.list[i].target);
	return NULL;
}

dev_t running_root_device(const struct config *config)
{
	_cleanup_(mounts_clear) struct mounts mounts = { 0 };
	const struct mount *m;
	struct targets targets;

	targets_collect(config, &targets);
	mounts_read(config->sysroot, &mounts);
	m = mounts_at(&mounts, "/");
	return m ? footing_find(config, &targets, &mounts, m, 0).dev : 0;
}

static int not_a_slot(const struct footing *root, struct err *err)
{
	return err_set(err, EX_CONFIG, "failed to find the running slot: root is on %u:%u, which is "
		       "no slot of [image rootfs]; is this another disk's system, or is "
		       "slotboot.conf another's?", major(root->dev), minor(root->dev));
}

/* The running slot: the one below / or, if that is none, below /usr; else -1. A slot
 * mounted elsewhere may only have been mounted for inspection. -1 with err filled: / is
 * on a block device that should be a slot and is not. (A loop device's file may have a
 * name that only the initrd knew.) */
static int slot_mounted(const struct config *config, char **ret_evidence, struct err *err)
{
	static const char *const places[] = { "/", "/usr" };
	_cleanup_(mounts_clear) struct mounts mounts = { 0 };
	struct footing root = { .slot = -1 };
	struct targets targets;

	targets_collect(config, &targets);
	mounts_read(config->sysroot, &mounts);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct mount *m = mounts_at(&mounts, places[i]);
		struct footing f = { .slot = -1 };

		if (m)
			f = footing_find(config, &targets, &mounts, m, 0);
		if (i == 0)
			root = f;
		if (f.slot < 0)
			continue;
		if (asprintf(ret_evidence, "slot %c is mounted on %s%s", slot_letter((unsigned)f.slot),
			     places[i], strcmp(m->type, "overlay") ? "" : ", below an overlay") < 0)
			*ret_evidence = NULL;
		return f.slot;
	}
	if (root.dev && !root.loop && config_image_find(config, "rootfs"))
		return not_a_slot(&root, err);
	return -1;
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

/* Each is -1 or a slot; two different slots are a contradiction. */
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

static int slot_decide(const struct config *config, const struct trace *trace, int image,
		       struct running *r, struct err *err)
{
	const char *traced_text = trace ? "the loader's trace" : "the UKI that the firmware started";
	int mounted, token, traced;

	err->exit = 0;
	mounted = slot_mounted(config, &r->evidence, err);
	token = err->exit ? -1 : slot_in_cmdline(r->cmdline, err);
	if (err->exit)
		return -1;
	traced = r->kexec ? -1 : trace ? slot_in_trace(trace) : image;
	if (agree(mounted, "what is mounted", token, "slotboot.slot=", err) < 0 ||
	    agree(mounted, "what is mounted", traced, traced_text, err) < 0 ||
	    agree(token, "slotboot.slot=", traced, traced_text, err) < 0)
		return -1;
	if (mounted < 0 && token >= 0)
		r->evidence = strdup(token ? "slotboot.slot=b on the kernel command line"
					   : "slotboot.slot=a on the kernel command line");
	if (mounted < 0 && token < 0 && traced >= 0)
		r->evidence = strdup(trace ? "the loader's trace of this boot" : traced_text);
	if (mounted < 0 && token < 0 && traced < 0)
		return err_set(err, EX_CONFIG,
			       "failed to find the running slot: no slot's device is under / or "
			       "/usr, and there is no slotboot.slot= on the kernel command line; name the "
			       "slots' devices in slotboot.conf, or put slotboot.slot={slot} into "
			       "the UKI's command line");
	r->slot = (unsigned)(mounted >= 0 ? mounted : token >= 0 ? token : traced);
	return 0;
}

int running_find(const struct config *config, const struct trace *trace, int image,
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
	if (slot_decide(config, trace, image, &r, err ? err : &local) < 0)
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
