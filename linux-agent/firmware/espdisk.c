/* SPDX-License-Identifier: MIT */
#include "espdisk.h"

#include "io.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { DEPTH_MAX = 8, SYSFS_MAX = 4096 };

/* What was found of the partitions below /. */
struct answer {
	bool agrees;
	char *root, *here;	/* nodes of two partitions of one label, or NULL */
	char label[128];
};

/* The value of KEY= in a uevent file, up to the line's end: into out, "" if it is not there. */
static void uevent_get(const char *sysfs, const char *key, char *out, size_t cap)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ uint8_t *text = NULL;
	char *rest, *line;
	size_t len;

	out[0] = 0;
	if (asprintf(&path, "%s/uevent", sysfs) < 0 || read_file(path, SYSFS_MAX, &text, &len) < 0)
		return;
	rest = (char *)text;
	while ((line = strsep(&rest, "\n")))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == '=')
			(void)snprintf(out, cap, "%s", line + strlen(key) + 1);
}

/* For a device on no other: is it on the ESP's disk, with this label? */
static void leaf_ask(const struct esp_info *esp, const char *sysfs, struct answer *answer)
{
	_cleanup_free_ char *here = NULL, *root = NULL;
	char label[sizeof answer->label], name[128];

	uevent_get(sysfs, "PARTNAME", label, sizeof label);
	uevent_get(sysfs, "DEVNAME", name, sizeof name);
	if (!*label || !*name || esp_disk_find_label(esp, label, &here, NULL) < 0 ||
	    asprintf(&root, "%s/dev/%s", esp->sysroot, name) < 0)
		return;
	if (strcmp(here, root) == 0) {
		answer->agrees = true;
		return;
	}
	if (answer->root)
		return;
	(void)snprintf(answer->label, sizeof answer->label, "%s", label);
	answer->root = root;
	answer->here = here;
	root = here = NULL;
}

static void device_ask(const struct esp_info *esp, const char *sysfs, unsigned depth,
		       struct answer *answer)
{
	_cleanup_free_ char *slaves = NULL;
	_cleanup_(cleanup_closedirp) DIR *dir = NULL;
	struct dirent *entry;
	bool below = false;

	if (depth == DEPTH_MAX || asprintf(&slaves, "%s/slaves", sysfs) < 0)
		return;
	dir = opendir(slaves);
	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *slave = NULL;

		if (entry->d_name[0] == '.' || asprintf(&slave, "%s/%s", slaves, entry->d_name) < 0)
			continue;
		below = true;
		device_ask(esp, slave, depth + 1, answer);
	}
	if (!below)
		leaf_ask(esp, sysfs, answer);
}

int esp_disk_compare(const struct esp_info *esp, dev_t root, struct err *err)
{
	struct answer answer = { 0 };
	_cleanup_free_ char *sysfs = NULL;
	int r = 0;

	if (root == 0 || asprintf(&sysfs, "%s/sys/dev/block/%u:%u", esp->sysroot, major(root),
				  minor(root)) < 0)
		return 0;
	device_ask(esp, sysfs, 0, &answer);
	if (!answer.agrees && answer.root)
		r = err_set(err, EX_CONFIG, "/ is on %s, and the ESP at %s is partition %u of %s, "
			    "which has a partition %s of the same label (%s): two disks with the "
			    "same labels; pull one out or relabel its partitions, or set esp= in "
			    "slotboot.conf to the ESP of the disk that / is on", answer.root, esp->dir,
			    esp->part, esp->disk, answer.here, answer.label);
	free(answer.root);
	free(answer.here);
	return r;
}

int esp_mount_check(const struct esp_info *esp, struct err *err)
{
	_cleanup_free_ char *sysfs = NULL, *md = NULL, *uuid = NULL;
	_cleanup_free_ uint8_t *text = NULL;
	struct stat st;
	size_t len;

	if (stat(esp->dir, &st) < 0 ||
	    asprintf(&sysfs, "%s/sys/dev/block/%u:%u", esp->sysroot, major(st.st_dev),
		     minor(st.st_dev)) < 0 ||
	    asprintf(&md, "%s/md", sysfs) < 0 || asprintf(&uuid, "%s/dm/uuid", sysfs) < 0)
		return 0;
	if (access(md, F_OK) == 0)
		return err_set(err, EX_CONFIG, "the ESP at %s is mounted from a software RAID (md), of "
			       "which esp-device names one disk (%s): what the loader writes there, "
			       "the other disk does not get, and neither does Linux know; give each "
			       "disk an ESP of its own, and mount one of them", esp->dir, esp->disk);
	if (read_file(uuid, SYSFS_MAX, &text, &len) == 0 && strstr((char *)text, "mpath-") &&
	    !strstr(esp->disk, "/dm-") && !strstr(esp->disk, "/mapper/"))
		return err_set(err, EX_CONFIG, "the ESP at %s is mounted from a multipath device, of "
			       "which esp-device names one path (%s): name the multipath disk "
			       "(/dev/mapper/...)", esp->dir, esp->disk);
	return 0;
}
