/* SPDX-License-Identifier: MIT */
/* The loader's table: what a boot starts, and what it stores. The tables of docs/STATES.md. */
#include "testpolicy.h"

/* The slots a boot tries when every one of them fails, "ab", with a capital
 * letter for the last resort. */
static void walk_as(const struct record *record, bool unmirrored, bool saves,
		    const enum slot_reason reasons[2], char *out)
{
	struct boot_policy p;

	policy_boot_begin(&p, record, unmirrored, false);
	for (;;) {
		struct boot_step step = policy_boot_next(&p);

		if (step.save)
			policy_boot_saved(&p, &step, saves);
		if (step.firmware)
			break;
		if (step.save_required && !saves)
			continue;
		if (step.unchecked) {
			assert_false(step.check_digest);
			*out++ = '!';
		}
		*out++ = (char)((step.last_resort ? 'A' : 'a') + (int)step.slot);
		policy_boot_failed(&p, &step, step.unchecked ? REASON_LOAD : reasons[step.slot], 1);
	}
	*out = 0;
}

static void walk(const struct record *record, bool saves, char *out)
{
	static const enum slot_reason loads[2] = { REASON_LOAD, REASON_LOAD };

	walk_as(record, false, saves, loads, out);
}

static void slots_are_tried_in_the_order_of_the_design(void **state)
{
	static const struct {
		enum slot_status a, b;
		uint8_t preferred;
		bool saves;
		const char *want;
	} rows[] = {
		{ SLOT_GOOD, SLOT_GOOD, 0, true, "ab" },
		{ SLOT_GOOD, SLOT_GOOD, 1, true, "ba" },
		{ SLOT_GOOD, SLOT_TRIAL, 1, true, "ba" },
		{ SLOT_GOOD, SLOT_TRIAL, 1, false, "aB" },
		{ SLOT_TRIAL, SLOT_TRIAL, 0, false, "AB" },
		{ SLOT_BAD, SLOT_TRIAL, 0, false, "BA" },
		{ SLOT_GOOD, SLOT_EMPTY, 1, true, "a" },
		{ SLOT_GOOD, SLOT_WRITING, 1, true, "a" },
		{ SLOT_WRITING, SLOT_EMPTY, 0, true, "" },
		{ SLOT_BAD, SLOT_GOOD, 0, true, "bA" },
		{ SLOT_BAD, SLOT_BAD, 0, true, "AB" },
		{ SLOT_BAD, SLOT_BAD, 1, true, "BA" },
		{ SLOT_TRIAL, SLOT_TRIAL, 1, false, "BA" },
		{ SLOT_GOOD, SLOT_KEXEC_TRIAL, 0, true, "aB" },
		{ SLOT_GOOD, SLOT_KEXEC_TRIAL, 1, true, "aB" },
		{ SLOT_KEXEC_TRIAL, SLOT_WRITING, 0, true, "A" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct record r = two_slots(rows[i].a, rows[i].b);
		char got[8];

		r.preferred = rows[i].preferred;
		walk(&r, rows[i].saves, got);
		assert_string_equal(got, rows[i].want);
	}
}

/* What the digest alone has stopped is better than no system at all; what the firmware
 * has refused already, and what is half written, is not. */
static void before_the_firmware_goes_on_a_wrong_digest_is_no_reason(void **state)
{
	static const struct {
		enum slot_status a, b;
		uint8_t preferred;
		bool unmirrored;
		enum slot_reason reasons[2];
		const char *want;
	} rows[] = {
		{ SLOT_BAD, SLOT_BAD, 1, false, { REASON_DIGEST, REASON_DIGEST }, "BA!B!A" },
		{ SLOT_BAD, SLOT_BAD, 0, false, { REASON_LOAD, REASON_DIGEST }, "AB!B" },
		{ SLOT_BAD, SLOT_GOOD, 1, false, { REASON_DIGEST, REASON_LOAD }, "bA!A" },
		{ SLOT_TRIAL, SLOT_GOOD, 1, false, { REASON_DIGEST, REASON_LOAD }, "ba!A" },
		{ SLOT_WRITING, SLOT_GOOD, 1, false, { REASON_NONE, REASON_LOAD }, "b" },
		{ SLOT_EMPTY, SLOT_BAD, 1, false, { REASON_NONE, REASON_LOAD }, "B" },
		/* The disk may be newer than the record. */
		{ SLOT_WRITING, SLOT_GOOD, 1, true, { REASON_NONE, REASON_LOAD }, "b!A" },
		{ SLOT_EMPTY, SLOT_BAD, 1, true, { REASON_NONE, REASON_LOAD }, "B!A" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct record r = two_slots(rows[i].a, rows[i].b);
		char got[16];

		r.preferred = rows[i].preferred;
		walk_as(&r, rows[i].unmirrored, true, rows[i].reasons, got);
		assert_string_equal(got, rows[i].want);
	}
}

/* A disk that could not be read for a moment must not turn an update back. */
static void where_both_slots_fail_the_preference_is_what_it_was(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_GOOD);
	struct boot_policy p;

	(void)state;
	r.preferred = 1;
	policy_boot_begin(&p, &r, false, false);
	for (;;) {
		struct boot_step step = policy_boot_next(&p);

		if (step.save)
			policy_boot_saved(&p, &step, true);
		if (step.firmware)
			break;
		policy_boot_failed(&p, &step, REASON_LOAD, 1);
	}
	assert_int_equal(p.record.preferred, 1);
}

/* Which of the two works is not known, so each has its tries; a try that cannot be
 * stored is no reason not to start. */
static void a_lost_record_is_replaced_by_a_provisional_one(void **state)
{
	struct boot_policy p;
	struct boot_step step;
	struct record r;

	(void)state;
	policy_boot_begin(&p, NULL, false, false);
	step = policy_boot_next(&p);
	assert_true(!step.firmware && step.save && !step.save_required && step.slot == 0);
	r = p.record;
	assert_int_equal(r.flags, RECORD_FLAG_PROVISIONAL);
	/* Both hang. */
	for (unsigned boot = 1; boot < 2 * POLICY_PROVISIONAL_TRIES; boot++) {
		policy_boot_begin(&p, &r, false, false);
		step = policy_boot_next(&p);
		assert_true(!step.save_required && !step.last_resort);
		assert_int_equal(step.slot, boot < POLICY_PROVISIONAL_TRIES ? 0 : 1);
		r = p.record;
	}
	policy_boot_begin(&p, &r, false, false);
	assert_true(policy_boot_next(&p).last_resort);
}

static void a_steady_boot_saves_nothing(void **state)
{
	static const enum slot_status other[] = { SLOT_EMPTY, SLOT_WRITING, SLOT_TRIAL,
						  SLOT_GOOD, SLOT_BAD };

	(void)state;
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
		struct record r = two_slots(SLOT_GOOD, other[i]);
		struct boot_policy p;
		struct boot_step step;

		policy_boot_begin(&p, &r, false, false);
		step = policy_boot_next(&p);
		assert_int_equal(step.slot, 0);
		assert_false(step.save || step.check_digest || step.last_resort);
	}
}

