/* SPDX-License-Identifier: MIT */
/* What is left when the power goes. */
#include "world.h"

#include <string.h>

static unsigned item_add(struct power_item items[POWER_ITEMS], unsigned count, int kind,
			 int index, int sector, int choices)
{
	if (count == POWER_ITEMS)
		return count;
	items[count].kind = (unsigned)kind;
	items[count].index = (uint8_t)index;
	items[count].sector = (uint8_t)sector;
	items[count].choices = (uint8_t)choices;
	return count + 1;
}

static bool can_survive(const struct world *w, int file)
{
	for (int i = 0; i < NAME_COUNT; i++)
		if (w->name_now[i] == file || w->name_kept[i] == file)
			return w->files[file].used;
	return false;
}

unsigned power_items(const struct world *w, struct power_item items[POWER_ITEMS])
{
	unsigned n = 0;

	if (w->var_flight >= 0)
		n = item_add(items, n, ITEM_VAR, w->var_flight, 0, 2);
	for (int i = 0; i < DIR_COUNT; i++)
		if (w->dir_now[i] != w->dir_kept[i])
			n = item_add(items, n, ITEM_DIR, i, 0, 2);
	for (int i = 0; i < NAME_COUNT; i++)
		if (w->name_now[i] != w->name_kept[i])
			n = item_add(items, n, ITEM_NAME, i, 0, 3);
	for (int i = 0; i < SIM_FILES; i++) {
		if (!can_survive(w, i))
			continue;
		if (w->files[i].size != w->files[i].kept_size)
			n = item_add(items, n, ITEM_SIZE, i, 0, 2);
		for (int s = 0; s < SIM_SECTORS; s++)
			if (w->files[i].dirty >> s & 1)
				n = item_add(items, n, ITEM_SECTOR, i, s, 3);
	}
	return n;
}

static void sector_settle(struct sim_file *f, unsigned sector, unsigned choice)
{
	uint8_t *now = f->now + sector * SIM_SECTOR;

	if (choice == 0)
		memcpy(now, f->kept + sector * SIM_SECTOR, SIM_SECTOR);
	else if (choice == 2)
		memset(now, 0xa5, SIM_SECTOR);
}

static void item_settle(struct world *w, const struct power_item *item, unsigned choice)
{
	struct sim_file *f = &w->files[item->index];

	switch (item->kind) {
	case ITEM_VAR:
		if (choice == 0)
			w->vars[item->index] = w->var_old;
		break;
	case ITEM_DIR:
		w->dir_now[item->index] = choice ? w->dir_now[item->index]
						 : w->dir_kept[item->index];
		break;
	case ITEM_NAME:
		if (choice == 0)
			w->name_now[item->index] = w->name_kept[item->index];
		else if (choice == 2)
			w->name_now[item->index] = -1;
		break;
	case ITEM_SIZE:
		if (choice == 0)
			f->size = f->kept_size;
		break;
	case ITEM_SECTOR:
		sector_settle(f, item->sector, choice);
		break;
	}
}

void power_down(struct world *w)
{
	/* What is in no directory is gone. */
	for (int i = 0; i < DIR_COUNT; i++)
		if (simdisk_above((enum sim_dir)i) >= 0 && !w->dir_now[simdisk_above((enum sim_dir)i)])
			w->dir_now[i] = false;
	for (int i = 0; i < NAME_COUNT; i++)
		if (simdisk_dir((enum sim_name)i) >= 0 && !w->dir_now[simdisk_dir((enum sim_name)i)])
			w->name_now[i] = -1;
	memcpy(w->name_kept, w->name_now, sizeof w->name_kept);
	memcpy(w->dir_kept, w->dir_now, sizeof w->dir_kept);
	for (int i = 0; i < SIM_FILES; i++) {
		struct sim_file *f = &w->files[i];
		size_t stored;

		if (!can_survive(w, i)) {
			f->used = false;
			continue;
		}
		stored = simdisk_stored(f, f->size);
		memset(f->now + stored, 0, SIM_FILE_MAX - stored);
		if (f->dirty || f->size != f->kept_size)
			memcpy(f->kept, f->now, sizeof f->kept);
		f->kept_size = f->size;
		f->dirty = 0;
	}
	w->var_flight = -1;
	w->latch = false;
	w->session = (struct session){ .staged = -1 };
	w->ghost.guard = 0;
}

void power_cut(struct world *w, const struct power_item *items, const uint8_t *choices,
	       unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		item_settle(w, &items[i], choices[i]);
	power_down(w);
	w->fault = (struct fault){ .store = w->fault.store };
}

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		h = (h ^ v) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	for (; len > 0; p++, len--)
		h = (h ^ *p) * 0x100000001b3u;
	return h ^ h >> 32;
}

uint64_t world_hash(const struct world *w, uint64_t seed)
{
	uint64_t h = mix(seed, w->dir_now, sizeof w->dir_now);

	for (int i = 0; i < NAME_COUNT; i++) {
		const struct sim_file *f = simdisk_find(w, (enum sim_name)i);

		h = mix(h, f ? "y" : "n", 1);
		if (f)
			h = mix(mix(h, &f->size, sizeof f->size), f->now,
				simdisk_stored(f, f->size));
	}
	for (int i = 0; i < SIM_VARS; i++)
		if (w->vars[i].used)
			h = mix(mix(h, w->vars[i].name, 9), w->vars[i].data, w->vars[i].len);
	return h;
}
