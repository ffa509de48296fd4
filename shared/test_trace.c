/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include "unittest.h"

static void a_trace_survives_encoding_and_refuses_nonsense(void **state)
{
	struct trace in = { .source = STATE_MIRROR_COPY, .var_error = SB_CHECKSUM,
			    .watchdog = TRACE_WATCHDOG_NOT_FOUND,
			    .reset = TRACE_RESET_OTHER, .sequence = 77 }, out;
	uint8_t bytes[TRACE_BYTES + 1] = { 0 }, again[TRACE_BYTES];

	(void)state;
	for (int i = 0; i < 10; i++)
		trace_add(&in, &(struct trace_step){ .slot = 1, .what = TRACE_FAILED,
						     .reason = REASON_LOAD, .efi_status = 5 });
	assert_int_equal(in.step_count, TRACE_STEPS);
	trace_encode(&in, bytes);
	assert_int_equal(trace_decode(bytes, TRACE_BYTES, &out), SB_OK);
	trace_encode(&out, again);
	assert_memory_equal(bytes, again, TRACE_BYTES);
	assert_int_equal(bytes[14], TRACE_WATCHDOG_NOT_FOUND);
	assert_int_equal(bytes[15], TRACE_RESET_OTHER);
	assert_int_equal(trace_decode(bytes, TRACE_BYTES - 1, &out), SB_SHORT);
	assert_int_equal(trace_decode(bytes, TRACE_BYTES + 1, &out), SB_LONG);
	for (unsigned at = 0; at < 28; at++) {
		uint8_t was = bytes[at];

		if (at >= 16 && at < 24)
			continue;	/* any value */
		bytes[at] = 0xff;
		assert_int_not_equal(trace_decode(bytes, TRACE_BYTES, &out), SB_OK);
		bytes[at] = was;
	}
}

static void a_trace_is_plain_only_if_its_slot_says_it_all(void **state)
{
	uint8_t bytes[TRACE_BYTES];
	struct trace trace;

	(void)state;
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		trace_plain(slot, &trace);
		trace.sequence = 7;
		assert_true(trace_is_plain(&trace));
		assert_int_equal(trace.steps[0].slot, slot);
	}
	trace_encode(&trace, bytes);
	/* Any other value of any field, and of any field of its step. */
	for (unsigned at = 9; at < 36; at++) {
		uint8_t was = bytes[at];

		if ((at >= 16 && at < 24) || at == 24)
			continue;	/* the sequence, the slot */
		bytes[at] = was == 1 ? 2 : 1;
		if (trace_decode(bytes, TRACE_BYTES, &trace) == SB_OK && trace_is_plain(&trace))
			fail_msg("byte %u is not looked at", at);
		bytes[at] = was;
	}
	assert_int_equal(trace_decode(bytes, TRACE_BYTES, &trace), SB_OK);
	trace_add(&trace, &(struct trace_step){ .slot = 0, .what = TRACE_STARTED });
	assert_false(trace_is_plain(&trace));
	trace.step_count = 0;
	assert_false(trace_is_plain(&trace));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trace_survives_encoding_and_refuses_nonsense),
		cmocka_unit_test(a_trace_is_plain_only_if_its_slot_says_it_all),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
