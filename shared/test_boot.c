/* SPDX-License-Identifier: MIT */
/* The whole boot: which slot is started, and what is written for it. */
#include "testboot.h"

static void a_steady_boot_writes_nothing(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_BAD, 0);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.var_reads, 1);
	assert_int_equal(m.var_writes + m.mirror_writes, 0);
	assert_true(trace_is_plain(&m.trace));
	assert_false(m.digest_asked);
}

/* "slotboot-b.efi" in LoaderEntryOneShot: b's try is stored before it starts, the trace says
 * why it ran, and the next boot is as ever. */
static void a_slot_that_is_wanted_once_is_started_once(void **state)
{
	uint8_t bytes[TRACE_BYTES];
	struct machine m;
	struct trace back;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_BAD, 0);
	m.once = 2;
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(stored(&m).slots[1].status, SLOT_TRIAL);
	assert_int_equal(stored(&m).slots[1].tries_left, 0);
	assert_int_equal(stored(&m).preferred, 0);
	assert_true(m.trace.once && m.digest_asked);
	assert_false(trace_is_plain(&m.trace));
	trace_encode(&m.trace, bytes);
	assert_int_equal(trace_decode(bytes, sizeof bytes, &back), SB_OK);
	assert_true(back.once);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.var_writes + m.mirror_writes, 0);
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
	m.once = 2;
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(m.var_writes + m.mirror_writes, 0);
}

/* Also then it writes nothing, as long as the digest is right. */
static void with_check_always_a_good_slot_is_looked_at_too(void **state)
{
	struct machine m;
	struct record r;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
	r = stored(&m);
	r.flags |= RECORD_FLAG_CHECK;
	record_encode(&r, m.var);
	assert_int_equal(boot(&m), 'a');
	assert_true(m.digest_asked);
	assert_int_equal(m.var_writes, 0);
	assert_int_equal(stored(&m).flags, RECORD_FLAG_CHECK);
}

static void an_unconfirmed_trial_falls_back_after_its_tries(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	assert_int_equal(boot(&m), 'b');
	assert_true(m.digest_asked);
	assert_int_equal(stored(&m).slots[1].tries_left, 1);
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(stored(&m).slots[1].tries_left, 0);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(stored(&m).slots[1].reason, REASON_TRIES);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.var_writes + m.mirror_writes, 0);
}

static void a_failure_costs_no_reboot_and_its_reason_is_kept(void **state)
{
	static const enum slot_reason reasons[] = { REASON_LOAD, REASON_DIGEST, REASON_RETURNED };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct machine m;
		struct record r;

		machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
		m.fails[1] = reasons[i];
		assert_int_equal(boot(&m), 'a');
		assert_string_equal(m.started, "ba");
		r = stored(&m);
		assert_int_equal(r.slots[1].status, SLOT_BAD);
		assert_int_equal(r.slots[1].reason, reasons[i]);
		assert_true(r.slots[1].efi_status == 0x8000000000000001);
		assert_int_equal(r.preferred, 0);
		assert_int_equal(m.trace.step_count, 2);
		assert_int_equal(m.trace.steps[0].what, TRACE_FAILED);
		assert_int_equal(m.trace.steps[1].what, TRACE_STARTED);
	}
}

static void a_try_that_cannot_be_stored_is_not_started(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	m.var_write_fails = m.mirror_write_fails = true;
	assert_int_equal(boot(&m), 'a');
	assert_string_equal(m.started, "a");
	assert_int_equal(m.trace.steps[0].reason, REASON_UNSAVED);
}

static void the_last_resort_checks_digests_and_then_the_firmware_goes_on(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_BAD, SLOT_BAD, 1);
	m.fails[0] = m.fails[1] = REASON_DIGEST;
	assert_int_equal(boot(&m), '-');
	assert_string_equal(m.started, "baba");	/* the second time unchecked */
	assert_false(m.digest_asked);
	assert_true(m.trace.steps[1].last_resort && !m.trace.steps[1].unchecked);
	assert_true(m.trace.steps[2].last_resort && m.trace.steps[2].unchecked);
	assert_int_equal(m.var_writes, 0);
}

static void an_image_that_came_back_is_left_by_a_reset_where_that_is_asked_for_or_needed(void **state)
{
	static const struct {
		uint8_t flags;
		enum slot_reason fails;
		bool needed, no_mirror, var_write_fails;
		unsigned resets;
	} cases[] = {
		{ 0, REASON_RETURNED, false, false, false, 0 },
		{ 0, REASON_RETURNED, true, false, false, 1 },
		{ 0, REASON_LOAD, true, false, false, 0 },
		{ 0, REASON_RETURNED, true, true, false, 0 },
		{ RECORD_FLAG_RESET, REASON_RETURNED, false, false, false, 1 },
		{ RECORD_FLAG_RESET, REASON_LOAD, false, false, false, 0 },
		{ RECORD_FLAG_RESET, REASON_DIGEST, false, false, false, 0 },
		{ RECORD_FLAG_RESET, REASON_RETURNED, false, true, false, 0 },
		{ RECORD_FLAG_RESET, REASON_RETURNED, false, false, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct machine m;
		struct record r;

		machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
		r = stored(&m);
		r.flags = cases[i].flags;
		record_encode(&r, m.var);
		m.fails[0] = cases[i].fails;
		m.needs_reset = cases[i].needed;
		m.no_mirror = cases[i].no_mirror;
		m.var_write_fails = cases[i].var_write_fails;
		/* Where it does not reset, or that fails, the other starts in the same boot. */
		assert_int_equal(boot(&m), 'b');
		assert_string_equal(m.started, "ab");
		assert_int_equal(m.resets, cases[i].resets);
		if (m.resets)
			assert_int_equal(stored(&m).slots[0].reason, REASON_RETURNED);
	}
}

/* Nothing of a last resort is stored: it would go on for ever. */
static void the_last_resort_resets_nothing(void **state)
{
	struct machine m;
	struct record r;

	(void)state;
	machine_with(&m, SLOT_BAD, SLOT_BAD, 0);
	r = stored(&m);
	r.flags = RECORD_FLAG_RESET;
	record_encode(&r, m.var);
	m.fails[0] = m.fails[1] = REASON_RETURNED;
	assert_int_equal(boot(&m), '-');
	assert_int_equal(m.resets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_steady_boot_writes_nothing),
		cmocka_unit_test(a_slot_that_is_wanted_once_is_started_once),
		cmocka_unit_test(with_check_always_a_good_slot_is_looked_at_too),
		cmocka_unit_test(an_unconfirmed_trial_falls_back_after_its_tries),
		cmocka_unit_test(a_failure_costs_no_reboot_and_its_reason_is_kept),
		cmocka_unit_test(a_try_that_cannot_be_stored_is_not_started),
		cmocka_unit_test(the_last_resort_checks_digests_and_then_the_firmware_goes_on),
		cmocka_unit_test(an_image_that_came_back_is_left_by_a_reset_where_that_is_asked_for_or_needed),
		cmocka_unit_test(the_last_resort_resets_nothing),
	};

	return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}
