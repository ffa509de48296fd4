/* SPDX-License-Identifier: MIT */
#include "found.h"

#include "io.h"

#include <blkid/blkid.h>
#include <efivar/efivar.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#define BLKID_AMBIVALENT (-2)
#define BLKID_SECTOR 512u	/* libblkid counts in these, whatever the device does */

static void probe_freep(blkid_probe *probe)
{
	blkid_free_probe(*probe);
}

/* 1: it is empty; -1 with errno: it could not be read. Otherwise text says what was found. */
static int probe_words(int fd, uint64_t start, uint64_t bytes, unsigned sector, char *text, size_t cap)
{
	_cleanup_(probe_freep) blkid_probe probe = blkid_new_probe();
	const char *type = NULL, *table = NULL;
	int r;

	if (!probe || blkid_probe_set_device(probe, fd, (blkid_loff_t)start, (blkid_loff_t)bytes) < 0)
		return -1;
	if (sector)
		(void)blkid_probe_set_sectorsize(probe, sector);
	(void)blkid_probe_enable_superblocks(probe, 1);
	(void)blkid_probe_enable_partitions(probe, 1);
	errno = EIO;
	r = blkid_do_safeprobe(probe);
	if (r < 0 && r != BLKID_AMBIVALENT) {
		errno = r < -1 ? -r : errno;	/* a read's error comes as -errno */
		return -1;
	}
	if (r == 1)
		return 1;
	(void)blkid_probe_lookup_value(probe, "TYPE", &type, NULL);
	(void)blkid_probe_lookup_value(probe, "PTTYPE", &table, NULL);
	if (table)
		(void)snprintf(text, cap, "a partition table (%s)", table);
	else
		(void)snprintf(text, cap, "%s", type ? type : "more than one file system");
	return 0;
}

/* --- partitions --- */

static bool role_of(blkid_partition part, enum layout_role *ret_role)
{
	const char *name = blkid_partition_get_name(part), *type = blkid_partition_get_type_string(part);

	if (type && strcasecmp(type, layout_type(LAYOUT_ESP, LAYOUT_X64)) == 0) {
		*ret_role = LAYOUT_ESP;
		return true;
	}
	for (enum layout_role role = LAYOUT_A; name && role < LAYOUT_ROLES; role++)
		if (strcmp(name, layout_name(role)) == 0) {
			*ret_role = role;
			return true;
		}
	return false;
}

static void part_take(blkid_partition part, enum layout_role role, enum layout_arch arch, struct layout_part *p)
{
	const char *uuid = blkid_partition_get_uuid(part), *name = blkid_partition_get_name(part);
	efi_guid_t guid = { 0 };

	if (uuid)
		(void)efi_str_to_guid(uuid, &guid);
	*p = (struct layout_part){ .role = role, .type = layout_type(role, arch),
				   .attributes = blkid_partition_get_flags(part),
				   .start = (uint64_t)blkid_partition_get_start(part) * BLKID_SECTOR,
				   .bytes = (uint64_t)blkid_partition_get_size(part) * BLKID_SECTOR,
				   .number = (unsigned)blkid_partition_get_partno(part) };
	(void)snprintf(p->name, sizeof p->name, "%s", role == LAYOUT_ESP ? layout_name(role) : name ? name : "");
	memcpy(p->guid, &guid, sizeof p->guid);
}

static void list_take(blkid_partlist list, enum layout_arch arch, struct found *f, unsigned count[LAYOUT_ROLES])
{
	int n = blkid_partlist_numof_partitions(list);
	size_t starts = 0;

	for (int i = 0; i < n; i++) {
		blkid_partition part = blkid_partlist_get_partition(list, i);
		enum layout_role role;

		if (starts < ARRAY_SIZE(f->old_starts))
			f->old_starts[starts++] = (uint64_t)blkid_partition_get_start(part) * BLKID_SECTOR;
		if (!role_of(part, &role)) {
			if (f->other_count < FOUND_OTHERS)
				part_take(part, LAYOUT_ROLES, arch, &f->others[f->other_count++]);
			continue;
		}
		if (count[role]++ == 0)
			part_take(part, role, arch, &f->layout.parts[f->layout.count++]);
	}
}

