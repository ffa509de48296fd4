/* SPDX-License-Identifier: MIT */
#include "native.h"
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *path;
	int dir;	/* -1: not on the ESP */
	int slot;	/* -1: of neither */
} names[NAME_COUNT] = {
	[NAME_STATE] = { "esp/EFI/slotboot/state.bin", DIR_OURS, -1 },
	[NAME_HEALTH] = { "esp/EFI/slotboot/health.json", DIR_OURS, -1 },
	[NAME_FLOOR_1_JSON] = { "esp/EFI/slotboot/floor-1.json", DIR_OURS, -1 },
	[NAME_FLOOR_1_P7S] = { "esp/EFI/slotboot/floor-1.p7s", DIR_OURS, -1 },
	[NAME_FLOOR_2_JSON] = { "esp/EFI/slotboot/floor-2.json", DIR_OURS, -1 },
	[NAME_FLOOR_2_P7S] = { "esp/EFI/slotboot/floor-2.p7s", DIR_OURS, -1 },
	[NAME_UKI_A] = { "esp/EFI/slotboot/a/uki.efi", DIR_A, 0 },
	[NAME_INDEX_A] = { "esp/EFI/slotboot/a/uki.index", DIR_A, 0 },
	[NAME_JSON_A] = { "esp/EFI/slotboot/a/manifest.json", DIR_A, 0 },
	[NAME_P7S_A] = { "esp/EFI/slotboot/a/manifest.p7s", DIR_A, 0 },
	[NAME_ADDON_A] = { "esp/EFI/slotboot/a/uki.efi.extra.d/slotboot.addon.efi", DIR_BESIDE_A, 0 },
	[NAME_CRED_A] = { "esp/EFI/slotboot/a/uki.efi.extra.d/wifi.cred", DIR_BESIDE_A, 0 },
	[NAME_IMAGE_A] = { "slot-a", -1, 0 },
	[NAME_UKI_B] = { "esp/EFI/slotboot/b/uki.efi", DIR_B, 1 },
	[NAME_INDEX_B] = { "esp/EFI/slotboot/b/uki.index", DIR_B, 1 },
	[NAME_JSON_B] = { "esp/EFI/slotboot/b/manifest.json", DIR_B, 1 },
	[NAME_P7S_B] = { "esp/EFI/slotboot/b/manifest.p7s", DIR_B, 1 },
	[NAME_ADDON_B] = { "esp/EFI/slotboot/b/uki.efi.extra.d/slotboot.addon.efi", DIR_BESIDE_B, 1 },
	[NAME_CRED_B] = { "esp/EFI/slotboot/b/uki.efi.extra.d/wifi.cred", DIR_BESIDE_B, 1 },
	[NAME_IMAGE_B] = { "slot-b", -1, 1 },
	[NAME_LOADER] = { "esp/EFI/slotboot/slotboot" NATIVE_EFI ".efi", DIR_OURS, -1 },
	[NAME_LOADER_TRIAL] = { "esp/EFI/slotboot/slotboot" NATIVE_EFI ".new.efi", DIR_OURS, -1 },
	[NAME_LOADER_NOTE] = { "esp/EFI/slotboot/loader.json", DIR_OURS, -1 },
	[NAME_FALLBACK] = { "esp/EFI/BOOT/BOOT" NATIVE_EFI_CAPITALS ".EFI", DIR_BOOT, -1 },
	[NAME_FILE_A] = { "files/a/model.bin", DIR_FILES_A, 0 },
	[NAME_FILE_B] = { "files/b/model.bin", DIR_FILES_B, 1 },
	[NAME_KEK_A] = { "esp/EFI/slotboot/a/uki.efi.extra.d/KEK-1.auth", DIR_BESIDE_A, 0 },
	[NAME_DBX_A] = { "esp/EFI/slotboot/a/uki.efi.extra.d/dbx-1.auth", DIR_BESIDE_A, 0 },
	[NAME_KEK_B] = { "esp/EFI/slotboot/b/uki.efi.extra.d/KEK-1.auth", DIR_BESIDE_B, 1 },
	[NAME_DBX_B] = { "esp/EFI/slotboot/b/uki.efi.extra.d/dbx-1.auth", DIR_BESIDE_B, 1 },
	[NAME_KEYS_NOTE] = { "esp/EFI/slotboot/keys.json", DIR_OURS, -1 },
	/* What is written there is no matter of the slot that runs. */
	[NAME_OTHER_STATE] = { "esp2/EFI/slotboot/state.bin", DIR_OTHER_OURS, -1 },
	[NAME_OTHER_FLOOR_1_JSON] = { "esp2/EFI/slotboot/floor-1.json", DIR_OTHER_OURS, -1 },
	[NAME_OTHER_FLOOR_1_P7S] = { "esp2/EFI/slotboot/floor-1.p7s", DIR_OTHER_OURS, -1 },
	[NAME_OTHER_FLOOR_2_JSON] = { "esp2/EFI/slotboot/floor-2.json", DIR_OTHER_OURS, -1 },
	[NAME_OTHER_FLOOR_2_P7S] = { "esp2/EFI/slotboot/floor-2.p7s", DIR_OTHER_OURS, -1 },
	[NAME_OTHER_UKI_A] = { "esp2/EFI/slotboot/a/uki.efi", DIR_OTHER_A, -1 },
	[NAME_OTHER_INDEX_A] = { "esp2/EFI/slotboot/a/uki.index", DIR_OTHER_A, -1 },
	[NAME_OTHER_JSON_A] = { "esp2/EFI/slotboot/a/manifest.json", DIR_OTHER_A, -1 },
	[NAME_OTHER_P7S_A] = { "esp2/EFI/slotboot/a/manifest.p7s", DIR_OTHER_A, -1 },
	[NAME_OTHER_ADDON_A] = { "esp2/EFI/slotboot/a/uki.efi.extra.d/slotboot.addon.efi", DIR_OTHER_BESIDE_A, -1 },
	[NAME_OTHER_CRED_A] = { "esp2/EFI/slotboot/a/uki.efi.extra.d/wifi.cred", DIR_OTHER_BESIDE_A, -1 },
	[NAME_OTHER_UKI_B] = { "esp2/EFI/slotboot/b/uki.efi", DIR_OTHER_B, -1 },
	[NAME_OTHER_INDEX_B] = { "esp2/EFI/slotboot/b/uki.index", DIR_OTHER_B, -1 },
	[NAME_OTHER_JSON_B] = { "esp2/EFI/slotboot/b/manifest.json", DIR_OTHER_B, -1 },
	[NAME_OTHER_P7S_B] = { "esp2/EFI/slotboot/b/manifest.p7s", DIR_OTHER_B, -1 },
	[NAME_OTHER_ADDON_B] = { "esp2/EFI/slotboot/b/uki.efi.extra.d/slotboot.addon.efi", DIR_OTHER_BESIDE_B, -1 },
	[NAME_OTHER_CRED_B] = { "esp2/EFI/slotboot/b/uki.efi.extra.d/wifi.cred", DIR_OTHER_BESIDE_B, -1 },
};

