/* SPDX-License-Identifier: MIT */
/* A slot that is wanted for one boot. */
#include "testpolicy.h"

/* The first step, whether it must be saved, and the record after it. */
static void a_slot_that_is_wanted_for_one_boot_goes_first_and_the_preference_stays(void **state)
{
	static const struct {
		enum slot_status b;
		uint8_t tries;
		unsigned starts;
		bool save;
		uint8_t left;
	} rows[] = {
		{ SLOT_GOOD,    0, 1, false, 0 },
		{ SLOT_TRIAL,   2, 1, true,  1 },
		{ SLOT_TRIAL,   0, 1, true,  0 },
		{ SLOT_BAD,     0, 1, true,  0 },
		{ SLOT_WRITING, 0, 0, false, 0 },
		{ SLOT_EMPTY,   0, 0, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct record r = two_slots(SLOT_GOOD, rows[i].b);
		struct boot_policy p;
		struct boot_step step;

		r.slots[1].tries_left = r.slots[1].tries_granted = rows[i].tries;
		policy_boot_begin(&p, &r, false, false);
		policy_boot_once(&p, 1);
		step = policy_boot_next(&p);
		assert_int_equal(step.slot, rows[i].starts);
		assert_int_equal(step.save_required, rows[i].save);
		assert_int_equal(step.check_digest, rows[i].save);
		assert_int_equal(p.record.preferred, 0);
		assert_int_equal(p.record.slots[1].tries_left, rows[i].left);
		if (rows[i].save)
			assert_int_equal(p.record.slots[1].status, SLOT_TRIAL);
	}
}

static void a_slot_wanted_once_that_does_not_start_hands_over_to_the_other(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_BAD);
	struct boot_policy p;
	struct boot_step step;

	(void)state;
	policy_boot_begin(&p, &r, false, false);
	policy_boot_once(&p, 1);
	step = policy_boot_next(&p);
	policy_boot_saved(&p, &step, false);	/* its try cannot be stored */
	step = policy_boot_next(&p);
	assert_int_equal(step.slot, 0);
	assert_false(step.last_resort);
	policy_boot_begin(&p, &r, false, false);
	policy_boot_once(&p, 1);
	step = policy_boot_next(&p);
	policy_boot_saved(&p, &step, true);
	policy_boot_failed(&p, &step, REASON_LOAD, 1);
	step = policy_boot_next(&p);
	assert_int_equal(step.slot, 0);
	assert_int_equal(p.record.slots[1].status, SLOT_BAD);
}

static void the_hang_of_a_kexec_trial_that_is_wanted_once_is_noted_once(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_KEXEC_TRIAL);
	struct boot_policy p;
	unsigned hangs = 0;

	(void)state;
	record_note(&r, 1, ATTEMPT_KEXEC, REASON_NONE);
	policy_boot_begin(&p, &r, false, true);
	policy_boot_once(&p, 1);
	assert_int_equal(policy_boot_next(&p).slot, 1);
	for (unsigned i = 0; i < RECORD_ATTEMPTS; i++)
		hangs += p.record.attempts[i].event == ATTEMPT_FAILED &&
			 p.record.attempts[i].reason == REASON_WATCHDOG;
	assert_int_equal(hangs, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_that_is_wanted_for_one_boot_goes_first_and_the_preference_stays),
		cmocka_unit_test(a_slot_wanted_once_that_does_not_start_hands_over_to_the_other),
		cmocka_unit_test(the_hang_of_a_kexec_trial_that_is_wanted_once_is_noted_once),
	};

	return cmocka_run_group_tests_name("policy once", tests, NULL, NULL);
}
