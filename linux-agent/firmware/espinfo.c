/* SPDX-License-Identifier: MIT */
#include "espinfo.h"

#include "io.h"

#include <blkid/blkid.h>
#include <dirent.h>
#include <efivar/efivar.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define ESP_TYPE "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define BASIC_DATA_TYPE "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"
#define UEVENT_MAX 4096
/* libblkid counts in these, whatever the device does. */
#define BLKID_SECTOR 512

void esp_info_clear(struct esp_info *esp)
{
	free(esp->dir);
	free(esp->disk);
	free(esp->sysroot);
	*esp = (struct esp_info){ 0 };
}

static void cleanup_probep(blkid_probe *probe)
{
	blkid_free_probe(*probe);
}

#define _cleanup_probe_ _cleanup_(cleanup_probep)
#define _cleanup_closedir_ _cleanup_(cleanup_closedirp)

static char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	return r < 0 ? NULL : text;
}

static int out_of_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "out of memory");
}

/* --- partition table --- */

/* NULL: no GPT in sectors of that size (0: what the device says). */
static blkid_partlist probe_gpt(blkid_probe probe, unsigned sector_size)
{
	blkid_partlist list;
	blkid_parttable table;
	const char *type;

	if (sector_size && blkid_probe_set_sectorsize(probe, sector_size) < 0)
		return NULL;
	if (blkid_probe_enable_partitions(probe, 1) < 0)
		return NULL;
	list = blkid_probe_get_partitions(probe);
	table = list ? blkid_partlist_get_table(list) : NULL;
	type = table ? blkid_parttable_get_type(table) : NULL;
	return type && strcmp(type, "gpt") == 0 ? list : NULL;
}

/* *ret_list lives as long as *ret_probe, which the caller frees. */
static int open_gpt(const char *disk, blkid_probe *ret_probe, blkid_partlist *ret_list,
		    struct err *err)
{
	_cleanup_probe_ blkid_probe probe = NULL;
	blkid_partlist list;

	errno = 0;
	probe = blkid_new_probe_from_filename(disk);
	if (!probe && (errno == EACCES || errno == EPERM))
		return err_errno(err, EX_NOPERM, errno,
				 "failed to read the partition table of %s (run as root)",
				 disk);
	if (!probe)
		return err_set(err, EX_CONFIG, "failed to open the ESP's disk %s: %s", disk,
			       strerror(errno ? errno : EIO));
	list = probe_gpt(probe, 0);
	if (!list)	/* an image file does not state its sector size */
		list = probe_gpt(probe, 4096);
	if (!list)
		return err_set(err, EX_CONFIG, "the ESP's disk %s has no GPT", disk);
	*ret_probe = probe;
	*ret_list = list;
	probe = NULL;
	return 0;
}