static void a_trial_spends_a_try_and_must_be_saved(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_TRIAL);
	struct boot_policy p;
	struct boot_step step;

	(void)state;
	r.preferred = 1;
	policy_boot_begin(&p, &r, false, false);
	step = policy_boot_next(&p);
	assert_true(step.slot == 1 && step.save && step.save_required && step.check_digest);
	assert_int_equal(p.record.slots[1].tries_left, 1);
}

static void a_trial_without_tries_is_bad_and_loses_the_preference(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_TRIAL);
	struct boot_policy p;
	struct boot_step step;

	(void)state;
	r.preferred = 1;
	r.slots[1].tries_left = 0;
	policy_boot_begin(&p, &r, false, false);
	step = policy_boot_next(&p);
	assert_true(step.slot == 0 && step.save && !step.save_required);
	assert_int_equal(p.record.slots[1].status, SLOT_BAD);
	assert_int_equal(p.record.slots[1].reason, REASON_TRIES);
	assert_int_equal(p.record.preferred, 0);
}

static void a_kexec_trial_found_by_the_firmware_is_bad(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_KEXEC_TRIAL);
	struct boot_policy p;
	struct boot_step step;

	(void)state;
	policy_boot_begin(&p, &r, false, false);
	step = policy_boot_next(&p);
	assert_true(step.slot == 0 && step.save && !step.save_required);
	assert_int_equal(p.record.slots[1].status, SLOT_BAD);
	assert_int_equal(p.record.slots[1].reason, REASON_KEXEC);
}

static void good_limit_counts_and_then_moves_on(void **state)
{
	struct record r = two_slots(SLOT_GOOD, SLOT_GOOD);

	(void)state;
	r.good_limit = 2;
	for (int boot = 0; boot < 3; boot++) {
		struct boot_policy p;
		struct boot_step step;

		policy_boot_begin(&p, &r, false, false);
		step = policy_boot_next(&p);
		assert_true(step.save);
		assert_int_equal(step.slot, boot < 2 ? 0 : 1);
		r = p.record;
	}
	assert_int_equal(r.slots[0].status, SLOT_BAD);
	assert_int_equal(r.slots[0].reason, REASON_GOOD_LIMIT);
	assert_int_equal(r.preferred, 1);
}

/* --- every record the bytes allow, against the rules --- */

