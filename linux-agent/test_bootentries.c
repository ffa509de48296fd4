/* SPDX-License-Identifier: MIT */
#include "bootentries.h"

#include "bootplan.h"
#include "bytes.h"
#include "loadoption.h"
#include "test_vars_mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* --- the plan --- */

/* Entries are "NNNN" and a letter: l loader, a, b direct, f foreign; then '!' for other
 * content than wanted, '#' for one that cannot be rewritten. */
struct plan_row {
	const char *entries, *order, *wanted;
	int confirmed;
	const char *want;	/* "0001=l": a write; "[0001 0002]": BootOrder; "-0003" */
};

static const char letters[] = "labf";

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

static void run_plan(const struct plan_row *row, bool damaged)
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
	};

	for (unsigned role = 0; role < BOOT_ROLE_COUNT; role++)
		state.wanted[role] = strchr(row->wanted, letters[role]) != NULL;
	assert_int_equal(boot_plan(&state, &plan, &err), 0);
	show_plan(&plan, shown, sizeof shown);
	if (strcmp(shown, row->want) != 0)
		fail_msg("entries %s, order %s: \"%s\", not \"%s\"", row->entries, row->order,
			 shown, row->want);
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
		{ "", "", "lab", 0, "0000=l 0001=a 0002=b [0000 0001 0002]" },
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
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
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
	};

	(void)test;
	run_plans(rows, ARRAY_SIZE(rows));
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

/* --- applied to variables --- */

static const struct esp_info esp = {
	.part = 1, .start = 2048, .size = 204800, .sector_size = 512,
	.guid = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
};
static const struct boot_want both = {
	.loader = true,
	.direct = { { .present = true, .active = true }, { .present = true, .active = true } },
	.confirmed = 0,
};
static struct mem mem;
static struct vars vars;
static struct err err;

static int empty_store(void **test)
{
	(void)test;
	memset(&mem, 0, sizeof mem);
	memset(&err, 0, sizeof err);
	vars = mem_vars(&mem);
	return 0;
}

static void put_entry(const char *name, const char *label, const char *path,
		      uint32_t attributes)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len = 0;

	assert_int_equal(loadoption_build(&esp, attributes, label, path, NULL, 0, &data, &len,
					  &err), 0);
	mem_put(&mem, VARS_GLOBAL, name, data, len, VARS_NV_BS_RT);
}

static void put_order(const char *text)
{
	uint16_t order[16];
	uint8_t data[32];
	size_t count = parse_order(text, order);

	for (size_t i = 0; i < count; i++)
		le16_put(data + 2 * i, order[i]);
	mem_put(&mem, VARS_GLOBAL, "BootOrder", data, 2 * count, VARS_NV_BS_RT);
}

static void assert_order(const char *text)
{
	struct mem_var *var = mem_find(&mem, VARS_GLOBAL, "BootOrder");
	char shown[128] = "";

	for (size_t i = 0; var && i < var->len / 2; i++)
		(void)snprintf(shown + strlen(shown), sizeof shown - strlen(shown), "%s%04X",
			       i ? " " : "", (unsigned)le16_get(var->data + 2 * i));
	assert_string_equal(shown, text);
}

static void assert_entry(const char *name, const char *label, uint32_t attributes,
			 const char *options)
{
	struct mem_var *var = mem_find(&mem, VARS_GLOBAL, name);
	struct load_option option;

	assert_non_null(var);
	assert_int_equal(var->attributes, VARS_NV_BS_RT);
	assert_true(loadoption_parse(var->data, var->len, &option));
	assert_true(loadoption_description_is(&option, label));
	assert_int_equal(option.attributes, attributes);
	assert_int_equal(option.options_len, strlen(options));
	assert_memory_equal(option.options, options, strlen(options));
}

