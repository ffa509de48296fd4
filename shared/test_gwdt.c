/* SPDX-License-Identifier: MIT */
/* A model of the watchdog's registers and of its counter, and tables that name it. */
#include "gwdt.h"

#include "bytes.h"
#include "unittest.h"

enum { TABLE = 200, FIRST = 96, TIMER_BYTES = 20, SECURE = FIRST + TIMER_BYTES, OURS = SECURE + 28,
       LENGTH = OURS + 28 };
enum { REFRESH = 0x50010000, CONTROL = 0x50011000 };
enum { WCS = CONTROL, WOR = CONTROL + 8, WOR_HIGH = CONTROL + 12, IIDR = CONTROL + 0xfcc };
enum { FREQUENCY = 62500000 };

/* The two stages that BSA describes; now is the system counter. */
struct model {
	unsigned revision;
	uint64_t now, offset, compare;
	bool enabled, once, twice;
	bool stuck;		/* it takes no order */
};

static void model_refresh(struct model *m)
{
	m->compare = m->now + m->offset;
	m->once = m->twice = false;
}

static void model_pass(struct model *m, uint64_t counts)
{
	for (m->now += counts; m->enabled && !m->twice && m->now >= m->compare;) {
		m->twice = m->once;
		m->once = true;
		m->compare += m->offset;
	}
}

static uint32_t register_read(void *ctx, uint64_t address)
{
	struct model *m = ctx;

	switch (address) {
	case WCS:
		return m->enabled | (uint32_t)m->once << 1 | (uint32_t)m->twice << 2;
	case WOR:
		return (uint32_t)m->offset;
	case IIDR:
		return m->revision << 16 | 0x43b;
	}
	fail_msg("read of %#lx", (unsigned long)address);
	return 0;
}

static void register_write(void *ctx, uint64_t address, uint32_t value)
{
	struct model *m = ctx;

	if (m->stuck)
		return;
	if (address == WCS)
		m->enabled = value & 1;
	else if (address == WOR)
		m->offset = (m->offset & ~(uint64_t)UINT32_MAX) | value;
	else if (address == WOR_HIGH && m->revision >= 1)
		m->offset = (uint64_t)value << 32 | (uint32_t)m->offset;
	else if (address != REFRESH)
		fail_msg("write to %#lx", (unsigned long)address);
	model_refresh(m);
}

static const struct gwdt sample_gwdt = { REFRESH, CONTROL };

static void it_resets_after_the_time_asked_for_or_as_late_as_it_can(void **state)
{
	static const struct {
		unsigned revision;
		uint64_t frequency;
		unsigned seconds;
	} rows[] = { { 0, FREQUENCY, 60 },	      { 0, FREQUENCY, 137 },  { 1, FREQUENCY, 138 },
		     { 1, 1000000000, 65535 }, { 0, 1000000000, 8 }, { 0, 24000001, 1 },
		     { 0, 100000000, 120 } };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t asked = rows[i].seconds * rows[i].frequency, most = 2 * (uint64_t)UINT32_MAX;
		uint64_t counts = rows[i].revision == 0 && asked > most ? most : asked;
		struct model m = { .revision = rows[i].revision, .offset = 77 };
		struct gwdt_ops ops = { &m, register_read, register_write };

		assert_int_equal(gwdt_arm(&sample_gwdt, &ops, rows[i].frequency, rows[i].seconds), SB_OK);
		assert_false(gwdt_fired(&sample_gwdt, &ops));
		model_pass(&m, counts - 1);
		assert_true(m.once && !m.twice);
		assert_false(gwdt_fired(&sample_gwdt, &ops));
		model_pass(&m, 2);
		assert_true(m.twice);
		assert_true(gwdt_fired(&sample_gwdt, &ops));
		assert_false(gwdt_fired(&sample_gwdt, &ops));
	}
}

static void a_time_that_it_cannot_count_leaves_it_off(void **state)
{
	static const struct {
		unsigned revision;
		uint64_t frequency;
		unsigned seconds;
	} rows[] = { { 0, FREQUENCY, 275 }, { 0, 1000000000, 18 }, { 0, 0, 60 }, { 1, UINT64_MAX, 60 } };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct model m = { .revision = rows[i].revision, .enabled = true, .offset = 5 };
		struct gwdt_ops ops = { &m, register_read, register_write };

		assert_int_equal(gwdt_arm(&sample_gwdt, &ops, rows[i].frequency, rows[i].seconds), SB_RANGE);
		assert_false(m.enabled);
	}
}

static void one_that_takes_no_order_is_told(void **state)
{
	struct model m = { .stuck = true };
	struct gwdt_ops ops = { &m, register_read, register_write };

	(void)state;
	assert_int_equal(gwdt_arm(&sample_gwdt, &ops, FREQUENCY, 60), SB_IO);
}

