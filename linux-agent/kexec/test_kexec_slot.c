/* SPDX-License-Identifier: MIT */
/* What is known of a slot before it is taken: its record, and what lies on the ESP. */
#include "kexec_slot.h"

#include "testdir.h"

static void a_digest_or_a_signature_makes_a_slot_known(void **state)
{
	struct machine m = { .state.source = STATE_VARIABLE_COPY };
	struct testdir dir;

	(void)state;
	testdir_make(&dir);
	m.esp.dir = dir.path;
	assert_false(kexec_slot_is_known(&m, 1));
	m.state.record.slots[1].flags = SLOT_FLAG_DIGEST;
	assert_true(kexec_slot_is_known(&m, 1));
	assert_false(kexec_slot_is_known(&m, 0));
	m.state.source = STATE_LOST;		/* a digest that nobody stored */
	assert_false(kexec_slot_is_known(&m, 1));
	m.state.source = STATE_MIRROR_COPY;	/* or that anybody may have */
	assert_false(kexec_slot_is_known(&m, 1));
	testdir_text(&dir, "EFI/slotboot/b/manifest.p7s", "signature");
	assert_true(kexec_slot_is_known(&m, 1));
	testdir_remove(&dir);
}

static void a_bad_or_empty_slot_is_not_started_but_a_kexec_trial_is(void **state)
{
	static const struct {
		enum slot_status status;
		int want;
	} rows[] = {
		{ SLOT_EMPTY, -1 }, { SLOT_WRITING, -1 }, { SLOT_BAD, -1 },
		{ SLOT_GOOD, 0 }, { SLOT_KEXEC_TRIAL, 0 },
	};
	struct machine m = { .state.source = STATE_VARIABLE_COPY };
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		err = (struct err){ 0 };
		m.state.record.slots[0].status = rows[i].status;
		assert_int_equal(kexec_slot_check(&m, 0, &err), rows[i].want);
		assert_int_equal(err.exit, rows[i].want ? EX_CONFIG : 0);
	}
	m.state.record.slots[0].status = SLOT_EMPTY;
	m.state.source = STATE_LOST;		/* nothing is known against it */
	assert_int_equal(kexec_slot_check(&m, 0, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_digest_or_a_signature_makes_a_slot_known),
		cmocka_unit_test(a_bad_or_empty_slot_is_not_started_but_a_kexec_trial_is),
	};

	return cmocka_run_group_tests_name("kexecslot", tests, NULL, NULL);
}