/* The first ESP's name of the same file. */
static const enum sim_name first_names[] = {
	NAME_STATE, NAME_FLOOR_1_JSON, NAME_FLOOR_1_P7S, NAME_FLOOR_2_JSON, NAME_FLOOR_2_P7S,
	NAME_UKI_A, NAME_INDEX_A, NAME_JSON_A, NAME_P7S_A, NAME_ADDON_A, NAME_CRED_A,
	NAME_UKI_B, NAME_INDEX_B, NAME_JSON_B, NAME_P7S_B, NAME_ADDON_B, NAME_CRED_B,
};
_Static_assert(NAME_OTHER_STATE + sizeof first_names / sizeof first_names[0] == NAME_COUNT, "each has one");

static const struct {
	const char *path;
	int above;	/* -1: always there */
	int slot;
} dirs[DIR_COUNT] = {
	[DIR_OURS] = { "esp/EFI/slotboot", -1, -1 },
	[DIR_A] = { "esp/EFI/slotboot/a", DIR_OURS, 0 },
	[DIR_B] = { "esp/EFI/slotboot/b", DIR_OURS, 1 },
	[DIR_BESIDE_A] = { "esp/EFI/slotboot/a/uki.efi.extra.d", DIR_A, 0 },
	[DIR_BESIDE_B] = { "esp/EFI/slotboot/b/uki.efi.extra.d", DIR_B, 1 },
	[DIR_BOOT] = { "esp/EFI/BOOT", -1, -1 },
	[DIR_FILES] = { "files", -1, -1 },
	[DIR_FILES_A] = { "files/a", DIR_FILES, 0 },
	[DIR_FILES_B] = { "files/b", DIR_FILES, 1 },
	/* As above: not a matter of the slot that runs. */
	[DIR_OTHER_OURS] = { "esp2/EFI/slotboot", -1, -1 },
	[DIR_OTHER_A] = { "esp2/EFI/slotboot/a", DIR_OTHER_OURS, -1 },
	[DIR_OTHER_B] = { "esp2/EFI/slotboot/b", DIR_OTHER_OURS, -1 },
	[DIR_OTHER_BESIDE_A] = { "esp2/EFI/slotboot/a/uki.efi.extra.d", DIR_OTHER_A, -1 },
	[DIR_OTHER_BESIDE_B] = { "esp2/EFI/slotboot/b/uki.efi.extra.d", DIR_OTHER_B, -1 },
};
#define ABOVE_OTHER "esp2/EFI"	/* it is there from the first */

