/* SPDX-License-Identifier: MIT */
/* A model of the TCO's registers and of its two countdowns, once with the bit that
 * forbids the reset behind the bridge and once in control 1. */
#include "tco.h"

#include "unittest.h"

enum { NO_REBOOT_GLOBAL = 0x20, NO_REBOOT_CONTROL = 0x0001, HALT = 0x0800, LOCK = 0x1000 };
enum { TIMEOUT = 0x0008, SECOND = 0x0002, BOOT = 0x0004, OTHER_GLOBAL = 0x0c45, OTHER_TIMER = 0x5400 };

/* What the datasheets say; 0.6 seconds a tick. */
struct model {
	bool behind_bridge;
	bool strapped;		/* the bit that forbids the reset cannot be cleared */
	bool stuck;		/* no port takes an order */
	uint16_t count, timer, status_1, status_2, control_1;
	uint32_t global;
	bool was_reset;
	bool set_while_running;	/* a new time while it counted */
};

static bool is_forbidden(const struct model *m)
{
	return m->behind_bridge ? m->global & NO_REBOOT_GLOBAL : m->control_1 & NO_REBOOT_CONTROL;
}

static uint16_t register_read(void *ctx, unsigned offset)
{
	const struct model *m = ctx;

	switch (offset) {
	case 0x00:
		return m->count;
	case 0x04:
		return m->status_1;
	case 0x06:
		return m->status_2;
	case 0x08:
		return m->control_1;
	case 0x12:
		return m->timer;
	}
	fail_msg("read of %#x", offset);
	return 0;
}

static void control_write(struct model *m, uint16_t value)
{
	if (m->strapped && !m->behind_bridge)
		value |= NO_REBOOT_CONTROL;
	m->control_1 = value | (m->control_1 & LOCK);
}

static void register_write(void *ctx, unsigned offset, uint16_t value)
{
	struct model *m = ctx;

	if (m->stuck)
		return;
	switch (offset) {
	case 0x00:
		m->count = m->timer & 0x3ff;
		return;
	case 0x04:
		m->status_1 &= (uint16_t)~value;
		return;
	case 0x06:
		m->status_2 &= (uint16_t)~value;
		return;
	case 0x08:
		control_write(m, value);
		return;
	case 0x12:
		m->set_while_running |= !(m->control_1 & HALT);
		m->timer = value;
		return;
	}
	fail_msg("write to %#x", offset);
}

static uint32_t global_read(void *ctx)
{
	return ((struct model *)ctx)->global;
}

static void global_write(void *ctx, uint32_t value)
{
	struct model *m = ctx;

	assert_true(m->behind_bridge);
	m->global = m->strapped ? value | NO_REBOOT_GLOBAL : value;
}

static const struct tco_global global = { global_read, global_write };

static struct tco_ops ops_of(struct model *m)
{
	return (struct tco_ops){ m, register_read, register_write, m->behind_bridge ? &global : NULL };
}

static void model_pass(struct model *m, unsigned ticks)
{
	for (; ticks > 0 && !(m->control_1 & HALT) && !m->was_reset; ticks--) {
		if (--m->count > 0)
			continue;
		if (m->status_1 & TIMEOUT) {
			m->status_2 |= SECOND;
			m->was_reset = !is_forbidden(m);
			m->status_2 |= m->was_reset ? BOOT : 0;
		}
		m->status_1 |= TIMEOUT;
		m->count = m->timer & 0x3ff;
	}
}

/* As firmware may leave it: running, its first timeout over, no reset allowed. */
static struct model model_new(bool behind_bridge)
{
	return (struct model){
		.behind_bridge = behind_bridge,
		.count = 9,
		.timer = OTHER_TIMER | 9,
		.status_1 = TIMEOUT,
		.control_1 = (uint16_t)(LOCK | (behind_bridge ? 0 : NO_REBOOT_CONTROL)),
		.global = OTHER_GLOBAL | (behind_bridge ? NO_REBOOT_GLOBAL : 0),
	};
}

