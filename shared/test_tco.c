/* SPDX-License-Identifier: MIT */
/* A model of the TCO's registers and of its two countdowns, of each kind. */
#include "tco.h"

#include "unittest.h"

enum { NO_REBOOT_CONTROL = 0x0001, NMI = 0x0100, HALT = 0x0800, LOCK = 0x1000 };
enum { TIMEOUT = 0x0008, SECOND = 0x0002, BOOT = 0x0004, OTHER_TIMER = 0x5400 };

/* What the datasheets say, and of a tick's length Linux: the bit in memory that forbids the
 * reset, what else is in its register, and tenths of a second. Of the SMBus' register bit 0
 * would turn the function off. */
static const struct kind {
	uint32_t forbids, others;
	unsigned tick;
} kinds[TCO_KIND_COUNT] = {
	[TCO_ICH] = { 0x20, 0x0c45, 6 },
	[TCO_ATOM] = { 0x10, 0x0081000a, 10 },
	[TCO_SIDEBAND] = { 0x02, 0x0c, 6 },
	[TCO_PORTS] = { 0, 0, 6 },
};

struct model {
	enum tco_kind kind;
	bool strapped;		/* the bit that forbids the reset cannot be cleared */
	bool stuck;		/* no port takes an order */
	uint16_t count, timer, status_1, status_2, control_1;
	uint32_t forbid;
	bool was_reset;
	bool set_while_running;	/* a new time while it counted */
};

static bool is_forbidden(const struct model *m)
{
	return m->kind == TCO_PORTS ? m->control_1 & NO_REBOOT_CONTROL
				    : m->forbid & kinds[m->kind].forbids;
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
	if (m->strapped && m->kind == TCO_PORTS)
		value |= NO_REBOOT_CONTROL;
	m->control_1 = (uint16_t)((value & ~NMI) | (m->control_1 & LOCK) | ((m->control_1 ^ value) & NMI));
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

static uint32_t forbid_read(void *ctx)
{
	const struct model *m = ctx;

	assert_int_not_equal(m->kind, TCO_PORTS);
	return m->forbid;
}

static void forbid_write(void *ctx, uint32_t value)
{
	struct model *m = ctx;

	assert_int_not_equal(m->kind, TCO_PORTS);
	m->forbid = m->strapped ? value | kinds[m->kind].forbids : value;
}

static struct tco_ops ops_of(struct model *m)
{
	return (struct tco_ops){ m, m->kind, register_read, register_write, forbid_read, forbid_write };
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

/* As firmware may leave it: running, its first timeout over, no reset allowed, an NMI just
 * raised. */
static struct model model_new(enum tco_kind kind)
{
	return (struct model){
		.kind = kind,
		.count = 9,
		.timer = OTHER_TIMER | 9,
		.status_1 = TIMEOUT,
		.control_1 = (uint16_t)(LOCK | NMI | (kind == TCO_PORTS ? NO_REBOOT_CONTROL : 0)),
		.forbid = kinds[kind].others | kinds[kind].forbids,
	};
}

/* As often as a tick fits into half of the time, and at least 4 times: fewer it ignores. */
static unsigned ticks_of(enum tco_kind kind, unsigned seconds)
{
	unsigned ticks = 4;

	while (ticks < 1023 && 2 * ticks * kinds[kind].tick < 10 * seconds)
		ticks++;
	return ticks;
}

static void resets_after(enum tco_kind kind, unsigned seconds)
{
	struct model m = model_new(kind);
	struct tco_ops ops = ops_of(&m);
	unsigned ticks = 2 * ticks_of(kind, seconds);

	assert_int_equal(tco_arm(&ops, seconds), SB_OK);
	assert_false(m.set_while_running);
	model_pass(&m, ticks - 1);
	assert_true(m.status_1 & TIMEOUT && !m.was_reset);
	model_pass(&m, 1);
	assert_true(m.was_reset);
	assert_true(tco_fired(&ops));
	assert_false(tco_fired(&ops));
	assert_int_equal(m.status_2, 0);
}

static void it_resets_after_the_time_asked_for_or_as_near_as_it_can(void **state)
{
	static const unsigned seconds[] = { 0, 1, 4, 5, 8, 9, 60, 61, 120, 1227, 1228, 2046, 2047, 65535 };

	(void)state;
	assert_int_equal(ticks_of(TCO_ICH, 60), 50);
	assert_int_equal(ticks_of(TCO_ATOM, 60), 30);
	for (enum tco_kind kind = 0; kind < TCO_KIND_COUNT; kind++)
		for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++)
			resets_after(kind, seconds[i]);
}

static void what_is_not_its_own_stays(void **state)
{
	(void)state;
	for (enum tco_kind kind = 0; kind < TCO_KIND_COUNT; kind++) {
		struct model m = model_new(kind);
		struct tco_ops ops = ops_of(&m);

		assert_int_equal(tco_arm(&ops, 60), SB_OK);
		assert_int_equal(m.forbid, kinds[kind].others);
		assert_int_equal(m.control_1, LOCK | NMI);
		assert_int_equal(m.timer, OTHER_TIMER | ticks_of(kind, 60));
		tco_disarm(&ops);
		assert_int_equal(m.forbid, kinds[kind].others | kinds[kind].forbids);
		assert_int_equal(m.control_1,
				 LOCK | NMI | HALT | (kind == TCO_PORTS ? NO_REBOOT_CONTROL : 0));
	}
}

static void disarmed_it_never_resets(void **state)
{
	(void)state;
	for (enum tco_kind kind = 0; kind < TCO_KIND_COUNT; kind++) {
		struct model m = model_new(kind);
		struct tco_ops ops = ops_of(&m);

		assert_int_equal(tco_arm(&ops, 8), SB_OK);
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
	for (unsigned i = 0; i < 2 * TCO_KIND_COUNT; i++) {
		struct model m = model_new((enum tco_kind)(i / 2));
		struct tco_ops ops = ops_of(&m);

		m.strapped = i & 1;
		m.stuck = !m.strapped;
		assert_int_equal(tco_arm(&ops, 60), SB_IO);
		model_pass(&m, m.strapped ? 100000 : 0);
		assert_false(m.was_reset);
	}
}

static void what_nobody_answers_at_is_no_tco(void **state)
{
	(void)state;
	for (enum tco_kind kind = 0; kind < TCO_KIND_COUNT; kind++) {
		struct model m = model_new(kind);
		struct tco_ops ops = ops_of(&m);

		assert_true(tco_is_there(&ops));
		m.forbid = UINT32_MAX;
		assert_int_equal(tco_is_there(&ops), kind == TCO_PORTS);
		m.forbid = 0;
		m.control_1 = UINT16_MAX;
		assert_false(tco_is_there(&ops));
	}
}

/* A first timeout alone, or somebody's reset button. */
static void another_reset_is_not_its_own(void **state)
{
	struct model m = model_new(TCO_ICH);
	struct tco_ops ops = ops_of(&m);

	(void)state;
	assert_false(tco_fired(&ops));
	assert_int_equal(m.status_1, 0);
	assert_int_equal(m.control_1, LOCK | NMI);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_resets_after_the_time_asked_for_or_as_near_as_it_can),
		cmocka_unit_test(what_is_not_its_own_stays),
		cmocka_unit_test(disarmed_it_never_resets),
		cmocka_unit_test(a_strap_or_a_lock_in_the_way_is_told),
		cmocka_unit_test(what_nobody_answers_at_is_no_tco),
		cmocka_unit_test(another_reset_is_not_its_own),
	};

	return cmocka_run_group_tests_name("tco", tests, NULL, NULL);
}
