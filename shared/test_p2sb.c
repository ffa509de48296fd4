/* SPDX-License-Identifier: MIT */
/* A model of the bridge's configuration space: hidden, it takes writes and shows nothing. */
#include "p2sb.h"

#include "unittest.h"

#include <stdbool.h>

struct model {
	bool is_there, hidden, hides_for_good;
	uint16_t vendor, command, class;
	uint32_t base, base_high;
	unsigned writes;
};

static uint32_t shown(const struct model *m, unsigned offset)
{
	switch (offset) {
	case 0x00:
		return 0xa2a00000 | m->vendor;
	case 0x04:
		return m->command;
	case 0x0a:
		return m->class;
	case 0x10:
		return m->base;
	case 0x14:
		return m->base_high;
	}
	fail_msg("read of %#x", offset);
	return 0;
}

static uint32_t config_read(void *ctx, unsigned offset, unsigned width)
{
	const struct model *m = ctx;
	uint32_t ones = UINT32_MAX >> (32 - width);

	assert_int_equal(width, offset == 0x04 || offset == 0x0a ? 16 : 32);
	return !m->is_there || m->hidden ? ones : shown(m, offset) & ones;
}

static void config_write(void *ctx, unsigned offset, unsigned width, uint32_t value)
{
	struct model *m = ctx;

	assert_int_equal(offset, 0xe1);
	assert_int_equal(width, 8);
	assert_true(value <= 1);
	m->hidden = value || m->hides_for_good;
	m->writes++;
}

static struct model model_new(bool hidden)
{
	return (struct model){ .is_there = true, .hidden = hidden, .vendor = 0x8086,
			       .command = 0x0006, .class = 0x0580, .base = 0xfd000004 };
}

static enum sb_error find(struct model *m, uint32_t *ret_base)
{
	struct p2sb_ops ops = { m, config_read, config_write };

	return p2sb_find(&ops, ret_base);
}

static void a_hidden_one_is_shown_and_hidden_again(void **state)
{
	struct model m = model_new(true);
	uint32_t base = 0;

	(void)state;
	assert_int_equal(find(&m, &base), SB_OK);
	assert_int_equal(base, 0xfd000000);
	assert_true(m.hidden);
	assert_int_equal(m.writes, 2);
}

static void one_that_is_shown_is_not_written(void **state)
{
	struct model m = model_new(false);
	uint32_t base = 0;

	(void)state;
	assert_int_equal(find(&m, &base), SB_OK);
	assert_int_equal(base, 0xfd000000);
	assert_int_equal(m.writes, 0);
}

static void anything_else_is_not_found_and_left_as_it_was(void **state)
{
	static const struct model others[] = {
		{ .is_there = false, .hidden = true },
		{ .is_there = true, .hides_for_good = true, .vendor = 0x8086, .command = 2,
		  .class = 0x0580, .base = 0xfd000004 },
		{ .is_there = true, .vendor = 0x1022, .command = 2, .class = 0x0580, .base = 0xfd000004 },
		{ .is_there = true, .vendor = 0x8086, .command = 2, .class = 0x0101, .base = 0xfd000004 },
		{ .is_there = true, .vendor = 0x8086, .command = 4, .class = 0x0580, .base = 0xfd000004 },
		{ .is_there = true, .vendor = 0x8086, .command = 2, .class = 0x0580, .base = 4 },
		{ .is_there = true, .vendor = 0x8086, .command = 2, .class = 0x0580, .base = 4,
		  .base_high = 1 },
		{ .is_there = true, .vendor = 0x8086, .command = 2, .class = 0x0580, .base = 0xfd000004,
		  .base_high = 1 },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof others / sizeof others[0]; i++) {
		struct model m = others[i / 2];
		uint32_t base = 7;

		m.hidden |= m.hides_for_good || i & 1;
		assert_int_equal(find(&m, &base), SB_NOT_FOUND);
		assert_int_equal(base, 7);
		assert_int_equal(m.hidden, others[i / 2].hidden || m.hides_for_good || i & 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hidden_one_is_shown_and_hidden_again),
		cmocka_unit_test(one_that_is_shown_is_not_written),
		cmocka_unit_test(anything_else_is_not_found_and_left_as_it_was),
	};

	return cmocka_run_group_tests_name("p2sb", tests, NULL, NULL);
}