int simdisk_dir(enum sim_name name)
{
	return names[name].dir;
}

int simdisk_above(enum sim_dir dir)
{
	return dirs[dir].above;
}

int simdisk_name(const char *path)
{
	for (int i = 0; i < NAME_COUNT; i++)
		if (strcmp(names[i].path, path) == 0)
			return i;
	return -1;
}

static int dir_of(const char *path)
{
	for (int i = 0; i < DIR_COUNT; i++)
		if (strcmp(dirs[i].path, path) == 0)
			return i;
	return -1;
}

static void touch(struct world *w, int slot)
{
	if (slot >= 0 && (w->ghost.guard >> slot & 1))
		w->ghost.touched = true;
}

static void touch_file(struct world *w, int file)
{
	for (int i = 0; i < NAME_COUNT; i++) {
		if (w->name_now[i] != file)
			continue;
		touch(w, names[i].slot);
		if (names[i].slot >= 0 && simvars_direct_active(w, (unsigned)names[i].slot))
			w->ghost.exposed = true;
	}
}

const struct sim_file *simdisk_find(const struct world *w, enum sim_name name)
{
	int file = w->name_now[name];

	return file < 0 ? NULL : &w->files[file];
}

static bool is_referred(const struct world *w, int file)
{
	for (int i = 0; i < NAME_COUNT; i++)
		if (w->name_now[i] == file || w->name_kept[i] == file)
			return true;
	return false;
}

enum { SPARSE = 8 };	/* of state.bin one sector in so many is kept, zeros the rest */

/* Where a sector of the file is in now[] and kept[]; -1: it is not. */
static int sector_index(const struct sim_file *f, uint64_t sector)
{
	if (f->sparse && sector % SPARSE)
		return -1;
	return (int)(f->sparse ? sector / SPARSE : sector);
}

size_t simdisk_stored(const struct sim_file *f, uint16_t size)
{
	size_t rest = size % (SPARSE * SIM_SECTOR);

	if (!f->sparse)
		return size;
	return size / SPARSE + (rest < SIM_SECTOR ? rest : SIM_SECTOR) - rest / SPARSE;
}

size_t simdisk_read(const struct sim_file *f, bool kept, void *buf, size_t len,
		    uint64_t offset)
{
	size_t size = kept ? f->kept_size : f->size;
	uint8_t *out = buf;

	if (offset >= size)
		return 0;
	if (len > size - offset)
		len = (size_t)(size - offset);
	for (size_t done = 0, part; done < len; done += part) {
		size_t within = (size_t)(offset + done) % SIM_SECTOR;
		int i = sector_index(f, (offset + done) / SIM_SECTOR);

		part = len - done < SIM_SECTOR - within ? len - done : SIM_SECTOR - within;
		if (i < 0)
			memset(out + done, 0, part);
		else
			memcpy(out + done, (kept ? f->kept : f->now) + i * SIM_SECTOR + within,
			       part);
	}
	return len;
}

static void sectors_write(struct sim_file *f, const uint8_t *data, size_t len, uint64_t offset)
{
	for (size_t done = 0, part; done < len; done += part) {
		size_t within = (size_t)(offset + done) % SIM_SECTOR;
		int i = sector_index(f, (offset + done) / SIM_SECTOR);

		part = len - done < SIM_SECTOR - within ? len - done : SIM_SECTOR - within;
		for (size_t k = 0; i < 0 && k < part; k++)
			if (data[done + k])
				abort();	/* the model cannot hold that */
		if (i < 0)
			continue;
		memcpy(f->now + i * SIM_SECTOR + within, data + done, part);
		f->dirty |= (uint8_t)(1u << i);
	}
}