static void disarmed_it_never_expires(void **state)
{
	struct model m = { .revision = 1 };
	struct gwdt_ops ops = { &m, register_read, register_write };

	(void)state;
	assert_int_equal(gwdt_arm(&sample_gwdt, &ops, FREQUENCY, 2), SB_OK);
	gwdt_disarm(&sample_gwdt, &ops);
	model_pass(&m, UINT64_C(100) * FREQUENCY);
	assert_false(gwdt_fired(&sample_gwdt, &ops));
}

static void asking_whether_it_was_it_does_not_start_it(void **state)
{
	struct model m = { .once = true, .twice = true };
	struct gwdt_ops ops = { &m, register_read, register_write };

	(void)state;
	assert_true(gwdt_fired(&sample_gwdt, &ops));
	assert_false(m.enabled || m.twice);
}

static void seal(uint8_t table[TABLE])
{
	uint8_t sum = 0;

	table[9] = 0;
	for (size_t i = 0; i < LENGTH; i++)
		sum = (uint8_t)(sum + table[i]);
	table[9] = (uint8_t)-sum;
}

static void watchdog_put(uint8_t *p, uint64_t refresh, uint64_t control, uint32_t flags)
{
	p[0] = 1;
	le16_put(p + 1, 28);
	le64_put(p + 4, refresh);
	le64_put(p + 12, control);
	le32_put(p + 24, flags);
}

/* A timer, the secure world's watchdog, and the one that is ours. */
static void sample(uint8_t table[TABLE])
{
	memset(table, 0, TABLE);
	memcpy(table, "GTDT", 4);
	le32_put(table + 4, LENGTH);
	le32_put(table + 88, 3);
	le32_put(table + 92, FIRST);
	le16_put(table + FIRST + 1, TIMER_BYTES);
	watchdog_put(table + SECURE, 0x1000, 0x2000, 4);
	watchdog_put(table + OURS, REFRESH, CONTROL, 3);
	seal(table);
}

static void the_first_watchdog_of_our_world_is_found(void **state)
{
	uint8_t table[TABLE];
	struct gwdt gwdt;

	(void)state;
	sample(table);
	assert_int_equal(gwdt_parse(table, sizeof table, &gwdt), SB_OK);
	assert_int_equal(gwdt.refresh, REFRESH);
	assert_int_equal(gwdt.control, CONTROL);
}

static void what_is_wrong_with_a_table_is_told(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
		enum sb_error want;
	} rows[] = {
		{ 0, 'X', SB_MAGIC },		{ 5, 0x7f, SB_LONG },
		{ 4, TABLE + 1, SB_SHORT },	{ 4, 95, SB_SHORT },
		{ 88, 0, SB_NOT_FOUND },	{ 88, 2, SB_NOT_FOUND },
		{ 92, 95, SB_RANGE },		{ 95, 1, SB_SHORT },
		{ FIRST + 1, 3, SB_RANGE },	{ FIRST + 2, 1, SB_SHORT },
		{ SECURE + 1, 27, SB_SHORT },	{ OURS + 24, 7, SB_NOT_FOUND },
		{ OURS, 2, SB_NOT_FOUND },	{ OURS + 4, 1, SB_RANGE },
		{ OURS + 13, 8, SB_RANGE },	{ OURS + 1, 29, SB_SHORT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct gwdt gwdt = { .refresh = 77 };
		uint8_t table[TABLE];

		sample(table);
		table[rows[i].at] = rows[i].value;
		seal(table);
		assert_int_equal(gwdt_parse(table, TABLE, &gwdt), rows[i].want);
		assert_int_equal(gwdt.refresh, 77);
	}
}

static void a_table_cut_short_or_changed_is_refused(void **state)
{
	uint8_t table[TABLE];
	struct gwdt gwdt;

	(void)state;
	sample(table);
	for (size_t len = 0; len < LENGTH; len++)
		assert_int_equal(gwdt_parse(table, len, &gwdt), SB_SHORT);
	for (unsigned at = FIRST; at < LENGTH; at++) {
		table[at] ^= 0x10;
		assert_int_equal(gwdt_parse(table, LENGTH, &gwdt), SB_CHECKSUM);
		table[at] ^= 0x10;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_resets_after_the_time_asked_for_or_as_late_as_it_can),
		cmocka_unit_test(a_time_that_it_cannot_count_leaves_it_off),
		cmocka_unit_test(one_that_takes_no_order_is_told),
		cmocka_unit_test(disarmed_it_never_expires),
		cmocka_unit_test(asking_whether_it_was_it_does_not_start_it),
		cmocka_unit_test(the_first_watchdog_of_our_world_is_found),
		cmocka_unit_test(what_is_wrong_with_a_table_is_told),
		cmocka_unit_test(a_table_cut_short_or_changed_is_refused),
	};

	return cmocka_run_group_tests_name("gwdt", tests, NULL, NULL);
}
