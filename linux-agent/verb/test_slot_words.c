/* SPDX-License-Identifier: MIT */
#include "slot_words.h"

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
		  "0x8000000000000001, load error). Slot b was started." },
		{ { .source = STATE_VARIABLE_COPY, .step_count = 2,
		    .steps = { { .slot = 0, .what = TRACE_SKIPPED, .reason = REASON_TRIES },
			       { .slot = 1, .what = TRACE_STARTED, .last_resort = true } } },
		  SLOT_BAD,
		  "Slot a was passed over: all its tries were spent without mark-good. Slot b was "
		  "started as the last resort." },
		{ { .source = STATE_LOST, .var_error = SB_NOT_FOUND, .mirror_error = SB_NOT_FOUND,
		    .step_count = 1, .steps = { { .slot = 1, .what = TRACE_STARTED } } },
		  SLOT_EMPTY,
		  "There was no slot record yet. Slot b was started." },
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
		slot_words_why(&s, &rows[i].trace, &b_runs, out, sizeof out);
		assert_string_equal(out, rows[i].want);
	}
}

static void the_efi_statuses_of_a_refused_image_have_words(void **state)
{
	static const struct {
		uint64_t status;
		const char *want;
	} rows[] = {
		{ 0x8000000000000001, "0x8000000000000001, load error)" },
		{ 0x8000000000000003, "0x8000000000000003, unsupported)" },
		{ 0x8000000000000009, "0x8000000000000009, out of resources)" },
		{ 0x800000000000000e, "0x800000000000000e, not found)" },
		{ 0x800000000000000f, "0x800000000000000f, access denied)" },
		{ 0x800000000000001a, "0x800000000000001a, security violation)" },
		{ 0x8000000000000002, "0x8000000000000002)" },
		{ UINT64_MAX, "0xffffffffffffffff)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct slot slot = { .status = SLOT_BAD, .reason = REASON_LOAD,
				     .efi_status = rows[i].status };
		char out[256];

		slot_words_of(&slot, out, sizeof out);
		assert_non_null(strstr(out, rows[i].want));
	}
}

static void a_reset_by_the_watchdog_is_said_once(void **state)
{
	static const struct {
		struct trace trace;
		const char *want;
	} rows[] = {
		{ { .source = STATE_VARIABLE_COPY, .reset = TRACE_RESET_WATCHDOG, .step_count = 1,
		    .steps = { { .slot = 1, .what = TRACE_STARTED } } },
		  "The hardware watchdog had reset the machine. Slot b was started: it was the "
		  "preferred slot." },
		{ { .source = STATE_VARIABLE_COPY, .reset = TRACE_RESET_WATCHDOG, .step_count = 2,
		    .steps = { { .slot = 0, .what = TRACE_SKIPPED, .reason = REASON_WATCHDOG },
			       { .slot = 1, .what = TRACE_STARTED } } },
		  "Slot a was passed over: the hardware watchdog reset the machine before "
		  "mark-good. Slot b was started." },
		{ { .source = STATE_VARIABLE_COPY, .reset = TRACE_RESET_OTHER, .step_count = 1,
		    .steps = { { .slot = 1, .what = TRACE_STARTED } } },
		  "Slot b was started: it was the preferred slot." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct state s = { 0 };
		char out[512];

		record_init(&s.record);
		s.record.slots[1].status = SLOT_GOOD;
		slot_words_why(&s, &rows[i].trace, &b_runs, out, sizeof out);
		assert_string_equal(out, rows[i].want);
	}
}

static void the_watchdog_has_a_line(void **state)
{
	static const struct trace armed = { .watchdog = TRACE_WATCHDOG_ARMED,
					    .reset = TRACE_RESET_WATCHDOG };
	static const struct trace lost = { .watchdog = TRACE_WATCHDOG_NOT_FOUND,
					   .reset = TRACE_RESET_OTHER };
	static const struct trace failed = { .watchdog = TRACE_WATCHDOG_FAILED };
	static const struct trace off = { .watchdog = TRACE_WATCHDOG_OFF };
	static const struct {
		enum record_watchdog kind;
		uint8_t flags;
		const struct trace *trace;
		const char *identity, *want;
	} rows[] = {
		{ WATCHDOG_NONE, 0, &off, "", "none" },
		{ WATCHDOG_NONE, 0, NULL, "Software Watchdog",
		  "none that the loader can arm (Linux drives Software Watchdog)" },
		{ WATCHDOG_ITCO, 0, NULL, "iTCO_wdt", "itco, 120 s, never armed" },
		{ WATCHDOG_ITCO, 1, &off, "iTCO_wdt",
		  "itco, 120 s, for trials; not armed in this boot" },
		{ WATCHDOG_ITCO, 3, &armed, "iTCO_wdt",
		  "itco, 120 s, for all boots; armed in this boot; it caused the last reset" },
		{ WATCHDOG_I6300ESB, 1, &lost, "i6300ESB timer",
		  "i6300esb, 120 s, for trials; the loader did not find it in this boot; the last "
		  "reset was another (power, button, reboot)" },
		{ WATCHDOG_WDAT, 1, &failed, "",
		  "wdat, 120 s, for trials; Linux drives none now; the loader could not start it in "
		  "this boot" },
		{ WATCHDOG_NONE, 0, &armed, "", "none; armed in this boot; it caused the last reset" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct record record = { .watchdog = rows[i].kind, .watchdog_flags = rows[i].flags,
					 .watchdog_s = 120 };
		char out[256];

		slot_words_watchdog(&record, rows[i].trace, rows[i].identity, out, sizeof out);
		assert_string_equal(out, rows[i].want);
	}
}

static void without_a_trace_the_loader_was_not_there(void **state)
{
	struct running kexec = { .slot = 0, .kexec = true };
	struct state s = { 0 };
	char out[512];

	(void)state;
	slot_words_why(&s, NULL, &b_runs, out, sizeof out);
	assert_non_null(strstr(out, "without the loader"));
	slot_words_why(&s, NULL, &kexec, out, sizeof out);
	assert_non_null(strstr(out, "jumped to by kexec"));
}

static void a_small_buffer_is_cut_and_terminated(void **state)
{
	struct state s = { 0 };

	(void)state;
	for (size_t cap = 1; cap < 40; cap++) {
		char *out = malloc(cap);

		assert_non_null(out);
		slot_words_why(&s, NULL, &b_runs, out, cap);
		assert_int_equal(strlen(out), cap - 1);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_way_to_a_slot_has_its_sentence),
		cmocka_unit_test(the_efi_statuses_of_a_refused_image_have_words),
		cmocka_unit_test(a_reset_by_the_watchdog_is_said_once),
		cmocka_unit_test(the_watchdog_has_a_line),
		cmocka_unit_test(without_a_trace_the_loader_was_not_there),
		cmocka_unit_test(a_small_buffer_is_cut_and_terminated),
	};

	return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
