/* SPDX-License-Identifier: MIT */
/* What the agent's verbs make of the record. */
#include "testpolicy.h"

static void an_install_goes_through_writing_to_trial(void **state)
{
	static const struct {
		enum policy_event end;
		enum slot_status status;
		uint8_t preferred;
	} rows[] = {
		{ ON_INSTALL_NONE, SLOT_TRIAL, 0 },
		{ ON_INSTALL_REBOOT, SLOT_TRIAL, 1 },
		{ ON_INSTALL_KEXEC, SLOT_KEXEC_TRIAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct record r = two_slots(SLOT_GOOD, SLOT_BAD);

		assert_false(policy_apply(&r, rows[i].end, 1, 3));
		assert_true(policy_apply(&r, ON_INSTALL_BEGIN, 1, 3));
		assert_int_equal(r.slots[1].status, SLOT_WRITING);
		assert_true(policy_apply(&r, rows[i].end, 1, 3));
		assert_int_equal(r.slots[1].status, rows[i].status);
		assert_int_equal(r.preferred, rows[i].preferred);
		assert_int_equal(r.slots[1].tries_left, rows[i].status == SLOT_TRIAL ? 3 : 0);
	}
}

static void good_after_a_kexec_is_a_fresh_trial_first(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_KEXEC_TRIAL);

	(void)state;
	assert_true(policy_apply(&r, ON_GOOD_KEXEC, 1, 3));
	assert_int_equal(r.slots[1].status, SLOT_TRIAL);
	assert_int_equal(r.slots[1].tries_left, 3);
	assert_int_equal(r.preferred, 1);
	assert_true(policy_slot_confirmed(&r.slots[1], true));
	assert_false(policy_slot_confirmed(&r.slots[1], false));
	r.slots[1].tries_left = 1;	/* a firmware boot, and a kexec again */
	assert_true(policy_apply(&r, ON_GOOD_KEXEC, 1, 3));
	assert_int_equal(r.slots[1].tries_left, 1);
	assert_true(policy_apply(&r, ON_GOOD_FIRMWARE, 1, 3));
	assert_int_equal(r.slots[1].status, SLOT_GOOD);
	assert_int_equal(r.slots[1].flags & SLOT_FLAG_KEXEC_GOOD, 0);
}

static void a_kexec_that_is_never_confirmed_is_remembered_until_one_is(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_KEXEC_TRIAL);
	struct boot_policy policy;

	(void)state;
	policy_boot_begin(&policy, &r, false, false);
	assert_int_equal(policy.record.kexec_failures, 0);	/* it was never begun */
	record_note(&r, 1, ATTEMPT_KEXEC, REASON_NONE);
	r.sequence++;
	policy_boot_begin(&policy, &r, false, false);
	assert_int_equal(policy.record.kexec_failures, 1);
	r = policy.record;
	assert_true(policy_apply(&r, ON_INSTALL_BEGIN, 1, 3));
	assert_true(policy_apply(&r, ON_INSTALL_KEXEC, 1, 3));
	assert_int_equal(r.kexec_failures, 1);
	r.kexec_failures = 255;
	record_note(&r, 1, ATTEMPT_KEXEC, REASON_NONE);
	r.sequence++;
	policy_boot_begin(&policy, &r, false, true);
	assert_int_equal(policy.record.kexec_failures, 255);
	assert_true(policy_apply(&r, ON_GOOD_KEXEC, 1, 3));
	assert_int_equal(r.kexec_failures, 0);
}

static void the_proof_by_kexec_outlives_the_one_by_firmware(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_KEXEC_TRIAL);

	(void)state;
	assert_true(policy_apply(&r, ON_GOOD_KEXEC, 1, 3));
	assert_int_equal(r.slots[1].flags, SLOT_FLAG_KEXEC_GOOD | SLOT_FLAG_KEXEC_PROVEN);
	assert_true(policy_apply(&r, ON_GOOD_FIRMWARE, 1, 3));
	assert_int_equal(r.slots[1].flags, SLOT_FLAG_KEXEC_PROVEN);
	assert_true(policy_apply(&r, ON_INSTALL_BEGIN, 1, 3));
	assert_int_equal(r.slots[1].flags, 0);
}

static void an_unconfirmed_slot_is_not_confirmed(void **state)
{
	struct record r = two_slots(SLOT_TRIAL, SLOT_KEXEC_TRIAL);

	(void)state;
	assert_false(policy_slot_confirmed(&r.slots[0], true));
	assert_false(policy_slot_confirmed(&r.slots[1], true));
}

static void mark_good_of_a_good_slot_leaves_what_was_chosen_since(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_TRIAL);

	(void)state;
	r.preferred = 1;
	assert_true(policy_apply(&r, ON_GOOD_FIRMWARE, 0, 3));
	assert_int_equal(r.preferred, 1);
	assert_true(policy_apply(&r, ON_GOOD_KEXEC, 0, 3));
	assert_int_equal(r.preferred, 1);
	r.slots[1].tries_left = 0;
	assert_true(policy_apply(&r, ON_GOOD_FIRMWARE, 0, 3));
	assert_int_equal(r.preferred, 0);
}