/* The boot flag of the protective entry, which UEFI 2.10, table 5-4, wants to be 0. */
static bool read_pmbr_boot(const char *disk)
{
	_cleanup_close_ int fd = open(disk, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint8_t mbr[512];

	if (fd < 0 || pread_full(fd, mbr, sizeof mbr, 0) < 0)
		return false;
	for (size_t at = 446; at < 510; at += 16)
		if (mbr[at + 4] == 0xee && (mbr[at] & 0x80))
			return true;
	return false;
}

static int read_partition(struct esp_info *esp, struct err *err)
{
	_cleanup_probe_ blkid_probe probe = NULL;
	const char *uuid, *type;
	blkid_partition part;
	blkid_partlist list;
	efi_guid_t guid;

	_Static_assert(sizeof guid == sizeof esp->guid, "efi_guid_t is the 16 bytes of a GPT");
	if (open_gpt(esp->disk, &probe, &list, err) < 0)
		return -1;
	part = blkid_partlist_get_partition_by_partno(list, (int)esp->part);
	if (!part)
		return err_set(err, EX_CONFIG, "no ESP: %s has no partition %u", esp->disk,
			       esp->part);
	type = blkid_partition_get_type_string(part);
	uuid = blkid_partition_get_uuid(part);
	if (type && strcasecmp(type, BASIC_DATA_TYPE) == 0)
		return err_set(err, EX_CONFIG,
			       "no ESP: partition %u of %s, behind %s, has the type of basic data, "
			       "so that firmware need not look into it; sfdisk --part-type %s %u "
			       ESP_TYPE " makes it an EFI system partition", esp->part, esp->disk,
			       esp->dir, esp->disk, esp->part);
	if (!type || strcasecmp(type, ESP_TYPE) != 0)
		return err_set(err, EX_CONFIG,
			       "no ESP: partition %u of %s, behind %s, is not an EFI system "
			       "partition (its type is %s); set esp= in slotboot.conf",
			       esp->part, esp->disk, esp->dir, type ? type : "unknown");
	if (!uuid || efi_str_to_guid(uuid, &guid) < 0)
		return err_set(err, EX_CONFIG, "partition %u of %s has no GUID", esp->part,
			       esp->disk);
	memcpy(esp->guid, &guid, sizeof guid);
	esp->sector_size = blkid_probe_get_sectorsize(probe);
	esp->start = (uint64_t)blkid_partition_get_start(part) * BLKID_SECTOR /
		     esp->sector_size;
	esp->size = (uint64_t)blkid_partition_get_size(part) * BLKID_SECTOR /
		    esp->sector_size;
	return 0;
}

/* --- sysfs --- */

/* <sysfs>/partition: its number; 0: it is no partition. */
static unsigned sysfs_partition(const char *sysfs)
{
	_cleanup_free_ char *path = format("%s/partition", sysfs);
	_cleanup_free_ uint8_t *text = NULL;
	size_t len = 0;

	if (!path || read_file(path, UEVENT_MAX, &text, &len) < 0)
		return 0;
	return (unsigned)strtoul((char *)text, NULL, 10);
}

/* The kernel's name for the node, from <sysfs>/uevent; NULL with errno. */
static char *sysfs_node(const char *sysroot, const char *sysfs)
{
	_cleanup_free_ char *path = format("%s/uevent", sysfs);
	_cleanup_free_ uint8_t *text = NULL;
	char *rest, *line;
	size_t len = 0;

	if (!path || read_file(path, UEVENT_MAX, &text, &len) < 0)
		return NULL;
	rest = (char *)text;
	while ((line = strsep(&rest, "\n")))
		if (strncmp(line, "DEVNAME=", 8) == 0)
			return format("%s/dev/%s", sysroot, line + 8);
	errno = ENODEV;
	return NULL;
}

/* --- finding the partition behind a directory --- */

/* The device of the file system mounted on dir. Opening, not stat(): an automount
 * is triggered. */
static int find_mounted(const char *dir, dev_t *ret_dev, struct err *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st, up;

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return err_errno(err, EX_NOPERM, errno, "failed to look into the ESP (%s)", dir);
	if (fd < 0)
		return err_set(err, EX_CONFIG, "no ESP: %s: %s; set esp= in slotboot.conf", dir,
			       strerror(errno));
	if (fstat(fd, &st) < 0 || fstatat(fd, "..", &up, 0) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to look at the ESP (%s)", dir);
	if (st.st_dev == up.st_dev && st.st_ino != up.st_ino)
		return err_set(err, EX_CONFIG,
			       "no ESP: nothing is mounted on %s; mount the EFI system "
			       "partition there, or set esp= in slotboot.conf", dir);
	*ret_dev = st.st_dev;
	return 0;
}

/* Explain, where possible, why the mounted file system is not on a partition. */
static const char *sysfs_kind(const char *sysfs)
{
	_cleanup_free_ char *md = format("%s/md", sysfs), *uuid = format("%s/dm/uuid", sysfs);
	_cleanup_free_ uint8_t *text = NULL;
	size_t len = 0;

	if (md && access(md, F_OK) == 0)
		return "a software RAID (md), in which the firmware sees no partition: give each "
		       "disk an ESP of its own, and mount one of them";
	if (uuid && read_file(uuid, UEVENT_MAX, &text, &len) == 0 && strstr((char *)text, "mpath-"))
		return "a multipath device: set esp-device=DISK:N in slotboot.conf, with the "
		       "multipath disk (/dev/mapper/...) and the number of the partition";
	return NULL;
}

static int find_partition(struct esp_info *esp, struct err *err)
{
	const char *kind;
	_cleanup_free_ char *link = NULL, *sysfs = NULL;
	dev_t dev;

	if (find_mounted(esp->dir, &dev, err) < 0)
		return -1;
	link = format("%s/sys/dev/block/%u:%u", esp->sysroot, major(dev), minor(dev));
	if (!link)
		return out_of_memory(err);
	sysfs = realpath(link, NULL);
	esp->part = sysfs ? sysfs_partition(sysfs) : 0;
	kind = sysfs && esp->part == 0 ? sysfs_kind(sysfs) : NULL;
	if (kind)
		return err_set(err, EX_CONFIG, "no ESP: %s (device %u:%u) is on %s", esp->dir,
			       major(dev), minor(dev), kind);
	if (esp->part == 0)
		return err_set(err, EX_CONFIG,
			       "no ESP: %s is not a mount point of a partition (device %u:%u); "
			       "set esp= or esp-device= in slotboot.conf", esp->dir, major(dev),
			       minor(dev));
	*strrchr(sysfs, '/') = 0;	/* the whole disk */
	esp->disk = sysfs_node(esp->sysroot, sysfs);
	if (!esp->disk)
		return err_errno(err, EX_CONFIG, errno, "failed to find the disk behind %s (%s)",
				 esp->dir, sysfs);
	return 0;
}

/* "DISK-OR-IMAGE:N"; the disk's own name may have colons. */
static int parse_device(const char *device, struct esp_info *esp, struct err *err)
{
	const char *colon = strrchr(device, ':');
	_cleanup_free_ char *disk = NULL;
	unsigned long part = 0;
	char *end = NULL;

	if (colon && colon != device && colon[1] >= '1' && colon[1] <= '9')
		part = strtoul(colon + 1, &end, 10);
	if (part == 0 || part > 128 || *end)
		return err_set(err, EX_CONFIG,
			       "esp-device=%s is not DISK:N, a disk and a partition number",
			       device);
	disk = strndup(device, (size_t)(colon - device));
	if (!disk)
		return out_of_memory(err);
	esp->disk = realpath(disk, NULL);
	if (!esp->disk && (errno == EACCES || errno == EPERM))
		return err_errno(err, EX_NOPERM, errno, "failed to open the ESP's disk %s", disk);
	if (!esp->disk)
		return err_set(err, EX_CONFIG, "failed to open the ESP's disk %s: %s", disk,
			       strerror(errno));
	esp->part = (unsigned)part;
	return 0;
}

/* In a dry run a plain directory goes with an image file. With a real disk, files written
 * to the directory would be hidden below the mount. */
static int check_mounted(const struct esp_info *esp, struct err *err)
{
	struct stat st;
	dev_t dev;

	if (stat(esp->disk, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	return find_mounted(esp->dir, &dev, err);
}

/* dir, or the first of the usual places that holds EFI/slotboot; absolute. */
static int find_dir(const char *dir, char **ret_dir, struct err *err)
{
	static const char *const usual[] = { "/efi", "/boot/efi", "/boot" };
	const char *denied = NULL;
	char *path;

	for (size_t i = 0; !dir && i < ARRAY_SIZE(usual); i++) {
		_cleanup_free_ char *ours = format("%s/EFI/slotboot", usual[i]);

		if (ours && access(ours, F_OK) == 0)
			dir = usual[i];
		else if (ours && errno == EACCES && !denied)
			denied = usual[i];
	}
	if (!dir && denied)
		return err_errno(err, EX_NOPERM, EACCES, "failed to look into the ESP (%s) (run as "
				 "root)", denied);
	if (!dir)
		return err_set(err, EX_CONFIG,
			       "no ESP: none of /efi, /boot/efi and /boot holds EFI/slotboot; "
			       "set esp= in slotboot.conf");
	path = realpath(dir, NULL);
	if (!path && (errno == EACCES || errno == EPERM))
		return err_errno(err, EX_NOPERM, errno, "failed to look into the ESP (%s)", dir);
	if (!path)
		return err_set(err, EX_CONFIG, "no ESP: %s: %s; set esp= in slotboot.conf", dir,
			       strerror(errno));
	*ret_dir = path;
	return 0;
}

int esp_info_find(const char *dir, const char *device, const char *sysroot,
		  struct esp_info *ret_esp, struct err *err)
{
	_cleanup_(esp_info_clear) struct esp_info esp = { 0 };

	esp.sysroot = *sysroot ? realpath(sysroot, NULL) : strdup("");
	if (!esp.sysroot)
		return err_set(err, EX_CONFIG, "sysroot=%s: %s", sysroot, strerror(errno));
	if (find_dir(dir, &esp.dir, err) < 0)
		return -1;
	if ((device ? parse_device(device, &esp, err) : find_partition(&esp, err)) < 0)
		return -1;
	if ((device && check_mounted(&esp, err) < 0) || read_partition(&esp, err) < 0)
		return -1;
	esp.pmbr_boot = read_pmbr_boot(esp.disk);
	*ret_esp = esp;
	esp = (struct esp_info){ 0 };
	return 0;
}

/* --- partitions beside it --- */

/* The number of the one partition of that name. */
static int find_label(const char *disk, const char *label, unsigned *ret_part,
		      struct err *err)
{
	_cleanup_probe_ blkid_probe probe = NULL;
	blkid_partlist list;
	unsigned found = 0;

	if (open_gpt(disk, &probe, &list, err) < 0)
		return -1;
	for (int i = 0; i < blkid_partlist_numof_partitions(list); i++) {
		blkid_partition part = blkid_partlist_get_partition(list, i);
		const char *name = part ? blkid_partition_get_name(part) : NULL;

		if (!name || strcmp(name, label) != 0)
			continue;
		if (found)
			return err_set(err, EX_CONFIG,
				       "partitions %u and %d of %s are both labelled %s", found,
				       blkid_partition_get_partno(part), disk, label);
		found = (unsigned)blkid_partition_get_partno(part);
	}
	if (!found)
		return err_set(err, EX_CONFIG,
			       "no partition labelled %s on %s; label it, or name the device "
			       "in slotboot.conf", label, disk);
	*ret_part = found;
	return 0;
}

/* <sysroot>/sys/class/block/NAME of the disk's node; NULL: it has none. */
static char *disk_sysfs(const struct esp_info *esp)
{
	_cleanup_free_ char *dev = format("%s/dev/", esp->sysroot);
	_cleanup_free_ char *real = realpath(esp->disk, NULL);
	char *name;

	if (!dev || !real || strncmp(real, dev, strlen(dev)) != 0)
		return NULL;
	name = real + strlen(dev);
	for (char *p = name; *p; p++)	/* cciss/c0d0 is cciss!c0d0 in sysfs */
		if (*p == '/')
			*p = '!';
	return format("%s/sys/class/block/%s", esp->sysroot, name);
}

/* The node of that partition of the disk; NULL: none. */
static char *partition_node(const struct esp_info *esp, const char *sysfs, unsigned number)
{
	_cleanup_closedir_ DIR *dir = opendir(sysfs);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *part = format("%s/%s", sysfs, entry->d_name);

		if (entry->d_name[0] != '.' && part && sysfs_partition(part) == number)
			return sysfs_node(esp->sysroot, part);
	}
	return NULL;
}

int esp_disk_find_label(const struct esp_info *esp, const char *partlabel,
			char **ret_devnode, struct err *err)
{
	_cleanup_free_ char *sysfs = NULL;
	unsigned number = 0;
	char *node;

	if (find_label(esp->disk, partlabel, &number, err) < 0)
		return -1;
	sysfs = disk_sysfs(esp);
	node = sysfs ? partition_node(esp, sysfs, number) : NULL;
	if (!node)
		return err_set(err, EX_CONFIG,
			       "partition %u of %s (%s) has no device node; name each slot's "
			       "device in slotboot.conf", number, esp->disk, partlabel);
	*ret_devnode = node;
	return 0;
}

static bool has_label(char *const *labels, size_t count, const char *label)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(labels[i], label) == 0)
			return true;
	return false;
}

int esp_disk_labels(const struct esp_info *esp, const char *prefix, char ***ret_labels, size_t *ret_count,
		    struct err *err)
{
	_cleanup_probe_ blkid_probe probe = NULL;
	blkid_partlist list;
	char **labels = NULL;
	size_t count = 0;

	if (open_gpt(esp->disk, &probe, &list, err) < 0)
		return -1;
	for (int i = 0; i < blkid_partlist_numof_partitions(list); i++) {
		blkid_partition part = blkid_partlist_get_partition(list, i);
		const char *name = part ? blkid_partition_get_name(part) : NULL;
		char **more;

		if (!name || strncmp(name, prefix, strlen(prefix)) != 0 || has_label(labels, count, name))
			continue;
		more = reallocarray(labels, count + 1, sizeof *labels);
		labels = more ? more : labels;
		if (more && (labels[count] = strdup(name)))
			count++;
	}
	*ret_labels = labels;
	*ret_count = count;
	return 0;
}
