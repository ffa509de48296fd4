/* SPDX-License-Identifier: MIT */
/* What the policy makes of the watchdog: the reasons, and when it is armed. */
#include "testpolicy.h"

/* b on trial and started by the loader, nothing stored since. */
static struct record b_was_started(uint8_t tries_left)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_TRIAL);

	r.preferred = 1;
	r.slots[1].tries_left = tries_left;
	r.watchdog = WATCHDOG_ITCO;
	r.watchdog_flags = WATCHDOG_FLAG_TRIAL;
	r.watchdog_s = 60;
	record_note(&r, 1, ATTEMPT_STARTED, REASON_NONE);
	r.sequence++;
	return r;
}

static void a_hang_on_the_last_try_is_the_reason(void **state)
{
	(void)state;
	for (int fired = 0; fired < 2; fired++) {
		struct record r = b_was_started(0);
		struct boot_policy p;
		struct boot_step step;

		policy_boot_begin(&p, &r, false, fired);
		step = policy_boot_next(&p);
		assert_true(step.slot == 0 && step.save);
		assert_int_equal(p.record.slots[1].status, SLOT_BAD);
		assert_int_equal(p.record.slots[1].reason,
				 fired ? REASON_WATCHDOG : REASON_TRIES);
		assert_int_equal(p.record.preferred, 0);
	}
}

static void a_hang_with_a_try_left_is_noted_where_the_next_try_is(void **state)
{
	(void)state;
	for (int fired = 0; fired < 2; fired++) {
		struct record r = b_was_started(1);
		struct boot_policy p;
		struct boot_step step;
		const struct attempt *hung = &p.record.attempts[RECORD_ATTEMPTS - 2];

		policy_boot_begin(&p, &r, false, fired);
		step = policy_boot_next(&p);
		assert_true(step.slot == 1 && step.save_required);
		assert_int_equal(hung[1].event, ATTEMPT_STARTED);
		assert_int_equal(hung[0].event, fired ? ATTEMPT_FAILED : ATTEMPT_STARTED);
		assert_int_equal(hung[0].reason, fired ? REASON_WATCHDOG : REASON_NONE);
		assert_int_equal(hung[0].slot, 1);
	}
}

/* The agent ran and stored something: what hung afterwards may be another slot. */
static void a_reset_is_not_laid_to_a_slot_that_did_not_run_last(void **state)
{
	struct boot_policy p;
	struct record r = b_was_started(0);

	(void)state;
	r.sequence++;
	policy_boot_begin(&p, &r, false, true);
	(void)policy_boot_next(&p);
	assert_int_equal(p.record.slots[1].reason, REASON_TRIES);
	r = b_was_started(0);
	r.preferred = 0;
	r.slots[0] = r.slots[1];
	policy_boot_begin(&p, &r, false, true);
	(void)policy_boot_next(&p);
	assert_int_equal(p.record.slots[0].reason, REASON_TRIES);
	assert_int_equal(p.record.slots[1].reason, REASON_WATCHDOG);
}

static void a_hang_after_a_kexec_is_the_reason(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_KEXEC_TRIAL);
	struct boot_policy p;
	struct boot_step step;

	(void)state;
	policy_boot_begin(&p, &r, false, true);
	step = policy_boot_next(&p);
	assert_true(step.slot == 0 && step.save && !step.save_required);
	assert_int_equal(p.record.slots[1].reason, REASON_WATCHDOG);
}

static void a_hang_of_a_good_slot_changes_nothing(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_GOOD);
	struct boot_policy p;
	struct boot_step step;

	(void)state;
	policy_boot_begin(&p, &r, false, true);
	step = policy_boot_next(&p);
	assert_true(step.slot == 0 && !step.save);
	assert_memory_equal(&p.record, &r, sizeof r);
}

static void the_watchdog_is_armed_for_what_the_flags_say(void **state)
{
	static const struct {
		enum slot_status a;
		enum record_watchdog kind;
		uint8_t flags;
		uint16_t seconds, want;
	} rows[] = {
		{ SLOT_TRIAL, WATCHDOG_ITCO, WATCHDOG_FLAG_TRIAL, 60, 60 },
		{ SLOT_TRIAL, WATCHDOG_ITCO, WATCHDOG_FLAG_GOOD, 60, 0 },
		{ SLOT_TRIAL, WATCHDOG_NONE, WATCHDOG_FLAG_TRIAL, 60, 0 },
		{ SLOT_TRIAL, WATCHDOG_WDAT, WATCHDOG_FLAG_TRIAL, 0, 0 },
		{ SLOT_GOOD, WATCHDOG_ITCO, WATCHDOG_FLAG_TRIAL, 60, 0 },
		{ SLOT_GOOD, WATCHDOG_I6300ESB, WATCHDOG_FLAG_GOOD, 65535, 65535 },
		{ SLOT_BAD, WATCHDOG_ITCO, 0xff, 60, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct record r = two_slots(rows[i].a, SLOT_EMPTY);
		struct boot_policy p;
		struct boot_step step;

		r.watchdog = rows[i].kind;
		r.watchdog_flags = rows[i].flags;
		r.watchdog_s = rows[i].seconds;
		policy_boot_begin(&p, &r, false, false);
		step = policy_boot_next(&p);
		assert_int_equal(step.watchdog_s, rows[i].want);
		/* Its try cannot be stored: a last resort, if at all. */
		policy_boot_saved(&p, &step, false);
		step = policy_boot_next(&p);
		assert_int_equal(step.watchdog_s, 0);
	}
}

static void the_cause_of_a_reset_matters_to_what_is_not_confirmed(void **state)
{
	static const struct {
		enum slot_status a, b;
		enum record_watchdog kind;
		uint8_t flags;
		bool want;
	} rows[] = {
		{ SLOT_GOOD, SLOT_BAD, WATCHDOG_ITCO, WATCHDOG_FLAG_TRIAL, false },
		{ SLOT_GOOD, SLOT_BAD, WATCHDOG_ITCO, WATCHDOG_FLAG_GOOD, true },
		{ SLOT_GOOD, SLOT_TRIAL, WATCHDOG_ITCO, 0, true },
		{ SLOT_KEXEC_TRIAL, SLOT_GOOD, WATCHDOG_WDAT, 0, true },
		{ SLOT_KEXEC_TRIAL, SLOT_TRIAL, WATCHDOG_NONE, 0xff, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct record r = two_slots(rows[i].a, rows[i].b);

		r.watchdog = rows[i].kind;
		r.watchdog_flags = rows[i].flags;
		r.watchdog_s = 60;
		assert_int_equal(policy_reset_matters(&r), rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hang_on_the_last_try_is_the_reason),
		cmocka_unit_test(a_hang_with_a_try_left_is_noted_where_the_next_try_is),
		cmocka_unit_test(a_reset_is_not_laid_to_a_slot_that_did_not_run_last),
		cmocka_unit_test(a_hang_after_a_kexec_is_the_reason),
		cmocka_unit_test(a_hang_of_a_good_slot_changes_nothing),
		cmocka_unit_test(the_watchdog_is_armed_for_what_the_flags_say),
		cmocka_unit_test(the_cause_of_a_reset_matters_to_what_is_not_confirmed),
	};

	return cmocka_run_group_tests_name("policy and watchdog", tests, NULL, NULL);
}