static bool is_mirror(int name)
{
	return name == NAME_STATE || name == NAME_OTHER_STATE;
}

static void names_swap(int8_t *of)
{
	for (unsigned i = 0; i < sizeof first_names / sizeof first_names[0]; i++) {
		int8_t file = of[first_names[i]];

		of[first_names[i]] = of[NAME_OTHER_STATE + i];
		of[NAME_OTHER_STATE + i] = file;
	}
}

static void dirs_swap(bool *there)
{
	for (int i = DIR_OURS; i < DIR_BOOT; i++) {
		bool now = there[i];

		there[i] = there[DIR_OTHER_OURS + i];
		there[DIR_OTHER_OURS + i] = now;
	}
}

void simdisk_swap(struct world *w)
{
	names_swap(w->name_now);
	names_swap(w->name_kept);
	dirs_swap(w->dir_now);
	dirs_swap(w->dir_kept);
	w->swapped = !w->swapped;
}

static const uint8_t esp_guids[2][16] = { { 1, 2, 3, 4, 5 }, { 6, 7, 8, 9, 10 } };

const uint8_t *simdisk_esp(const struct world *w)
{
	return esp_guids[w->swapped];
}

const uint8_t *simdisk_other_esp(const struct world *w)
{
	return esp_guids[!w->swapped];
}

static int file_new(struct world *w)
{
	for (int i = 0; i < SIM_FILES; i++) {
		if (w->files[i].used && is_referred(w, i))
			continue;
		memset(&w->files[i], 0, sizeof w->files[i]);
		w->files[i].used = true;
		return i;
	}
	abort();
}

void simdisk_put(struct world *w, enum sim_name name, const uint8_t *data, size_t len)
{
	int file = file_new(w);
	struct sim_file *f = &w->files[file];

	memcpy(f->now, data, len);
	memcpy(f->kept, data, len);
	f->size = f->kept_size = (uint16_t)len;
	f->sparse = is_mirror((int)name);
	w->name_now[name] = w->name_kept[name] = (int8_t)file;
}

static int error(int value)
{
	errno = value;
	return -1;
}

static int disk_create(struct world *w, int name)
{
	enum verdict v;

	touch(w, names[name].slot);
	v = fault_next(w, MUT_CREATE);
	if (v == VERDICT_FAIL)
		return -1;
	w->name_now[name] = (int8_t)file_new(w);
	w->files[w->name_now[name]].sparse = is_mirror(name);
	return v == VERDICT_CUT ? error(EIO) : w->name_now[name];
}

static int disk_open(void *ctx, const char *path, enum disk_open how)
{
	struct world *w = ctx;
	int name = simdisk_name(path);

	if (name < 0 || (names[name].dir >= 0 && !w->dir_now[names[name].dir]))
		return error(ENOENT);
	if (w->name_now[name] >= 0)
		return how == DISK_NEW ? error(EEXIST) : w->name_now[name];
	if (how == DISK_READ || how == DISK_READ_MEDIUM || how == DISK_WRITE)
		return error(ENOENT);
	return disk_create(w, name);
}

static void disk_close(void *ctx, int file)
{
	(void)ctx;
	(void)file;
}

static int64_t disk_read(void *ctx, int file, void *buf, size_t len, uint64_t offset)
{
	struct world *w = ctx;

	return fault_read(w) ? -1
			     : (int64_t)simdisk_read(&w->files[file], false, buf, len, offset);
}

static int disk_write(void *ctx, int file, const void *buf, size_t len, uint64_t offset)
{
	struct world *w = ctx;
	struct sim_file *f = &w->files[file];
	size_t max = f->sparse ? SPARSE * SIM_FILE_MAX : SIM_FILE_MAX;
	enum verdict v;

	touch_file(w, file);
	if (offset > max || len > max - offset)
		return error(EFBIG);
	v = fault_next(w, MUT_WRITE);
	if (w->fault.no_mirror && file == w->name_now[NAME_STATE])
		return error(EIO);
	if (v == VERDICT_FAIL)
		return -1;
	if (offset + len > f->size)
		f->size = (uint16_t)(offset + len);
	if (v == VERDICT_LIE)
		return 0;
	sectors_write(f, buf, len, offset);
	return v == VERDICT_CUT ? error(EIO) : 0;
}

