/* SPDX-License-Identifier: MIT */
/* A table over eight bytes of registers, and what is wrong with others. */
#include "wdat.h"

#include "bytes.h"
#include "unittest.h"

enum { ENTRIES_AT = 68, ENTRY = 24, ENTRIES = 8, TABLE = ENTRIES_AT + ENTRIES * ENTRY };
enum { BASE = 0x660, CONTROL = BASE, COUNT = BASE + 2, STATUS = BASE + 4 };

struct registers {
	uint8_t bytes[8];
	unsigned reads, writes;
	bool broken;
};

static bool register_read(void *ctx, enum wdat_space space, uint64_t address, unsigned width,
			  uint32_t *ret_value)
{
	struct registers *r = ctx;

	assert_int_equal(space, WDAT_PORT);
	assert_true(address >= BASE && address + width / 8 <= BASE + sizeof r->bytes);
	r->reads++;
	*ret_value = 0;
	for (unsigned i = 0; i < width / 8; i++)
		*ret_value |= (uint32_t)r->bytes[address - BASE + i] << 8 * i;
	return !r->broken;
}

static bool register_write(void *ctx, enum wdat_space space, uint64_t address, unsigned width,
			   uint32_t value)
{
	struct registers *r = ctx;

	assert_int_equal(space, WDAT_PORT);
	assert_true(address >= BASE && address + width / 8 <= BASE + sizeof r->bytes);
	assert_true(width == 32 || value >> width == 0);
	r->writes++;
	for (unsigned i = 0; i < width / 8; i++)
		r->bytes[address - BASE + i] = (uint8_t)(value >> 8 * i);
	return !r->broken;
}

static void entry_put(uint8_t *table, unsigned index, uint8_t action, uint8_t instruction,
		      uint8_t width, uint8_t shift, uint64_t address, uint32_t value,
		      uint32_t mask)
{
	uint8_t *p = table + ENTRIES_AT + index * ENTRY;

	p[0] = action;
	p[1] = instruction;
	p[4] = WDAT_PORT;
	p[5] = width;
	p[6] = shift;
	p[7] = width == 32 ? 3 : width == 16 ? 2 : 1;
	le64_put(p + 8, address);
	le32_put(p + 16, value);
	le32_put(p + 20, mask);
}

static void seal(uint8_t *table, size_t len)
{
	uint8_t sum = 0;

	table[9] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + table[i]);
	table[9] = (uint8_t)-sum;
}

static void sample(uint8_t table[TABLE])
{
	memset(table, 0, TABLE);
	memcpy(table, "WDAT", 4);
	le32_put(table + 4, TABLE);
	le32_put(table + 48, 600);
	le32_put(table + 52, 0x3ff);
	le32_put(table + 56, 4);
	table[60] = 0x81;
	le32_put(table + 64, ENTRIES);
	entry_put(table, 0, WDAT_SET_RUNNING, 0x82, 16, 11, CONTROL, 0, 1);
	entry_put(table, 1, WDAT_SET_STOPPED, 0x82, 16, 11, CONTROL, 1, 1);
	entry_put(table, 2, WDAT_GET_RUNNING, 0x00, 16, 11, CONTROL, 0, 1);
	entry_put(table, 3, WDAT_SET_COUNTDOWN, 0x83, 16, 0, COUNT, 0, 0x3ff);
	entry_put(table, 4, WDAT_GET_STATUS, 0x00, 8, 1, STATUS, 1, 1);
	entry_put(table, 5, WDAT_SET_STATUS, 0x02, 8, 1, STATUS, 1, 1);
	entry_put(table, 6, WDAT_RESET, 0x02, 8, 0, BASE + 6, 0x112, 0x1ff);
	entry_put(table, 7, WDAT_RESET, 0x02, 8, 0, BASE + 7, 0xf4, 0x3f);
	seal(table, TABLE);
}