static void an_empty_store_gets_entries_and_then_bootorder(void **test)
{
	(void)test;
	assert_int_equal(bootentries_sync(&vars, &esp, &both, &err), 0);
	assert_string_equal(mem.log, "Boot0000 Boot0001 Boot0002 BootOrder");
	assert_order("0000 0001 0002");
	assert_entry("Boot0000", "slotboot", LOADOPTION_ACTIVE, "");
	assert_entry("Boot0001", "slotboot a", LOADOPTION_ACTIVE, "");
	assert_entry("Boot0002", "slotboot b", LOADOPTION_ACTIVE, "");
}

static void a_second_run_writes_nothing(void **test)
{
	(void)test;
	assert_int_equal(bootentries_sync(&vars, &esp, &both, &err), 0);
	mem.log[0] = 0;
	mem.writes_left = 0;
	assert_int_equal(bootentries_sync(&vars, &esp, &both, &err), 0);
	assert_string_equal(mem.log, "");
}

static void only_what_differs_is_written(void **test)
{
	static const uint8_t options[] = { 'x', 0 };
	struct boot_want want = both;

	(void)test;
	assert_int_equal(bootentries_sync(&vars, &esp, &both, &err), 0);
	mem.log[0] = 0;
	want.direct[1].active = false;
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	want.direct[0].options = options;
	want.direct[0].options_len = 1;
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	want.confirmed = 1;
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	want.direct[0].present = false;
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	assert_string_equal(mem.log, "Boot0002 Boot0001 BootOrder BootOrder -Boot0001");
	assert_entry("Boot0002", "slotboot b", 0, "");
	assert_order("0000 0002");
}

static void a_relabelled_or_hidden_entry_of_ours_is_mended_in_place(void **test)
{
	struct boot_want want = { .loader = true };

	(void)test;
	put_entry("Boot0004", "UEFI OS", BOOTENTRIES_LOADER_PATH, LOADOPTION_ACTIVE);
	put_order("0004");
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	put_entry("Boot0004", "slotboot", BOOTENTRIES_LOADER_PATH, LOADOPTION_ACTIVE | 8);
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	assert_string_equal(mem.log, "Boot0004 Boot0004");
	assert_entry("Boot0004", "slotboot", LOADOPTION_ACTIVE, "");
}

static void foreign_entries_are_not_touched_whatever_they_hold(void **test)
{
	static struct mem before;

	(void)test;
	put_entry("Boot0000", "slotboot", "\\EFI\\BOOT\\BOOTX64.EFI", LOADOPTION_ACTIVE);
	put_entry("Boot0001", "slotboot a", "\\EFI\\debian\\shimx64.efi", 0);
	mem_put(&mem, VARS_GLOBAL, "Boot0002", "\xff\xff\xff", 3, VARS_NV_BS_RT);
	mem_put(&mem, VARS_GLOBAL, "Boot0003", "x", 1, VARS_BOOT_SERVICE);
	put_entry("Boot0005", "slotboot", BOOTENTRIES_LOADER_PATH, LOADOPTION_ACTIVE);
	mem.unreadable = "Boot0005";
	put_order("0003 0005 0002 0009 0000");
	before = mem;
	assert_int_equal(bootentries_sync(&vars, &esp, &both, &err), 0);
	assert_string_equal(mem.log, "Boot0004 Boot0006 Boot0007 BootOrder");
	assert_order("0004 0006 0007 0003 0005 0002 0009 0000");
	for (unsigned i = 0; i < 6; i++) {
		char name[9];
		struct mem_var *was, *is;

		(void)snprintf(name, sizeof name, "Boot%04X", i);
		was = mem_find(&before, VARS_GLOBAL, name);
		is = mem_find(&mem, VARS_GLOBAL, name);
		if (was)
			assert_memory_equal(is, was, sizeof *was);
	}
}

static void lower_case_names_are_understood_and_kept(void **test)
{
	struct boot_want want = { .loader = true };

	(void)test;
	put_entry("Boot00ab", "old label", BOOTENTRIES_LOADER_PATH, LOADOPTION_ACTIVE);
	put_order("00ab");
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	assert_string_equal(mem.log, "Boot00ab");
	assert_entry("Boot00ab", "slotboot", LOADOPTION_ACTIVE, "");
}

