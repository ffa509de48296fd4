/* SPDX-License-Identifier: MIT */
#include "wdat.h"

#include "bytes.h"

enum {
	AT_LENGTH = 4,
	AT_PERIOD = 48,
	AT_MAX = 52,
	AT_MIN = 56,
	AT_FLAGS = 60,
	AT_COUNT = 64,
	AT_ENTRIES = 68,
	ENTRY_BYTES = 24,
};

enum { USABLE = 0x01, KEEP = 0x80 };

enum kind { COMPARE_VALUE = 0, READ_COUNT, WRITE_VALUE, WRITE_COUNT, KIND_COUNT };

struct entry {
	enum kind kind;
	bool keep;		/* what is outside the mask is written back */
	enum wdat_space space;
	unsigned width, shift;	/* bits */
	uint64_t address;
	uint32_t value, mask;
};

/* 0: not a width that there is. */
static unsigned access_width(uint8_t width, uint8_t access)
{
	if (access == 0)
		return width == 8 || width == 16 || width == 32 ? width : 0;
	return access <= 3 ? 4u << access : 0;
}

static bool entry_decode(const uint8_t *p, struct entry *ret_entry)
{
	struct entry e = {
		.kind = (enum kind)(p[1] & ~KEEP),
		.keep = p[1] & KEEP,
		.space = (enum wdat_space)p[4],
		.width = access_width(p[5], p[7]),
		.shift = p[6],
		.address = le64_get(p + 8),
		.value = le32_get(p + 16),
		.mask = le32_get(p + 20),
	};
	uint64_t last = e.space == WDAT_PORT ? 0xffff : UINT64_MAX;

	if (p[1] >= KIND_COUNT && (p[1] < KEEP || p[1] - KEEP >= KIND_COUNT))
		return false;
	if ((p[4] != WDAT_MEMORY && p[4] != WDAT_PORT) || e.width == 0 || e.shift >= e.width)
		return false;
	e.mask &= UINT32_MAX >> (32 - e.width) >> e.shift;
	if (e.address == 0 || e.address > last - (e.width / 8 - 1))
		return false;
	*ret_entry = e;
	return true;
}

static enum sb_error slot_uki_check(const uint8_t *table, size_t len)
{
	uint32_t length;
	uint8_t sum = 0;

	if (len < AT_ENTRIES)
		return SB_SHORT;
	if (!bytes_equal(table, (const uint8_t *)"WDAT", 4))
		return SB_MAGIC;
	length = le32_get(table + AT_LENGTH);
	if (length > WDAT_BYTES_MAX || le32_get(table + AT_COUNT) > WDAT_ENTRIES_MAX)
		return SB_LONG;
	if (length > len || length < AT_ENTRIES + le32_get(table + AT_COUNT) * ENTRY_BYTES)
		return SB_SHORT;
	for (uint32_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + table[i]);
	return sum == 0 ? SB_OK : SB_CHECKSUM;
}

enum sb_error wdat_parse(const uint8_t *table, size_t len, struct wdat *ret_wdat)
{
	enum sb_error error = slot_uki_check(table, len);
	struct wdat w;
	struct entry e;

	if (error != SB_OK)
		return error;
	if (!(table[AT_FLAGS] & USABLE))
		return SB_NOT_FOUND;
	w.entries = table + AT_ENTRIES;
	w.count = le32_get(table + AT_COUNT);
	w.period_ms = le32_get(table + AT_PERIOD);
	w.min_count = le32_get(table + AT_MIN);
	w.max_count = le32_get(table + AT_MAX);
	if (w.period_ms == 0 || w.max_count == 0 || w.min_count > w.max_count)
		return SB_RANGE;
	for (unsigned i = 0; i < w.count; i++)
		if (!entry_decode(w.entries + i * ENTRY_BYTES, &e))
			return SB_RANGE;
	*ret_wdat = w;
	return SB_OK;
}

static bool entry_read(const struct wdat_ops *ops, const struct entry *e, uint32_t *ret_value)
{
	uint32_t x;

	if (!ops->read(ops->ctx, e->space, e->address, e->width, &x))
		return false;
	x = x >> e->shift & e->mask;
	*ret_value = e->kind == COMPARE_VALUE ? x == e->value : x;
	return true;
}

static bool entry_write(const struct wdat_ops *ops, const struct entry *e, uint32_t parameter)
{
	uint32_t mask = e->mask << e->shift, others = 0;
	uint32_t x = (e->kind == WRITE_VALUE ? e->value : parameter) << e->shift & mask;

	if (e->keep && !ops->read(ops->ctx, e->space, e->address, e->width, &others))
		return false;
	return ops->write(ops->ctx, e->space, e->address, e->width, x | (others & ~mask));
}

enum sb_error wdat_run(const struct wdat *wdat, const struct wdat_ops *ops,
		       enum wdat_action action, uint32_t parameter, uint32_t *ret_value)
{
	uint32_t value = 0;
	bool found = false;

	for (unsigned i = 0; i < wdat->count; i++) {
		const uint8_t *p = wdat->entries + i * ENTRY_BYTES;
		struct entry e;
		bool done;

		if (p[0] != (unsigned)action || !entry_decode(p, &e))
			continue;
		found = true;
		done = e.kind == COMPARE_VALUE || e.kind == READ_COUNT
			       ? entry_read(ops, &e, &value)
			       : entry_write(ops, &e, parameter);
		if (!done)
			return SB_IO;
	}
	if (!found)
		return SB_NOT_FOUND;
	if (ret_value)
		*ret_value = value;
	return SB_OK;
}

uint32_t wdat_counts(const struct wdat *wdat, unsigned seconds)
{
	uint64_t counts = ((uint64_t)seconds * 1000 + wdat->period_ms - 1) / wdat->period_ms;

	if (counts < wdat->min_count)
		return wdat->min_count;
	return counts > wdat->max_count ? wdat->max_count : (uint32_t)counts;
}
