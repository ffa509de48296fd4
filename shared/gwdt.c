/* SPDX-License-Identifier: MIT */
#include "gwdt.h"

#include "bytes.h"

enum {
	AT_LENGTH = 4,
	AT_COUNT = 88,
	AT_FIRST = 92,
	AT_END = 96,
	WATCHDOG_TYPE = 1,
	WATCHDOG_BYTES = 28,
	STRUCTURE_MIN = 4,
	FLAG_SECURE = 0x04,
};

/* The refresh frame's one register, and the control frame's. */
enum { WRR = 0x000, WCS = 0x000, WOR = 0x008, WOR_HIGH = 0x00c, IIDR = 0xfcc };
enum { WCS_ENABLED = 0x01, WCS_EXPIRED_TWICE = 0x04 };

static enum sb_error table_check(const uint8_t *table, size_t len)
{
	uint32_t length;
	uint8_t sum = 0;

	if (len < AT_END)
		return SB_SHORT;
	if (!bytes_equal(table, (const uint8_t *)"GTDT", 4))
		return SB_MAGIC;
	length = le32_get(table + AT_LENGTH);
	if (length > GWDT_BYTES_MAX)
		return SB_LONG;
	/* Before ACPI 5.1 it ended sooner, and described no watchdog. */
	if (length > len || length < AT_END)
		return SB_SHORT;
	for (uint32_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + table[i]);
	return sum == 0 ? SB_OK : SB_CHECKSUM;
}

static bool frame_is_one(uint64_t address)
{
	return address != 0 && address % GWDT_FRAME_BYTES == 0;
}

static enum sb_error structure_decode(const uint8_t *p, size_t size, struct gwdt *ret_gwdt)
{
	struct gwdt g;

	if (p[0] != WATCHDOG_TYPE)
		return SB_NOT_FOUND;
	if (size < WATCHDOG_BYTES)
		return SB_SHORT;
	if (le32_get(p + 24) & FLAG_SECURE)
		return SB_NOT_FOUND;
	g.refresh = le64_get(p + 4);
	g.control = le64_get(p + 12);
	if (!frame_is_one(g.refresh) || !frame_is_one(g.control))
		return SB_RANGE;
	*ret_gwdt = g;
	return SB_OK;
}

enum sb_error gwdt_parse(const uint8_t *table, size_t len, struct gwdt *ret_gwdt)
{
	enum sb_error error = table_check(table, len);
	uint32_t at, count, end;

	if (error != SB_OK)
		return error;
	end = le32_get(table + AT_LENGTH);
	count = le32_get(table + AT_COUNT);
	at = le32_get(table + AT_FIRST);
	if (count > 0 && at < AT_END)
		return SB_RANGE;
	for (error = SB_NOT_FOUND; count > 0 && error == SB_NOT_FOUND; count--) {
		uint32_t size;

		if (at > end || end - at < STRUCTURE_MIN)
			return SB_SHORT;
		size = le16_get(table + at + 1);
		if (size < STRUCTURE_MIN)
			return SB_RANGE;
		if (size > end - at)
			return SB_SHORT;
		error = structure_decode(table + at, size, ret_gwdt);
		at += size;
	}
	return error;
}

/* Revision 1 counts in 48 bits, revision 0 in 32. */
static uint64_t counts_max(uint32_t iidr)
{
	return (iidr >> 16 & 0xf) >= 1 ? (UINT64_C(1) << 48) - 1 : UINT32_MAX;
}

enum sb_error gwdt_arm(const struct gwdt *gwdt, const struct gwdt_ops *ops, uint64_t frequency,
		       unsigned seconds)
{
	uint64_t most = counts_max(ops->read(ops->ctx, gwdt->control + IIDR)), counts;

	gwdt_disarm(gwdt, ops);
	if (frequency == 0 || frequency > UINT32_MAX)
		return SB_RANGE;
	counts = (seconds * frequency + 1) / 2;
	if (counts / 2 > most)
		return SB_RANGE;
	if (counts > most)
		counts = most;
	ops->write(ops->ctx, gwdt->control + WOR, (uint32_t)counts);
	if (most > UINT32_MAX)
		ops->write(ops->ctx, gwdt->control + WOR_HIGH, (uint32_t)(counts >> 32));
	/* Writing it is a refresh, too: both stages begin here. */
	ops->write(ops->ctx, gwdt->control + WCS, WCS_ENABLED);
	return ops->read(ops->ctx, gwdt->control + WOR) == (uint32_t)counts &&
			       ops->read(ops->ctx, gwdt->control + WCS) & WCS_ENABLED
		       ? SB_OK
		       : SB_IO;
}

void gwdt_disarm(const struct gwdt *gwdt, const struct gwdt_ops *ops)
{
	ops->write(ops->ctx, gwdt->control + WCS, 0);
}

bool gwdt_fired(const struct gwdt *gwdt, const struct gwdt_ops *ops)
{
	if (!(ops->read(ops->ctx, gwdt->control + WCS) & WCS_EXPIRED_TWICE))
		return false;
	ops->write(ops->ctx, gwdt->refresh + WRR, 1);
	return true;
}