static void an_action_changes_its_bits_and_no_others(void **state)
{
	struct registers r = { .bytes = { 0x55, 0xff, 0x00, 0xfc } };
	struct wdat_ops ops = { &r, register_read, register_write };
	uint8_t table[TABLE];
	struct wdat wdat;

	(void)state;
	sample(table);
	assert_int_equal(wdat_parse(table, sizeof table, &wdat), SB_OK);
	assert_int_equal(wdat_run(&wdat, &ops, WDAT_SET_RUNNING, 0, NULL), SB_OK);
	assert_int_equal(le16_get(r.bytes), 0xf755);
	assert_int_equal(wdat_run(&wdat, &ops, WDAT_SET_STOPPED, 0, NULL), SB_OK);
	assert_int_equal(le16_get(r.bytes), 0xff55);
	assert_int_equal(wdat_run(&wdat, &ops, WDAT_SET_COUNTDOWN, 0xf123, NULL), SB_OK);
	assert_int_equal(le16_get(r.bytes + 2), 0xfd23);
}

static void what_is_not_kept_is_written_as_zero(void **state)
{
	struct registers r = { .bytes = { [4] = 0xff } };
	struct wdat_ops ops = { &r, register_read, register_write };
	uint8_t table[TABLE];
	struct wdat wdat;

	(void)state;
	sample(table);
	assert_int_equal(wdat_parse(table, sizeof table, &wdat), SB_OK);
	assert_int_equal(wdat_run(&wdat, &ops, WDAT_SET_STATUS, 0, NULL), SB_OK);
	assert_int_equal(r.bytes[4], 0x02);
	assert_int_equal(r.reads, 0);
}

static void a_question_is_answered_by_a_comparison(void **state)
{
	struct registers r = { .bytes = { 0, 0x08, 0, 0, 0xfd } };
	struct wdat_ops ops = { &r, register_read, register_write };
	uint8_t table[TABLE];
	struct wdat wdat;
	uint32_t value = 7;

	(void)state;
	sample(table);
	assert_int_equal(wdat_parse(table, sizeof table, &wdat), SB_OK);
	assert_int_equal(wdat_run(&wdat, &ops, WDAT_GET_RUNNING, 0, &value), SB_OK);
	assert_int_equal(value, 0);
	r.bytes[1] = 0xf7;
	assert_int_equal(wdat_run(&wdat, &ops, WDAT_GET_RUNNING, 0, &value), SB_OK);
	assert_int_equal(value, 1);
	assert_int_equal(wdat_run(&wdat, &ops, WDAT_GET_STATUS, 0, &value), SB_OK);
	assert_int_equal(value, 0);
	r.bytes[4] = 0x02;
	assert_int_equal(wdat_run(&wdat, &ops, WDAT_GET_STATUS, 0, &value), SB_OK);
	assert_int_equal(value, 1);
	assert_int_equal(r.writes, 0);
}

/* What is outside a mask, or a register, stays out. */
static void all_instructions_of_an_action_run_in_order(void **state)
{
	struct registers r = { .bytes = { 0 } };
	struct wdat_ops ops = { &r, register_read, register_write };
	uint8_t table[TABLE];
	struct wdat wdat;

	(void)state;
	sample(table);
	assert_int_equal(wdat_parse(table, sizeof table, &wdat), SB_OK);
	assert_int_equal(wdat_run(&wdat, &ops, WDAT_RESET, 0, NULL), SB_OK);
	assert_int_equal(r.writes, 2);
	assert_int_equal(le16_get(r.bytes + 6), 0x3412);
	assert_int_equal(wdat_run(&wdat, &ops, WDAT_SET_REBOOT, 0, NULL), SB_NOT_FOUND);
	r.broken = true;
	assert_int_equal(wdat_run(&wdat, &ops, WDAT_RESET, 0, NULL), SB_IO);
	assert_int_equal(r.writes, 3);
}

static void a_timeout_is_rounded_up_and_kept_in_range(void **state)
{
	static const struct {
		unsigned seconds;
		uint32_t want;
	} rows[] = { { 0, 4 }, { 2, 4 }, { 3, 5 }, { 60, 100 }, { 613, 1022 }, { 65535, 1023 } };
	struct wdat wdat = { .period_ms = 600, .min_count = 4, .max_count = 0x3ff };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(wdat_counts(&wdat, rows[i].seconds), rows[i].want);
}

