/* SPDX-License-Identifier: MIT */
#include "explain.h"

#include "unittest.h"

static struct running b_runs = { .slot = 1 };

static void each_way_to_a_slot_has_its_sentence(void **state)
{
	static const struct {
		struct trace trace;
		enum slot_status b;
		const char *want;
	} rows[] = {
		{ { .source = STATE_VARIABLE_COPY, .step_count = 1,
		    .steps = { { .slot = 1, .what = TRACE_STARTED } } }, SLOT_GOOD,
		  "Slot b was started: it was the preferred slot." },
		{ { .source = STATE_VARIABLE_COPY, .step_count = 1,
		    .steps = { { .slot = 1, .what = TRACE_STARTED } } }, SLOT_TRIAL,
		  "Slot b was started: it was the preferred slot, on trial (2 of 3 tries left)." },
		{ { .source = STATE_VARIABLE_COPY, .step_count = 2,
		    .steps = { { .slot = 0, .what = TRACE_FAILED, .reason = REASON_DIGEST,
				 .efi_status = 0 },
			       { .slot = 1, .what = TRACE_STARTED } } }, SLOT_GOOD,
		  "Slot a failed in this boot: its UKI is not the one that was installed. Slot b "
		  "was started." },
		{ { .source = STATE_VARIABLE_COPY, .step_count = 2,
		    .steps = { { .slot = 0, .what = TRACE_FAILED, .reason = REASON_LOAD,
				 .efi_status = 0x8000000000000001 },
			       { .slot = 1, .what = TRACE_STARTED } } }, SLOT_GOOD,
		  "Slot a failed in this boot: the firmware could not load its UKI (EFI status "
		  "0x8000000000000001). Slot b was started." },
		{ { .source = STATE_VARIABLE_COPY, .step_count = 2,
		    .steps = { { .slot = 0, .what = TRACE_SKIPPED, .reason = REASON_TRIES },
			       { .slot = 1, .what = TRACE_STARTED, .last_resort = true } } },
		  SLOT_BAD,
		  "Slot a was passed over: all its tries were spent without mark-good. Slot b was "
		  "started as the last resort." },
		{ { .source = STATE_LOST, .var_error = SB_NOT_FOUND, .mirror_error = SB_CHECKSUM,
		    .step_count = 1, .steps = { { .slot = 1, .what = TRACE_STARTED } } },
		  SLOT_EMPTY,
		  "The slot record was lost (variable: missing; mirror: wrong checksum), so the "
		  "loader tried a, then b. Slot b was started." },
		{ { .source = STATE_VARIABLE_COPY, .step_count = 1,
		    .steps = { { .slot = 1, .what = TRACE_STARTED, .last_resort = true } } },
		  SLOT_BAD,
		  "No slot was fit to boot. Slot b was started as the last resort." },
		{ { .source = STATE_VARIABLE_COPY, .step_count = 1,
		    .steps = { { .slot = 0, .what = TRACE_FAILED, .reason = REASON_DIGEST } } },
		  SLOT_BAD,
		  "Slot a failed in this boot: its UKI is not the one that was installed. The "
		  "loader gave up and returned to the firmware, which went on with BootOrder; slot "
		  "b runs." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct state s = { 0 };
		char out[512];

		record_init(&s.record);
		s.record.slots[1] = (struct slot){ .status = rows[i].b, .tries_left = 2,
						   .tries_granted = 3 };
		explain_why(&s, &rows[i].trace, &b_runs, out, sizeof out);
		assert_string_equal(out, rows[i].want);
	}
}

static void without_a_trace_the_loader_was_not_there(void **state)
{
	struct running kexec = { .slot = 0, .kexec = true };
	struct state s = { 0 };
	char out[512];

	(void)state;
	explain_why(&s, NULL, &b_runs, out, sizeof out);
	assert_non_null(strstr(out, "without the loader"));
	explain_why(&s, NULL, &kexec, out, sizeof out);
	assert_non_null(strstr(out, "jumped to by kexec"));
}

static void a_small_buffer_is_cut_and_terminated(void **state)
{
	struct state s = { 0 };

	(void)state;
	for (size_t cap = 1; cap < 40; cap++) {
		char *out = malloc(cap);

		assert_non_null(out);
		explain_why(&s, NULL, &b_runs, out, cap);
		assert_int_equal(strlen(out), cap - 1);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_way_to_a_slot_has_its_sentence),
		cmocka_unit_test(without_a_trace_the_loader_was_not_there),
		cmocka_unit_test(a_small_buffer_is_cut_and_terminated),
	};

	return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
