/* SPDX-License-Identifier: MIT */
#include "bootplan.h"

#include "io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Entries are "NNNN" and a letter: l loader, a, b direct, t a new loader, x the other ESP's, f foreign; then '!' for other
 * content than wanted, '#' for one that cannot be rewritten. */
struct plan_row {
	const char *entries, *order, *wanted;
	int confirmed;
	const char *want;	/* "0001=l": a write; "[0001 0002]": BootOrder; "-0003" */
};

static const char letters[] = "labtxf";

static size_t parse_entries(const char *text, struct boot_entry *entries)
{
	size_t count = 0;

	for (; *text; text += strspn(text, " ")) {
		struct boot_entry *entry = &entries[count++];

		*entry = (struct boot_entry){ 0 };
		(void)snprintf(entry->name.text, sizeof entry->name.text, "Boot%.4s", text);
		entry->number = (uint16_t)strtoul(entry->name.text + 4, NULL, 16);
		assert_non_null(strchr(letters, text[4]));
		entry->role = (enum boot_role)(strchr(letters, text[4]) - letters);
		text += 5;
		entry->fixed = *text == '#';
		entry->current = entry->role != BOOT_FOREIGN && *text != '!' && *text != '#';
		text += strcspn(text, " ");
	}
	return count;
}

static size_t parse_order(const char *text, uint16_t *order)
{
	size_t count = 0;
	char *end;

	for (; *text; text = end + strspn(end, " "))
		order[count++] = (uint16_t)strtoul(text, &end, 16);
	return count;
}

static void show_plan(const struct boot_plan *plan, char *out, size_t size)
{
	FILE *f = fmemopen(out, size, "w");

	assert_non_null(f);
	for (size_t i = 0; i < plan->op_count; i++) {
		const struct boot_op *op = &plan->ops[i];

		if (i)
			fputc(' ', f);
		if (op->kind == BOOT_OP_WRITE)
			fprintf(f, "%s=%c", op->name.text + 4, letters[op->role]);
		if (op->kind == BOOT_OP_DELETE)
			fprintf(f, "-%s", op->name.text + 4);
		if (op->kind != BOOT_OP_ORDER)
			continue;
		for (size_t j = 0; j < plan->order_count; j++)
			fprintf(f, "%c%04X", j ? ' ' : '[', (unsigned)plan->order[j]);
		fputc(']', f);
	}
	assert_int_equal(fclose(f), 0);
}

static const char things[] = "labtxod";	/* entries, BootOrder, duplicates */

static void run_plan_without(const struct plan_row *row, bool damaged, const char *given_up,
			     const char *withheld)
{
	_cleanup_(boot_plan_clear) struct boot_plan plan = { 0 };
	struct boot_entry entries[16];
	uint16_t order[16];
	char shown[256] = "";
	struct err err = { 0 };
	struct boot_state state = {
		.entries = entries, .entry_count = parse_entries(row->entries, entries),
		.order = order, .order_count = parse_order(row->order, order),
		.order_damaged = damaged, .confirmed = row->confirmed,
		.trial_leads = strchr(row->wanted, 'T') != NULL,
	};

	for (unsigned role = 0; role < BOOT_ROLE_COUNT; role++)
		state.wanted[role] = strchr(row->wanted, letters[role]) != NULL;
	state.wanted[BOOT_TRIAL] |= state.trial_leads;
	for (unsigned thing = 0; thing < BOOT_THING_COUNT; thing++)
		state.given_up[thing] = strchr(given_up, things[thing]) != NULL;
	assert_int_equal(boot_plan(&state, &plan, &err), 0);
	show_plan(&plan, shown, sizeof shown);
	if (strcmp(shown, row->want) != 0)
		fail_msg("entries %s, order %s: \"%s\", not \"%s\"", row->entries, row->order,
			 shown, row->want);
	for (unsigned thing = 0; thing < BOOT_THING_COUNT; thing++)
		assert_int_equal(plan.withheld[thing],
				 strchr(withheld, things[thing]) != NULL);
}

static void run_plan(const struct plan_row *row, bool damaged)
{
	run_plan_without(row, damaged, "", "");
}

static void run_plans(const struct plan_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		run_plan(&rows[i], false);
}