static int disk_truncate(void *ctx, int file, uint64_t size)
{
	struct world *w = ctx;
	struct sim_file *f = &w->files[file];
	enum verdict v;

	touch_file(w, file);
	v = fault_next(w, MUT_TRUNCATE);
	if (v == VERDICT_FAIL)
		return -1;
	f->size = (uint16_t)size;
	return v == VERDICT_CUT ? error(EIO) : 0;
}

static int disk_reserve(void *ctx, int file, uint64_t size)
{
	struct world *w = ctx;

	return size > w->files[file].size ? disk_truncate(ctx, file, size) : 0;
}

static int disk_flush(void *ctx, int file)
{
	struct world *w = ctx;
	struct sim_file *f = &w->files[file];

	touch_file(w, file);
	if (fault_next(w, MUT_FLUSH) != VERDICT_DO)
		return error(EIO);
	memcpy(f->kept, f->now, sizeof f->kept);
	f->kept_size = f->size;
	f->dirty = 0;
	return 0;
}

static int disk_stat(void *ctx, const char *path, struct disk_stat *ret_stat)
{
	struct world *w = ctx;
	int name = simdisk_name(path);
	const struct sim_file *f = name < 0 ? NULL : simdisk_find(w, (enum sim_name)name);
	bool image = name == NAME_IMAGE_A || name == NAME_IMAGE_B;

	if (!f)
		return error(ENOENT);
	if (fault_read(w))
		return -1;
	ret_stat->device = image && w->device;
	ret_stat->size = ret_stat->device ? SIM_FILE_MAX : f->size;
	ret_stat->taken = f->size;
	return 0;
}

static int disk_remove(void *ctx, const char *path)
{
	struct world *w = ctx;
	int name = simdisk_name(path);
	enum verdict v;

	if (name < 0 || w->name_now[name] < 0)
		return error(ENOENT);
	touch(w, names[name].slot);
	v = fault_next(w, MUT_REMOVE);
	if (v == VERDICT_FAIL)
		return -1;
	w->name_now[name] = -1;
	return v == VERDICT_CUT ? error(EIO) : 0;
}

static int disk_make_dir(void *ctx, const char *path)
{
	struct world *w = ctx;
	int dir = dir_of(path);
	enum verdict v;

	if (strcmp(path, ABOVE_OTHER) == 0)
		return error(EEXIST);
	if (dir < 0 || (dirs[dir].above >= 0 && !w->dir_now[dirs[dir].above]))
		return error(ENOENT);
	if (w->dir_now[dir])
		return error(EEXIST);
	touch(w, dirs[dir].slot);
	v = fault_next(w, MUT_MAKE_DIR);
	if (v == VERDICT_FAIL)
		return -1;
	w->dir_now[dir] = true;
	return v == VERDICT_CUT ? error(EIO) : 0;
}

static int disk_flush_dir(void *ctx, const char *path)
{
	struct world *w = ctx;
	int dir = dir_of(path);

	if (dir < 0 || !w->dir_now[dir])
		return error(ENOENT);
	touch(w, dirs[dir].slot);
	if (fault_next(w, MUT_FLUSH_DIR) != VERDICT_DO)
		return error(EIO);
	for (int i = 0; i < NAME_COUNT; i++)
		if (names[i].dir == dir)
			w->name_kept[i] = w->name_now[i];
	for (int i = 0; i < DIR_COUNT; i++)
		if (dirs[i].above == dir)
			w->dir_kept[i] = w->dir_now[i];
	return 0;
}

static int disk_room(void *ctx, const char *path, uint64_t *ret_bytes)
{
	(void)path;
	*ret_bytes = 1024 * 1024;
	return fault_read(ctx) ? -1 : 0;
}

struct disk simdisk(struct world *w)
{
	return (struct disk){
		.ctx = w, .open = disk_open, .close = disk_close, .read = disk_read,
		.write = disk_write, .truncate = disk_truncate, .reserve = disk_reserve, .flush = disk_flush,
		.stat = disk_stat, .remove = disk_remove, .make_dir = disk_make_dir,
		.flush_dir = disk_flush_dir, .room = disk_room,
	};
}