static int check_starts(const char *path, const struct found *f, struct err *err)
{
	for (size_t i = 0; i < f->layout.count; i++)
		if (f->layout.parts[i].start % 4096 != 0)
			return err_set(err, EX_CONFIG, "partition %u of %s does not begin at a multiple of 4096 bytes; "
				       "to begin anew, wipefs --all %s", f->layout.parts[i].number, path, path);
	return 0;
}

static int check_labels(const char *path, const struct found *f, const unsigned count[LAYOUT_ROLES],
			struct err *err)
{
	for (enum layout_role role = LAYOUT_A; role < LAYOUT_ROLES; role++)
		if (count[role] > 1)
			return err_set(err, EX_CONFIG, "%s has %u partitions labelled %s: label one of them",
				       path, count[role], layout_name(role));
	if (count[LAYOUT_A] != count[LAYOUT_B] || count[LAYOUT_ESP] != 1)
		return err_set(err, EX_CONFIG, "%s has partitions of slotboot's, but no whole set: one ESP, "
			       "slotboot-a and slotboot-b are needed; to begin anew, wipefs --all %s", path, path);
	return check_starts(path, f, err);
}

static int gpt_take(const char *path, blkid_partlist list, enum layout_arch arch, struct found *f, struct err *err)
{
	unsigned count[LAYOUT_ROLES] = { 0 };
	const struct layout_part *esp;
	efi_guid_t guid = { 0 };
	const char *id;

	list_take(list, arch, f, count);
	esp = layout_find(&f->layout, LAYOUT_ESP);
	if (esp)
		memcpy(f->old_esp, esp->guid, sizeof f->old_esp);
	if (count[LAYOUT_A] + count[LAYOUT_B] + count[LAYOUT_DATA] == 0)
		return 0;
	id = blkid_parttable_get_id(blkid_partlist_get_table(list));
	if (id)
		(void)efi_str_to_guid(id, &guid);
	memcpy(f->layout.guid, &guid, sizeof f->layout.guid);
	f->adopted = true;
	return check_labels(path, f, count, err);
}

/* Read the partition table, assuming sectors of this size. */
static int table_look(const char *path, int fd, unsigned sector, enum layout_arch arch, struct found *f,
		      struct err *err)
{
	_cleanup_(probe_freep) blkid_probe probe = blkid_new_probe();
	const char *type = NULL;
	blkid_partlist list;
	blkid_parttable table;

