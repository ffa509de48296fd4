/* SPDX-License-Identifier: MIT */
#include "policy.h"

#include "unittest.h"

static struct record two_slots(enum slot_status a, enum slot_status b)
{
	struct record r;

	record_init(&r);
	r.slots[0].status = a;
	r.slots[1].status = b;
	for (int i = 0; i < 2; i++)
		if (r.slots[i].status == SLOT_TRIAL)
			r.slots[i].tries_left = r.slots[i].tries_granted = 2;
	return r;
}

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

/* --- the agent's verbs --- */

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

static void print_tables(void)
{
	char row[512];

	for (size_t i = 0; i < policy_loader_rows; i++)
		loader_row(i, row), puts(row);
	for (size_t i = 0; i < policy_event_rows; i++)
		event_row(i, row), puts(row);
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
		cmocka_unit_test(a_slot_that_is_wanted_for_one_boot_goes_first_and_the_preference_stays),
		cmocka_unit_test(a_slot_wanted_once_that_does_not_start_hands_over_to_the_other),
		cmocka_unit_test(the_hang_of_a_kexec_trial_that_is_wanted_once_is_noted_once),
		cmocka_unit_test(what_has_no_image_cannot_be_marked),
		cmocka_unit_test(the_document_has_the_same_tables),
	};

	(void)argv;
	if (argc > 1) {	/* for whoever changes the tables: the rows for STATES.md */
		print_tables();
		return 0;
	}
	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