static void what_cannot_be_carried_out_is_refused_as_a_whole(void **state)
{
	enum { FIRST = ENTRIES_AT, LAST = ENTRIES_AT + 7 * ENTRY };
	static const struct {
		unsigned at;
		uint8_t value;
		enum sb_error want;
	} rows[] = {
		{ 0, 'X', SB_MAGIC },		{ 5, 0x7f, SB_LONG },
		{ 4, (TABLE - 1) & 0xff, SB_SHORT },	{ 64, ENTRIES + 1, SB_SHORT },
		{ 65, 1, SB_LONG },		{ 60, 0x80, SB_NOT_FOUND },
		{ 57, 4, SB_RANGE },		/* lowest count above the highest */
		{ FIRST + 1, 4, SB_RANGE },	{ FIRST + 1, 0x84, SB_RANGE },
		{ FIRST + 1, 0x40, SB_RANGE },	{ FIRST + 4, 2, SB_RANGE },
		{ LAST + 4, 0x7f, SB_RANGE },	{ FIRST + 6, 16, SB_RANGE },
		{ FIRST + 7, 4, SB_RANGE },	{ FIRST + 10, 1, SB_RANGE },
		{ LAST + 15, 1, SB_RANGE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct wdat wdat = { .count = 77 };
		uint8_t table[TABLE];

		sample(table);
		table[rows[i].at] = rows[i].value;
		seal(table, TABLE);
		assert_int_equal(wdat_parse(table, TABLE, &wdat), rows[i].want);
		assert_int_equal(wdat.count, 77);
	}
}

static void a_register_ends_in_its_space(void **state)
{
	static const struct {
		uint8_t space, width, access;
		uint64_t address;
		enum sb_error want;
	} rows[] = {
		{ WDAT_PORT, 16, 2, 0xfffe, SB_OK },	{ WDAT_PORT, 16, 2, 0xffff, SB_RANGE },
		{ WDAT_PORT, 8, 1, 0, SB_RANGE },	{ WDAT_PORT, 32, 0, 0xfffc, SB_OK },
		{ WDAT_PORT, 12, 0, 0x660, SB_RANGE },	{ WDAT_PORT, 12, 2, 0x660, SB_OK },
		{ WDAT_MEMORY, 32, 3, UINT64_MAX - 3, SB_OK },
		{ WDAT_MEMORY, 32, 3, UINT64_MAX - 2, SB_RANGE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t table[TABLE], *p = table + ENTRIES_AT;
		struct wdat wdat;

		sample(table);
		p[4] = rows[i].space;
		p[5] = rows[i].width;
		p[6] = 0;
		p[7] = rows[i].access;
		le64_put(p + 8, rows[i].address);
		seal(table, TABLE);
		assert_int_equal(wdat_parse(table, TABLE, &wdat), rows[i].want);
	}
}

static void a_table_cut_short_or_changed_is_refused(void **state)
{
	uint8_t table[TABLE];
	struct wdat wdat;

	(void)state;
	sample(table);
	for (size_t len = 0; len < TABLE; len++)
		assert_int_equal(wdat_parse(table, len, &wdat), SB_SHORT);
	for (unsigned at = 68; at < TABLE; at++) {
		table[at] ^= 0x10;
		assert_int_equal(wdat_parse(table, TABLE, &wdat), SB_CHECKSUM);
		table[at] ^= 0x10;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_action_changes_its_bits_and_no_others),
		cmocka_unit_test(what_is_not_kept_is_written_as_zero),
		cmocka_unit_test(a_question_is_answered_by_a_comparison),
		cmocka_unit_test(all_instructions_of_an_action_run_in_order),
		cmocka_unit_test(a_timeout_is_rounded_up_and_kept_in_range),
		cmocka_unit_test(what_cannot_be_carried_out_is_refused_as_a_whole),
		cmocka_unit_test(a_register_ends_in_its_space),
		cmocka_unit_test(a_table_cut_short_or_changed_is_refused),
	};

	return cmocka_run_group_tests_name("wdat", tests, NULL, NULL);
}
