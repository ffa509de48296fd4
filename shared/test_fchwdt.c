/* SPDX-License-Identifier: MIT */
/* A model of the FCH's registers and of its countdown. */
#include "fchwdt.h"

#include "unittest.h"

enum { RUN = 0x01, FIRED = 0x02, POWER_OFF = 0x04, DISABLED = 0x08, TRIGGER = 0x80 };
enum { DECODED = 0x80, HERE = 0x02, SECONDS = 0x03, OFF = 0x0c };
enum { OTHER_DECODE = 0x45, OTHER_OPTIONS = 0x50 };

/* Time passes in units of 10 ms; that of resolution 1. */
struct model {
	uint8_t decode, options, isa_control;
	uint8_t options_fixed;	/* bits of options that keep what they are */
	bool decode_fixed;	/* it answers all the same */
	bool nothing, fused_off, never_runs;
	uint32_t control;	/* without DISABLED, which options say */
	uint16_t count;
	uint64_t left;		/* in units of 10 ms, once triggered */
	bool triggered, was_reset, was_powered_off;
	bool set_while_running;	/* a new unit or time while it counted */
	unsigned writes;
};

static uint32_t control_of(const struct model *m)
{
	if (!(m->decode & DECODED) && !m->decode_fixed)
		return UINT32_MAX;
	return m->control | (m->options & OFF || m->fused_off ? DISABLED : 0);
}

static uint32_t register_read(void *ctx, uint32_t address, unsigned width)
{
	const struct model *m = ctx;

	if (m->nothing)
		return UINT32_MAX >> (32 - width);
	if (width == 8 && address == FCHWDT_PM)
		return m->decode;
	if (width == 8 && address == FCHWDT_PM + 3)
		return m->options;
	if (width == 8 && address == FCHWDT_PM + 4)
		return m->isa_control;
	if (width == 32 && address == FCHWDT_PM)
		return (uint32_t)m->options << 24 | m->decode;
	if (width == 32 && address == FCHWDT_TIMER)
		return control_of(m);
	fail_msg("read of %#x, %u bits", address, width);
	return 0;
}

static void control_write(struct model *m, uint32_t value)
{
	bool ran = m->control & RUN;

	if (!(m->decode & DECODED) || m->options & OFF)
		return;
	m->control = (m->control & FIRED & ~value) | (value & (m->never_runs ? POWER_OFF : RUN | POWER_OFF));
	if (!(m->control & RUN))
		m->triggered = false;
	else if (ran && value & TRIGGER) {
		m->triggered = true;
		m->left = m->count * (uint64_t)((m->options & SECONDS) == SECONDS ? 100 : 1);
	}
}

static void register_write(void *ctx, uint32_t address, unsigned width, uint32_t value)
{
	struct model *m = ctx;

	m->writes++;
	if (width == 8 && address == FCHWDT_PM)
		m->decode = m->decode_fixed ? m->decode : (uint8_t)value;
	else if (width == 8 && address == FCHWDT_PM + 3)
		m->options = (uint8_t)((m->options & m->options_fixed) | (value & ~(uint32_t)m->options_fixed));
	else if (width == 32 && address == FCHWDT_TIMER)
		control_write(m, value);
	else if (width == 32 && address == FCHWDT_TIMER + 4)
		m->count = (uint16_t)value;
	else
		fail_msg("write to %#x, %u bits", address, width);
	if (address == FCHWDT_PM + 3 || address == FCHWDT_TIMER + 4)
		m->set_while_running |= m->control & RUN;
}

static struct fchwdt_ops ops_of(struct model *m)
{
	return (struct fchwdt_ops){ m, register_read, register_write };
}

static void model_pass(struct model *m, uint64_t time)
{
	if (!m->triggered || !(m->control & RUN))
		return;
	m->left = time < m->left ? m->left - time : 0;
	if (m->left > 0)
		return;
	m->was_reset = !(m->control & POWER_OFF);
	m->was_powered_off = !m->was_reset;
	m->control = (m->control | FIRED) & ~(uint32_t)RUN;
	m->triggered = false;
}

/* As firmware leaves it: not decoded, disabled, in another unit, set to power off. */
static struct model model_new(void)
{
	return (struct model){ .decode = OTHER_DECODE, .options = OTHER_OPTIONS | OFF | 1,
			       .isa_control = HERE, .control = POWER_OFF };
}