	if (!probe || blkid_probe_set_device(probe, fd, 0, 0) < 0 ||
	    blkid_probe_set_sectorsize(probe, sector) < 0 || blkid_probe_enable_partitions(probe, 1) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to look at %s", path);
	list = blkid_probe_get_partitions(probe);
	table = list ? blkid_partlist_get_table(list) : NULL;
	type = table ? blkid_parttable_get_type(table) : NULL;
	if (!type || strcmp(type, "gpt") != 0)
		return 0;
	f->layout.sector_bytes = sector;
	(void)snprintf(f->what, sizeof f->what, "a partition table (gpt)");
	return gpt_take(path, list, arch, f, err);
}

/* --- the whole --- */

static bool has_mark(int fd, uint64_t at)
{
	char text[sizeof FOUND_MARK - 1];

	return pread_full(fd, text, sizeof text, (off_t)at) == 0 && memcmp(text, FOUND_MARK, sizeof text) == 0;
}

/* Look into the partitions that would be overwritten, from that one on. */
static int parts_look(const char *path, int fd, size_t from, struct found *f, struct err *err)
{
	char words[128];

	for (size_t i = from; i < f->layout.count && !f->cut_off && !f->what[0]; i++) {
		const struct layout_part *p = &f->layout.parts[i];
		int r;

		if (p->role == LAYOUT_DATA)
			continue;
		r = probe_words(fd, p->start, p->bytes, f->layout.sector_bytes, words, sizeof words);
		if (r < 0)
			return err_errno(err, EX_IOERR, errno, "failed to look at partition %u of %s", p->number, path);
		if (r == 0)
			(void)snprintf(f->what, sizeof f->what, "%s in partition %u (%s)", words, p->number, p->name);
	}
	return 0;
}

static int adopted_look(const char *path, int fd, struct found *f, struct err *err)
{
	f->what[0] = 0;
	f->cut_off = has_mark(fd, layout_find(&f->layout, LAYOUT_ESP)->start);
	return parts_look(path, fd, 0, f, err);
}

int found_look(const char *path, unsigned sector_bytes, uint64_t bytes, enum layout_arch arch,
	       struct found *ret_found, struct err *err)
{
	_cleanup_close_ int fd = open_data(path);
	struct found f = { .layout.disk_bytes = bytes };
	static const unsigned sectors[] = { 512, 4096 };

	if (fd < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to look at %s", path);
	for (size_t i = 0; i < ARRAY_SIZE(sectors) && !f.layout.sector_bytes; i++)
		if ((!sector_bytes || sectors[i] == sector_bytes) &&
		    table_look(path, fd, sectors[i], arch, &f, err) < 0)
			return -1;
	if (f.adopted && adopted_look(path, fd, &f, err) < 0)
		return -1;
	if (!f.adopted)
		f.cut_off = has_mark(fd, 0);
	if (!f.adopted && !f.cut_off && !f.what[0] &&
	    probe_words(fd, 0, bytes, sector_bytes, f.what, sizeof f.what) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to look at %s", path);
	*ret_found = f;
	return 0;
}

/* --- further images of a slot --- */

static bool is_image(const struct layout_part *part, const struct layout_image *image, unsigned slot)
{
	if (image->has_guid[slot])
		return memcmp(part->guid, image->guid[slot], sizeof part->guid) == 0;
	return strcmp(part->name, image->label[slot]) == 0;
}

static int image_take(const char *path, const struct layout_image *image, unsigned slot, struct found *f,
		      struct layout_part *ret_part, struct err *err)
{
	const char *by = image->has_guid[slot] ? "with the GUID of its partition in slotboot.conf" : image->label[slot];
	size_t count = 0;

	for (size_t i = 0; i < f->other_count; i++)
		if (is_image(&f->others[i], image, slot) && count++ == 0)
			*ret_part = f->others[i];
	if (count == 1)
		return 0;
	return err_set(err, EX_CONFIG, "%s has %s for the image %s (%s): %s; to begin anew, wipefs --all %s", path,
		       count ? "two partitions" : "no partition", image->name, by,
		       count ? "one of them must have another" : "it has its partitions already, and they are kept", path);
}

int found_images(const char *path, const struct layout_want *want, struct found *found, struct err *err)
{
	_cleanup_close_ int fd = open_data(path);
	size_t before = found->layout.count;

	if (fd < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to look at %s", path);
	for (unsigned i = 1; i < layout_image_count(want); i++)
		for (unsigned slot = 0; slot < 2; slot++) {
			struct layout_part *p = &found->layout.parts[found->layout.count];

			if (image_take(path, &want->images[i], slot, found, p, err) < 0)
				return -1;
			p->role = slot ? LAYOUT_B : LAYOUT_A;
			p->image = i;
			/* One that was found by its GUID may have any label, or that of another. */
			(void)snprintf(p->name, sizeof p->name, "%s", want->images[i].label[slot]);
			found->layout.count++;
		}
	return parts_look(path, fd, before, found, err) < 0 ? -1 : check_starts(path, found, err);
}