static void nothing_is_done_when_all_is_as_wanted(void **test)
{
	static const struct plan_row rows[] = {
		{ "0000l 0001a 0002b", "0000 0001 0002", "lab", 0, "" },
		{ "0000l 0001a 0002b", "0000 0002 0001", "lab", 1, "" },
		{ "0000l 0001a", "0000 0001", "la", 0, "" },
		{ "0000l 0001a 0002b 0003f", "0000 0001 0002 0003", "lab", -1, "" },
		{ "0001a 0003f", "0001 0003", "a", 0, "" },
		/* a foreign one outside BootOrder stays outside */
		{ "0000l 0001a 0002b 0003f", "0000 0001 0002", "lab", 0, "" },
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
}

static void missing_entries_get_the_lowest_free_numbers(void **test)
{
	static const struct plan_row rows[] = {
		{ "", "", "lab", 0, "0001=l 0002=a 0003=b [0001 0002 0003]" },
		{ "0000f 0002f", "0000 0002", "la", 0, "0001=l 0003=a [0001 0003 0000 0002]" },
		{ "0000l 0002b", "0000 0002", "lab", 1, "0001=a [0000 0002 0001]" },
		/* the firmware dropped ours from BootOrder only */
		{ "0000l 0001a 0005f", "0005", "la", 0, "[0000 0001 0005]" },
		{ "0000f 0001f 0002f 0003f 0004f 0005f 0006f 0007f 0008f 0009f", "0000", "l", 0,
		  "000A=l [000A 0000]" },
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
}

static void a_number_that_bootorder_names_is_never_taken(void **test)
{
	static const struct plan_row rows[] = {
		{ "", "0000 0001", "la", 0, "0002=l 0003=a [0002 0003 0000 0001]" },
		{ "0001f", "0001 0000", "l", 0, "0002=l [0002 0001 0000]" },
		{ "", "0001 0003", "la", 0, "0002=l 0004=a [0002 0004 0001 0003]" },
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
}

/* On some firmware an entry 0000 is not honoured, or taken for none. */
static void the_number_0000_is_kept_and_never_taken(void **test)
{
	static const struct plan_row rows[] = {
		{ "0001f", "0001", "l", 0, "0002=l [0002 0001]" },
		{ "0000l! 0001f", "0000 0001", "l", 0, "0000=l" },
		{ "0000l", "0000", "la", 0, "0001=a [0000 0001]" },
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
}

static void what_is_given_up_has_no_operation_and_is_told(void **test)
{
	static const struct {
		struct plan_row plan;
		const char *given_up, *withheld;
	} rows[] = {
		{ { "0001l 0002a", "0001 0002", "la", 0, "" }, "labod", "" },
		{ { "0001l! 0002a", "0001 0002", "la", 0, "" }, "l", "l" },
		{ { "0001l! 0002a!", "0001 0002", "la", 0, "0002=a" }, "l", "l" },
		{ { "0002a 0003f", "0002 0003", "la", 0, "" }, "l", "l" },
		{ { "0003f", "0003", "la", 0, "0001=a [0001 0003]" }, "l", "l" },
		{ { "0001l 0003f", "0003 0001", "l", 0, "" }, "o", "o" },
		{ { "0001l! 0003f", "0003 0001", "l", 0, "0001=l" }, "o", "o" },
		{ { "0001l 0002l", "0001 0002", "l", 0, "[0001]" }, "d", "d" },
		/* one that cannot be rewritten stays, where no other may be made */
		{ { "0001l#", "0001", "l", 0, "" }, "l", "l" },
		{ { "0001l# 0002a", "0001 0002", "la", 0, "" }, "l", "l" },
	};

	(void)test;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		run_plan_without(&rows[i].plan, false, rows[i].given_up, rows[i].withheld);
}

static void foreign_entries_keep_their_order(void **test)
{
	static const struct plan_row rows[] = {
		{ "0001f 0002f 0003f 0004l 0005a", "0003 0004 0001 0005 0002", "la", 0,
		  "[0004 0005 0003 0001 0002]" },
		{ "0001f 0002f 0003f 0004l", "0003 0002 0001 0004", "l", 0,
		  "[0004 0003 0002 0001]" },
		/* named twice: theirs to mend */
		{ "0001f 0004l", "0001 0004 0001", "l", 0, "[0004 0001 0001]" },
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
}

static void the_loader_comes_first_and_then_the_confirmed_slot(void **test)
{
	static const struct plan_row rows[] = {
		{ "0000a 0001b 0002l", "0000 0001 0002", "lab", 0, "[0002 0000 0001]" },
		{ "0000a 0001b 0002l", "0000 0001 0002", "lab", 1, "[0002 0001 0000]" },
		{ "0000a 0001b 0002l", "0000 0001 0002", "lab", -1, "[0002 0000 0001]" },
		{ "0000a 0001b", "0000 0001", "ab", 1, "[0001 0000]" },
		{ "0000f 0001x 0002l", "0000 0001 0002", "lx", 0, "[0002 0001 0000]" },
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
}

/* "t": one on trial, which BootNext will name; "T": its files are being put in place. */
static void a_new_loader_is_in_bootorder_only_while_the_old_one_is_replaced(void **test)
{
	static const struct plan_row rows[] = {
		{ "0001l 0002a", "0001 0002", "lat", -1, "0003=t" },
		{ "0001l 0002a 0003t", "0001 0002", "lat", -1, "" },
		{ "0001l 0002a 0003t", "0001 0002 0003", "lat", -1, "[0001 0002]" },
		{ "0001l 0002a 0003t", "0001 0002", "laT", -1, "[0003 0001 0002]" },
		{ "0001l 0002a 0003t", "0003 0001 0002", "laT", -1, "" },
		{ "0001l 0002a 0003t", "0003 0001 0002", "la", -1, "[0001 0002] -0003" },
		{ "0001l 0002a 0003t", "0001 0002", "la", -1, "-0003" },
	};

	(void)test;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		run_plan(&rows[i], false);
}

static void a_changed_entry_is_rewritten_at_its_number(void **test)
{
	static const struct plan_row rows[] = {
		{ "0007l! 0009a", "0007 0009", "la", 0, "0007=l" },
		{ "0007l! 0009a!", "0009 0007", "la", 0, "0007=l 0009=a [0007 0009]" },
		{ "00abl!", "00ab", "l", 0, "00ab=l" },
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
}

static void duplicates_go_and_the_right_or_the_first_one_stays(void **test)
{
	static const struct plan_row rows[] = {
		{ "0001l 0002l 0003l", "0002 0001 0003", "l", 0, "[0002] -0001 -0003" },
		{ "0001l! 0002l", "0001 0002", "l", 0, "[0002] -0001" },
		{ "0001l! 0002l!", "0002 0001", "l", 0, "0002=l [0002] -0001" },
		{ "0001l 0002l", "0002", "l", 0, "-0001" },
		{ "0001l 0002l", "", "l", 0, "[0001] -0002" },
		{ "0001l", "0001 0001", "l", 0, "[0001]" },
		{ "0000f 0001a 0002a", "0001 0000 0002", "a", 0, "[0001 0000] -0002" },
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
}

static void an_entry_no_longer_wanted_leaves_bootorder_before_it_is_deleted(void **test)
{
	static const struct plan_row rows[] = {
		{ "0000l 0001a 0002b 0003f", "0000 0001 0002 0003", "la", 0,
		  "[0000 0001 0003] -0002" },
		{ "0000l 0001a 0003f", "0000 0001 0003", "a", 0, "[0001 0003] -0000" },
		/* the new one is not given the number of the one that goes */
		{ "0000b 0001f", "0000 0001", "l", 0, "0002=l [0002 0001] -0000" },
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
}

static void an_entry_that_cannot_be_rewritten_is_replaced(void **test)
{
	static const struct plan_row rows[] = {
		{ "0000l# 0001f", "0000 0001", "l", 0, "0002=l [0002 0001] -0000" },
		{ "0000l# 0001l", "0000 0001", "l", 0, "[0001] -0000" },
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
}

static void a_damaged_bootorder_is_written_anew(void **test)
{
	static const struct plan_row row = { "0000l 0001f", "0000 0001", "l", 0,
					     "[0000 0001]" };

	(void)test;
	run_plan(&row, true);
}

static void a_plan_for_nothing_is_refused(void **test)
{
	struct boot_state state = { 0 };
	struct boot_plan plan;
	struct err err = { 0 };

	(void)test;
	assert_int_equal(boot_plan(&state, &plan, &err), -1);
	assert_int_equal(err.exit, EX_SOFTWARE);
}

static void full_numbers_are_an_error(void **test)
{
	uint16_t *order = calloc(0x10000, sizeof *order);
	struct boot_state state = { .order = order, .order_count = 0x10000,
				    .wanted = { true } };
	struct boot_plan plan;
	struct err err = { 0 };

	(void)test;
	assert_non_null(order);
	for (unsigned i = 0; i < 0x10000; i++)
		order[i] = (uint16_t)i;
	assert_int_equal(boot_plan(&state, &plan, &err), -1);
	assert_int_equal(err.exit, EX_SOFTWARE);
	free(order);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_done_when_all_is_as_wanted),
		cmocka_unit_test(missing_entries_get_the_lowest_free_numbers),
		cmocka_unit_test(a_number_that_bootorder_names_is_never_taken),
		cmocka_unit_test(the_number_0000_is_kept_and_never_taken),
		cmocka_unit_test(what_is_given_up_has_no_operation_and_is_told),
		cmocka_unit_test(foreign_entries_keep_their_order),
		cmocka_unit_test(the_loader_comes_first_and_then_the_confirmed_slot),
		cmocka_unit_test(a_new_loader_is_in_bootorder_only_while_the_old_one_is_replaced),
		cmocka_unit_test(a_changed_entry_is_rewritten_at_its_number),
		cmocka_unit_test(duplicates_go_and_the_right_or_the_first_one_stays),
		cmocka_unit_test(an_entry_no_longer_wanted_leaves_bootorder_before_it_is_deleted),
		cmocka_unit_test(an_entry_that_cannot_be_rewritten_is_replaced),
		cmocka_unit_test(a_damaged_bootorder_is_written_anew),
		cmocka_unit_test(a_plan_for_nothing_is_refused),
		cmocka_unit_test(full_numbers_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