static void of_two_spellings_of_a_number_the_upper_case_one_counts(void **test)
{
	struct boot_want want = { .loader = true };

	(void)test;
	put_entry("Boot00ab", "slotboot", BOOTENTRIES_LOADER_PATH, LOADOPTION_ACTIVE);
	put_entry("Boot00AB", "debian", "\\EFI\\debian\\shimx64.efi", LOADOPTION_ACTIVE);
	put_order("00ab");
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	assert_string_equal(mem.log, "Boot0000 BootOrder");
	assert_order("0000 00AB");
}

static void half_a_number_in_bootorder_is_dropped(void **test)
{
	struct boot_want want = { .loader = true };

	(void)test;
	put_entry("Boot0001", "slotboot", BOOTENTRIES_LOADER_PATH, LOADOPTION_ACTIVE);
	mem_put(&mem, VARS_GLOBAL, "BootOrder", "\x01\0\x07\0\x02", 5, VARS_NV_BS_RT);
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	assert_order("0001 0007");
	assert_int_equal(mem_find(&mem, VARS_GLOBAL, "BootOrder")->len, 4);
}

static void an_entry_of_ours_with_odd_variable_attributes_is_replaced(void **test)
{
	struct boot_want want = { .loader = true };

	(void)test;
	put_entry("Boot0000", "slotboot", BOOTENTRIES_LOADER_PATH, LOADOPTION_ACTIVE);
	mem_find(&mem, VARS_GLOBAL, "Boot0000")->attributes = VARS_NON_VOLATILE | 2;
	put_order("0000");
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	assert_string_equal(mem.log, "Boot0001 BootOrder -Boot0000");
}

static void entries_on_another_disk_are_foreign(void **test)
{
	struct esp_info other = esp;
	struct boot_want want = { .loader = true };

	(void)test;
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	other.guid[15]++;
	mem.log[0] = 0;
	assert_int_equal(bootentries_sync(&vars, &other, &want, &err), 0);
	assert_string_equal(mem.log, "Boot0001 BootOrder");
	assert_order("0001 0000");
}

/* Every number in BootOrder that had a variable before the cut or is ours has one,
 * and at least one entry can be booted. */
static void assert_bootable(void)
{
	struct mem_var *order = mem_find(&mem, VARS_GLOBAL, "BootOrder");
	unsigned bootable = 0;

	assert_non_null(order);
	for (size_t i = 0; i < order->len / 2; i++) {
		struct mem_var *entry;
		char name[9];

		(void)snprintf(name, sizeof name, "Boot%04X",
			       (unsigned)le16_get(order->data + 2 * i));
		entry = mem_find(&mem, VARS_GLOBAL, name);
		assert_non_null(entry);
		bootable += entry->data[0] & LOADOPTION_ACTIVE;
	}
	assert_true(bootable > 0);
}

static void put_mess(void)
{
	assert_int_equal(empty_store(NULL), 0);
	put_entry("Boot0000", "slotboot b", BOOTENTRIES_B_PATH, LOADOPTION_ACTIVE);
	put_entry("Boot0001", "slotboot b", BOOTENTRIES_B_PATH, LOADOPTION_ACTIVE);
	put_entry("Boot0002", "debian", "\\EFI\\debian\\shimx64.efi", 0);
	put_entry("Boot0003", "other", BOOTENTRIES_A_PATH, 0);
	put_entry("Boot0004", "slotboot a", BOOTENTRIES_A_PATH, 0);
	put_order("0001 0002 0000 0004");
}