static void it_resets_after_the_time_asked_for_or_as_near_as_it_can(void **state)
{
	static const struct {
		unsigned seconds, ticks;
	} rows[] = { { 0, 4 }, { 1, 4 }, { 4, 4 }, { 5, 5 }, { 60, 50 }, { 61, 51 }, { 120, 100 },
		     { 1227, 1023 }, { 1228, 1023 }, { 65535, 1023 } };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
		struct model m = model_new(i & 1);
		struct tco_ops ops = ops_of(&m);

		assert_int_equal(tco_arm(&ops, rows[i / 2].seconds), SB_OK);
		assert_false(m.set_while_running);
		model_pass(&m, 2 * rows[i / 2].ticks - 1);
		assert_true(m.status_1 & TIMEOUT && !m.was_reset);
		model_pass(&m, 1);
		assert_true(m.was_reset);
		assert_true(tco_fired(&ops));
		assert_false(tco_fired(&ops));
		assert_int_equal(m.status_2, 0);
	}
}

static void what_is_not_its_own_stays(void **state)
{
	(void)state;
	for (int behind_bridge = 0; behind_bridge < 2; behind_bridge++) {
		struct model m = model_new(behind_bridge);
		struct tco_ops ops = ops_of(&m);

		assert_int_equal(tco_arm(&ops, 60), SB_OK);
		assert_int_equal(m.global, OTHER_GLOBAL);
		assert_int_equal(m.control_1, LOCK);
		assert_int_equal(m.timer, OTHER_TIMER | 50);
		tco_disarm(&ops);
		assert_int_equal(m.global, OTHER_GLOBAL | (behind_bridge ? NO_REBOOT_GLOBAL : 0));
		assert_int_equal(m.control_1, LOCK | HALT | (behind_bridge ? 0 : NO_REBOOT_CONTROL));
	}
}

static void disarmed_it_never_resets(void **state)
{
	(void)state;
	for (int behind_bridge = 0; behind_bridge < 2; behind_bridge++) {
		struct model m = model_new(behind_bridge);
		struct tco_ops ops = ops_of(&m);

		assert_int_equal(tco_arm(&ops, 5), SB_OK);
		model_pass(&m, 7);
		tco_disarm(&ops);
		model_pass(&m, 100000);
		m.control_1 &= (uint16_t)~HALT;		/* whoever lets it run: no reset is allowed */
		model_pass(&m, 100000);
		assert_false(m.was_reset);
	}
}

static void a_strap_or_a_lock_in_the_way_is_told(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct model m = model_new(i & 1);
		struct tco_ops ops = ops_of(&m);

		m.strapped = i < 2;
		m.stuck = !m.strapped;
		assert_int_equal(tco_arm(&ops, 60), SB_IO);
		model_pass(&m, m.strapped ? 100000 : 0);
		assert_false(m.was_reset);
	}
}

static void ports_that_nobody_answers_at_are_no_tco(void **state)
{
	struct model m = model_new(false);
	struct tco_ops ops = ops_of(&m);

	(void)state;
	assert_true(tco_is_there(&ops));
	m.control_1 = UINT16_MAX;
	assert_false(tco_is_there(&ops));
}

/* A first timeout alone, or somebody's reset button. */
static void another_reset_is_not_its_own(void **state)
{
	struct model m = model_new(true);
	struct tco_ops ops = ops_of(&m);

	(void)state;
	assert_false(tco_fired(&ops));
	assert_int_equal(m.status_1, 0);
	assert_int_equal(m.control_1, LOCK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_resets_after_the_time_asked_for_or_as_near_as_it_can),
		cmocka_unit_test(what_is_not_its_own_stays),
		cmocka_unit_test(disarmed_it_never_resets),
		cmocka_unit_test(a_strap_or_a_lock_in_the_way_is_told),
		cmocka_unit_test(ports_that_nobody_answers_at_are_no_tco),
		cmocka_unit_test(another_reset_is_not_its_own),
	};

	return cmocka_run_group_tests_name("tco", tests, NULL, NULL);
}