static void it_resets_after_the_time_asked_for(void **state)
{
	static const unsigned rows[] = { 1, 60, 120, 65535 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct model m = model_new();
		struct fchwdt_ops ops = ops_of(&m);

		assert_int_equal(fchwdt_open(&ops), SB_OK);
		assert_int_equal(fchwdt_arm(&ops, rows[i]), SB_OK);
		model_pass(&m, rows[i] * UINT64_C(100) - 1);
		assert_false(m.was_reset || m.was_powered_off);
		model_pass(&m, 1);
		assert_true(m.was_reset);
		assert_true(fchwdt_fired(&ops));
		assert_false(fchwdt_fired(&ops));
		assert_false(m.control & RUN);
	}
}

static void one_that_runs_is_stopped_before_it_is_set(void **state)
{
	struct model m = { .decode = DECODED, .options = 1, .isa_control = HERE, .control = RUN | FIRED,
			   .count = 5, .left = 5, .triggered = true };
	struct fchwdt_ops ops = ops_of(&m);

	(void)state;
	assert_int_equal(fchwdt_open(&ops), SB_OK);
	assert_int_equal(fchwdt_arm(&ops, 60), SB_OK);
	assert_false(m.set_while_running);
	assert_true(m.control & FIRED);		/* it was not asked for */
	assert_int_equal(m.left, 6000);
}

static void what_is_not_its_own_stays(void **state)
{
	struct model m = model_new();
	struct fchwdt_ops ops = ops_of(&m);

	(void)state;
	assert_int_equal(fchwdt_open(&ops), SB_OK);
	assert_int_equal(m.decode, OTHER_DECODE | DECODED);
	assert_int_equal(m.options, OTHER_OPTIONS | 1);
	assert_int_equal(m.control, POWER_OFF);
	assert_int_equal(fchwdt_arm(&ops, 60), SB_OK);
	assert_int_equal(m.options, OTHER_OPTIONS | SECONDS);
	m.writes = 0;
	assert_int_equal(fchwdt_open(&ops), SB_OK);
	assert_int_equal(m.writes, 0);		/* ... and what is right already */
}

static void disarmed_it_never_resets(void **state)
{
	struct model m = model_new();
	struct fchwdt_ops ops = ops_of(&m);

	(void)state;
	assert_int_equal(fchwdt_open(&ops), SB_OK);
	assert_int_equal(fchwdt_arm(&ops, 2), SB_OK);
	fchwdt_disarm(&ops);
	model_pass(&m, 100000);
	assert_false(m.was_reset || fchwdt_fired(&ops));
}

static void one_that_is_not_there_or_stays_disabled_is_not_found(void **state)
{
	struct model rows[5];

	(void)state;
	for (size_t i = 0; i < 5; i++)
		rows[i] = model_new();
	rows[0].nothing = true;
	rows[1].isa_control = 0;
	rows[2].decode_fixed = true;
	rows[3].options_fixed = OFF;
	rows[4].fused_off = true;
	for (size_t i = 0; i < 5; i++) {
		struct fchwdt_ops ops = ops_of(&rows[i]);

		assert_int_equal(fchwdt_open(&ops), SB_NOT_FOUND);
		assert_true(rows[i].writes <= (i < 2 ? 0 : 2));
	}
}

static void one_that_takes_no_order_is_told(void **state)
{
	(void)state;
	for (int unit = 0; unit < 2; unit++) {
		struct model m = model_new();
		struct fchwdt_ops ops = ops_of(&m);

		m.never_runs = !unit;
		m.options_fixed = unit ? SECONDS : 0;
		assert_int_equal(fchwdt_open(&ops), SB_OK);
		assert_int_equal(fchwdt_arm(&ops, 60), SB_IO);
		assert_false(m.control & RUN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_resets_after_the_time_asked_for),
		cmocka_unit_test(one_that_runs_is_stopped_before_it_is_set),
		cmocka_unit_test(what_is_not_its_own_stays),
		cmocka_unit_test(disarmed_it_never_resets),
		cmocka_unit_test(one_that_is_not_there_or_stays_disabled_is_not_found),
		cmocka_unit_test(one_that_takes_no_order_is_told),
	};

	return cmocka_run_group_tests_name("fchwdt", tests, NULL, NULL);
}