static void a_power_cut_before_any_write_leaves_a_bootable_order_and_is_mended(void **test)
{
	const struct boot_want want = {
		.loader = true, .direct = { { .present = true, .active = true } },
	};
	static struct mem whole;
	int cuts = 0;

	(void)test;
	put_mess();
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	assert_string_equal(mem.log, "Boot0005 Boot0004 BootOrder -Boot0000 -Boot0001 -Boot0003");
	whole = mem;
	for (;; cuts++) {
		int r;

		put_mess();
		mem.writes_left = cuts;
		r = bootentries_sync(&vars, &esp, &want, &err);
		assert_bootable();
		if (r == 0)
			break;
		assert_int_equal(err.exit, EX_IOERR);
		mem.writes_left = -1;
		assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
		assert_memory_equal(mem.vars, whole.vars, sizeof mem.vars);
	}
	assert_int_equal(cuts, 6);
}

static void set_active_flips_that_bit_of_that_slots_entries_only(void **test)
{
	static const uint8_t options[] = { 'o', 'p' };
	struct boot_want want = both;

	(void)test;
	want.direct[1].options = options;
	want.direct[1].options_len = sizeof options;
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	put_entry("Boot0007", "renamed", BOOTENTRIES_B_PATH, 0x101);
	mem_put(&mem, VARS_GLOBAL, "Boot0008", "x", 1, VARS_NV_BS_RT);
	mem.log[0] = 0;
	assert_int_equal(bootentries_set_active(&vars, &esp, 1, false, &err), 0);
	assert_int_equal(bootentries_set_active(&vars, &esp, 1, false, &err), 0);
	assert_string_equal(mem.log, "Boot0002 Boot0007");
	assert_entry("Boot0002", "slotboot b", 0, "op");
	assert_entry("Boot0007", "renamed", 0x100, "");
	assert_entry("Boot0001", "slotboot a", LOADOPTION_ACTIVE, "");
	assert_int_equal(bootentries_set_active(&vars, &esp, 1, true, &err), 0);
	assert_entry("Boot0002", "slotboot b", LOADOPTION_ACTIVE, "op");
}

static void set_active_without_an_entry_is_fine(void **test)
{
	(void)test;
	assert_int_equal(bootentries_set_active(&vars, &esp, 0, false, &err), 0);
	assert_string_equal(mem.log, "");
}

int main(void)
{
#define SYNC_TEST(f) cmocka_unit_test_setup(f, empty_store)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_done_when_all_is_as_wanted),
		cmocka_unit_test(missing_entries_get_the_lowest_free_numbers),
		cmocka_unit_test(a_number_that_bootorder_names_is_never_taken),
		cmocka_unit_test(foreign_entries_keep_their_order),
		cmocka_unit_test(the_loader_comes_first_and_then_the_confirmed_slot),
		cmocka_unit_test(a_changed_entry_is_rewritten_at_its_number),
		cmocka_unit_test(duplicates_go_and_the_right_or_the_first_one_stays),
		cmocka_unit_test(an_entry_no_longer_wanted_leaves_bootorder_before_it_is_deleted),
		cmocka_unit_test(an_entry_that_cannot_be_rewritten_is_replaced),
		cmocka_unit_test(a_damaged_bootorder_is_written_anew),
		cmocka_unit_test(a_plan_for_nothing_is_refused),
		cmocka_unit_test(full_numbers_are_an_error),
		SYNC_TEST(an_empty_store_gets_entries_and_then_bootorder),
		SYNC_TEST(a_second_run_writes_nothing),
		SYNC_TEST(only_what_differs_is_written),
		SYNC_TEST(a_relabelled_or_hidden_entry_of_ours_is_mended_in_place),
		SYNC_TEST(foreign_entries_are_not_touched_whatever_they_hold),
		SYNC_TEST(lower_case_names_are_understood_and_kept),
		SYNC_TEST(of_two_spellings_of_a_number_the_upper_case_one_counts),
		SYNC_TEST(half_a_number_in_bootorder_is_dropped),
		SYNC_TEST(an_entry_of_ours_with_odd_variable_attributes_is_replaced),
		SYNC_TEST(entries_on_another_disk_are_foreign),
		SYNC_TEST(a_power_cut_before_any_write_leaves_a_bootable_order_and_is_mended),
		SYNC_TEST(set_active_flips_that_bit_of_that_slots_entries_only),
		SYNC_TEST(set_active_without_an_entry_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