static void a_jump_that_failed_leaves_a_trial_with_the_tries_asked_for(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_WRITING);

	(void)state;
	assert_true(policy_apply(&r, ON_INSTALL_KEXEC, 1, 7));
	assert_true(policy_apply(&r, ON_KEXEC_FAILED, 1, 3));
	assert_int_equal(r.slots[1].status, SLOT_TRIAL);
	assert_int_equal(r.slots[1].tries_left, 7);
	assert_int_equal(r.preferred, 0);
	assert_false(policy_apply(&r, ON_KEXEC_FAILED, 1, 3));
}

static void rollback_leaves_an_unconfirmed_slot_bad_and_a_good_one_good(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_TRIAL);

	(void)state;
	r.preferred = 1;
	assert_true(policy_apply(&r, ON_ROLLBACK_FROM, 1, 3));
	assert_int_equal(r.slots[1].status, SLOT_BAD);
	assert_int_equal(r.slots[1].reason, REASON_ROLLED_BACK);
	assert_int_equal(r.preferred, 0);
	r = two_slots(SLOT_GOOD, SLOT_GOOD);
	r.preferred = 1;
	assert_true(policy_apply(&r, ON_ROLLBACK_FROM, 1, 3));
	assert_int_equal(r.slots[1].status, SLOT_GOOD);
	assert_int_equal(r.preferred, 0);
}

static void a_failed_health_check_goes_to_the_other_slot_or_is_refused(void **state)
{
	static const struct {
		enum slot_status status, other;
		bool allowed;
	} cases[] = {
		{ SLOT_TRIAL, SLOT_GOOD, true },	{ SLOT_KEXEC_TRIAL, SLOT_GOOD, true },
		{ SLOT_TRIAL, SLOT_TRIAL, true },	{ SLOT_TRIAL, SLOT_BAD, false },
		{ SLOT_TRIAL, SLOT_EMPTY, false },	{ SLOT_TRIAL, SLOT_WRITING, false },
		{ SLOT_GOOD, SLOT_GOOD, false },	{ SLOT_BAD, SLOT_GOOD, false },
		{ SLOT_EMPTY, SLOT_GOOD, false },	{ SLOT_WRITING, SLOT_GOOD, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct record r = two_slots(cases[i].other, cases[i].status), before;

		r.preferred = 1;
		before = r;
		assert_int_equal(policy_apply(&r, ON_HEALTH_FAILED, 1, 3), cases[i].allowed);
		if (!cases[i].allowed) {
			assert_memory_equal(&r, &before, sizeof r);
			continue;
		}
		assert_int_equal(r.slots[1].status, SLOT_BAD);
		assert_int_equal(r.slots[1].reason, REASON_HEALTH);
		assert_int_equal(r.slots[0].status, cases[i].other);
		assert_int_equal(r.preferred, 0);
		assert_int_equal(r.attempts[RECORD_ATTEMPTS - 1].event, ATTEMPT_FAILED);
		assert_int_equal(r.attempts[RECORD_ATTEMPTS - 1].reason, REASON_HEALTH);
	}
}

static void marking_the_only_slot_bad_keeps_the_preference(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_EMPTY);

	(void)state;
	assert_true(policy_apply(&r, ON_MARK_BAD, 0, 3));
	assert_int_equal(r.preferred, 0);
	assert_int_equal(r.slots[0].reason, REASON_OPERATOR);
}

static void what_has_no_image_cannot_be_marked(void **state)
{
	static const enum policy_event events[] = { ON_GOOD_FIRMWARE, ON_GOOD_KEXEC, ON_MARK_BAD,
						    ON_MARK_ACTIVE, ON_ROLLBACK_FROM,
						    ON_HEALTH_FAILED };

	(void)state;
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
		struct record r = two_slots(SLOT_EMPTY, SLOT_WRITING), before = r;

		assert_false(policy_apply(&r, events[i], 0, 3));
		assert_false(policy_apply(&r, events[i], 1, 3));
		assert_memory_equal(&r, &before, sizeof r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_install_goes_through_writing_to_trial),
		cmocka_unit_test(good_after_a_kexec_is_a_fresh_trial_first),
		cmocka_unit_test(a_kexec_that_is_never_confirmed_is_remembered_until_one_is),
		cmocka_unit_test(the_proof_by_kexec_outlives_the_one_by_firmware),
		cmocka_unit_test(an_unconfirmed_slot_is_not_confirmed),
		cmocka_unit_test(mark_good_of_a_good_slot_leaves_what_was_chosen_since),
		cmocka_unit_test(a_jump_that_failed_leaves_a_trial_with_the_tries_asked_for),
		cmocka_unit_test(rollback_leaves_an_unconfirmed_slot_bad_and_a_good_one_good),
		cmocka_unit_test(a_failed_health_check_goes_to_the_other_slot_or_is_refused),
		cmocka_unit_test(marking_the_only_slot_bad_keeps_the_preference),
		cmocka_unit_test(what_has_no_image_cannot_be_marked),
	};

	return cmocka_run_group_tests_name("policy verbs", tests, NULL, NULL);
}
