/* SPDX-License-Identifier: MIT */
/* The whole boot: when the watchdog is armed, disarmed and asked. */
#include "testboot.h"

static void watchdog_put(struct machine *m, uint8_t flags)
{
	struct record r = stored(m);

	r.watchdog = WATCHDOG_ITCO;
	r.watchdog_flags = flags;
	r.watchdog_s = 60;
	record_encode(&r, m->var);
	m->armable = TRACE_WATCHDOG_ARMED;
}

static void a_trial_starts_with_the_watchdog_and_hands_over_without(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	watchdog_put(&m, WATCHDOG_FLAG_TRIAL);
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(m.armed, 60);
	assert_int_equal(m.trace.watchdog, TRACE_WATCHDOG_ARMED);
	m.fails[1] = REASON_RETURNED;
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.armed_at_start[1], 60);
	assert_int_equal(m.armed_at_start[0], 0);
	assert_int_equal(m.disarms, 1);
	assert_int_equal(m.trace.watchdog, TRACE_WATCHDOG_OFF);
}

static void back_at_the_firmware_the_watchdog_is_off(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	watchdog_put(&m, WATCHDOG_FLAG_TRIAL | WATCHDOG_FLAG_GOOD);
	m.fails[0] = m.fails[1] = REASON_RETURNED;
	assert_int_equal(boot(&m), '-');
	assert_int_equal(m.arms, 2);
	assert_int_equal(m.disarms, 2);
	assert_int_equal(m.armed, 0);
}

static void a_watchdog_that_is_not_there_stops_nothing(void **state)
{
	static const enum trace_watchdog answers[] = { TRACE_WATCHDOG_NOT_FOUND,
						       TRACE_WATCHDOG_FAILED };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct machine m;

		machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
		watchdog_put(&m, WATCHDOG_FLAG_TRIAL);
		m.armable = answers[i];
		assert_int_equal(boot(&m), 'b');
		assert_int_equal(m.trace.watchdog, answers[i]);
		/* It may be half armed. */
		m.fails[1] = REASON_RETURNED;
		assert_int_equal(boot(&m), 'a');
		assert_int_equal(m.disarms, 1);
	}
}

static void a_steady_boot_does_not_touch_the_watchdog(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_BAD, 0);
	watchdog_put(&m, WATCHDOG_FLAG_TRIAL);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.arms + m.disarms + m.asked, 0);
	assert_int_equal(m.trace.reset, TRACE_RESET_UNKNOWN);
}

static void a_trial_that_hangs_falls_back_with_the_reason(void **state)
{
	struct machine m;
	struct record r;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	watchdog_put(&m, WATCHDOG_FLAG_TRIAL);
	assert_int_equal(boot(&m), 'b');
	m.fired = TRACE_RESET_WATCHDOG;
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(m.asked, 1);
	assert_int_equal(m.var_writes, 1);
	assert_int_equal(m.trace.reset, TRACE_RESET_WATCHDOG);
	r = stored(&m);
	assert_int_equal(r.attempts[RECORD_ATTEMPTS - 2].event, ATTEMPT_FAILED);
	assert_int_equal(r.attempts[RECORD_ATTEMPTS - 2].reason, REASON_WATCHDOG);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(stored(&m).slots[1].reason, REASON_WATCHDOG);
	assert_int_equal(m.trace.steps[0].reason, REASON_WATCHDOG);
}

static void a_loader_without_a_watchdog_boots(void **state)
{
	struct machine m;
	struct boot_ops ops;
	struct trace trace;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	watchdog_put(&m, WATCHDOG_FLAG_TRIAL);
	m.fails[0] = m.fails[1] = REASON_LOAD;
	ops = (struct boot_ops){ .ctx = &m, .storage = storage_of(&m), .start = start,
				 .report = report };
	boot_run(&ops, &trace);
	assert_string_equal(m.started, "ba");
	assert_int_equal(trace.watchdog, TRACE_WATCHDOG_OFF);
	assert_int_equal(trace.reset, TRACE_RESET_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trial_starts_with_the_watchdog_and_hands_over_without),
		cmocka_unit_test(back_at_the_firmware_the_watchdog_is_off),
		cmocka_unit_test(a_watchdog_that_is_not_there_stops_nothing),
		cmocka_unit_test(a_steady_boot_does_not_touch_the_watchdog),
		cmocka_unit_test(a_trial_that_hangs_falls_back_with_the_reason),
		cmocka_unit_test(a_loader_without_a_watchdog_boots),
	};

	return cmocka_run_group_tests_name("boot watchdog", tests, NULL, NULL);
}