static void check_walk(const struct record *r, bool saves, bool watchdog_reset)
{
	struct boot_policy p;
	unsigned steps = 0;

	policy_boot_begin(&p, r, false, watchdog_reset);
	for (;;) {
		struct boot_step step = policy_boot_next(&p);
		const struct slot *was = &r->slots[step.slot], *is;

		is = &p.record.slots[step.slot];
		assert_true(++steps <= 8);
		if (step.save)
			policy_boot_saved(&p, &step, saves);
		if (step.firmware)
			return;
		assert_true(was->status != SLOT_WRITING && was->status != SLOT_EMPTY);
		if (was->status == SLOT_TRIAL && !step.last_resort) {
			assert_true(step.save_required && step.save);
			assert_int_equal(is->tries_left, was->tries_left - 1);
		}
		assert_true(was->status != SLOT_KEXEC_TRIAL || step.last_resort);
		assert_true(was->status != SLOT_BAD || step.last_resort);
		if (step.save_required && !saves)
			continue;
		policy_boot_failed(&p, &step, REASON_RETURNED, 0);
	}
}

static void every_record_obeys_the_rules(void **state)
{
	static const uint8_t limits[] = { 0, 1, 2 };

	(void)state;
	for (unsigned n = 0; n < 6 * 6 * 3 * 3 * 3 * 2 * 2 * 2; n++) {
		unsigned k = n;
		struct record r;

		record_init(&r);
		r.slots[0].status = (enum slot_status)(k % 6), k /= 6;
		r.slots[1].status = (enum slot_status)(k % 6), k /= 6;
		for (int i = 0; i < 2; i++) {
			r.slots[i].tries_left = (uint8_t)(k % 3), k /= 3;
			r.slots[i].tries_granted = 2;
			r.slots[i].good_boots = r.slots[i].tries_left;
		}
		r.good_limit = limits[k % 3], k /= 3;
		r.preferred = (uint8_t)(k % 2), k /= 2;
		check_walk(&r, k % 2, k / 2);
	}
}

/* --- docs/STATES.md --- */

/* Cells of "| a | b |" joined by '|' without the blanks around them. */
static void line_squeeze(const char *line, char *out)
{
	const char *end = out;

	for (; *line && *line != '\n'; line++) {
		if (*line == ' ' && (end == out || out[-1] == '|' || line[1] == '|'))
			continue;
		*out++ = *line;
	}
	*out = 0;
}

/* Compares the rows below "## heading" with want(i, text), i < count. */
static void table_compare(const char *heading, size_t count, void (*want)(size_t, char *))
{
	FILE *f = fopen("docs/STATES.md", "r");
	char line[512], got[512], expected[512];
	size_t row = 0;
	bool inside = false;

	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		if (line[0] == '#')
			inside = strstr(line, heading) != NULL;
		if (!inside || line[0] != '|' || strstr(line, "---") || strstr(line, "| status |"))
			continue;
		assert_true(row < count);
		line_squeeze(line, got);
		want(row++, expected);
		assert_string_equal(got, expected);
	}
	fclose(f);
	assert_int_equal(row, count);
}

static void loader_row(size_t i, char *out)
{
	const struct policy_row *r = &policy_loader_table[i];

	sprintf(out, "|%s|%s|%s|%s|%s|", slot_status_text(r->status),
		policy_condition_text(r->condition), policy_action_text(r->action),
		slot_status_text(r->next), slot_reason_text(r->reason));
}

static void event_row(size_t i, char *out)
{
	const struct policy_event_row *r = &policy_event_table[i];

	sprintf(out, "|%s|%s|%s|%s|%s|", policy_event_text(r->event),
		r->status == SLOT_STATUS_COUNT ? "any other" : slot_status_text(r->status),
		r->allowed ? slot_status_text(r->next) : "refused", slot_reason_text(r->reason),
		policy_prefer_text(r->prefer));
}

static void the_document_has_the_same_tables(void **state)
{
	(void)state;
	table_compare("The loader", policy_loader_rows, loader_row);
	table_compare("The agent", policy_event_rows, event_row);
}

static void print_tables(void)
{
	char row[512];

	for (size_t i = 0; i < policy_loader_rows; i++)
		loader_row(i, row), puts(row);
	for (size_t i = 0; i < policy_event_rows; i++)
		event_row(i, row), puts(row);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_tried_in_the_order_of_the_design),
		cmocka_unit_test(a_lost_record_is_replaced_by_a_provisional_one),
		cmocka_unit_test(before_the_firmware_goes_on_a_wrong_digest_is_no_reason),
		cmocka_unit_test(where_both_slots_fail_the_preference_is_what_it_was),
		cmocka_unit_test(a_steady_boot_saves_nothing),
		cmocka_unit_test(a_trial_spends_a_try_and_must_be_saved),
		cmocka_unit_test(a_trial_without_tries_is_bad_and_loses_the_preference),
		cmocka_unit_test(a_kexec_trial_found_by_the_firmware_is_bad),
		cmocka_unit_test(good_limit_counts_and_then_moves_on),
		cmocka_unit_test(every_record_obeys_the_rules),
		cmocka_unit_test(the_document_has_the_same_tables),
	};

	(void)argv;
	if (argc > 1) {	/* for whoever changes the tables: the rows for STATES.md */
		print_tables();
		return 0;
	}
	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
