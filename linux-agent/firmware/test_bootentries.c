/* SPDX-License-Identifier: MIT */
#include "bootentries.h"

#include "bootplan.h"
#include "bytes.h"
#include "loadoption.h"
#include "test_vars_mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

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
	uint8_t data[32];
	size_t len = 0;
	char *end;

	for (; *text; text = end + strspn(end, " "), len += 2)
		le16_put(data + len, (uint16_t)strtoul(text, &end, 16));
	mem_put(&mem, VARS_GLOBAL, "BootOrder", data, len, VARS_NV_BS_RT);
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
	assert_string_equal(mem.log, "Boot0001 Boot0002 Boot0003 BootOrder");
	assert_order("0001 0002 0003");
	assert_entry("Boot0001", "slotboot", LOADOPTION_ACTIVE, "");
	assert_entry("Boot0002", "slotboot a", LOADOPTION_ACTIVE, "");
	assert_entry("Boot0003", "slotboot b", LOADOPTION_ACTIVE, "");
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
	assert_string_equal(mem.log, "Boot0003 Boot0002 BootOrder BootOrder -Boot0002");
	assert_entry("Boot0003", "slotboot b", 0, "");
	assert_order("0001 0003");
}

static void a_relabelled_entry_of_ours_is_mended_in_place(void **test)
{
	struct boot_want want = { .loader = true };

	(void)test;
	put_entry("Boot0004", "UEFI OS", BOOTENTRIES_LOADER_PATH, LOADOPTION_ACTIVE);
	put_order("0004");
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	put_entry("Boot0004", "slotboot", BOOTENTRIES_LOADER_PATH, LOADOPTION_ACTIVE | 0x100);
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
	assert_string_equal(mem.log, "Boot0001 BootOrder");
	assert_order("0001 00AB");
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
	assert_string_equal(mem.log, "Boot0002 BootOrder");
	assert_order("0002 0001");
}

/* A path as words of bytes for the description and attributes that entry `number` has. */
static void put_path(unsigned number, const uint8_t *path, size_t path_len)
{
	char name[9];
	struct mem_var *var;
	struct load_option option;
	uint8_t data[256];
	size_t head;

	(void)snprintf(name, sizeof name, "Boot%04X", number);
	var = mem_find(&mem, VARS_GLOBAL, name);
	assert_non_null(var);
	assert_true(loadoption_parse(var->data, var->len, &option));
	head = 6 + option.description_len + 2;
	memcpy(data, var->data, head);
	le16_put(data + 4, (uint16_t)path_len);
	memcpy(data + head, path, path_len);
	mem_put(&mem, VARS_GLOBAL, name, data, head + path_len, VARS_NV_BS_RT);
}

static unsigned count_entries(void)
{
	struct vars_name *names;
	size_t count;

	assert_int_equal(vars_list_boot(&vars, &names, &count, &err), 0);
	free(names);
	return (unsigned)count;
}

static uint16_t order_at(size_t i)
{
	return le16_get(mem_find(&mem, VARS_GLOBAL, "BootOrder")->data + 2 * i);
}

#define VENHW 1, 4, 20, 0, 0xe7, 0x75, 0xe2, 0x99, 0xa0, 0x75, 0x37, 0x4b, 0xa2, 0xe6, 0xc5, 0x38, \
	0x5e, 0x6c, 0, 0xcb
#define END 0x7f, 0xff, 4, 0

static void entries_whose_path_the_firmware_replaces_are_taken_over_and_do_not_pile_up(void **test)
{
	static const struct {
		uint8_t path[64];
		size_t len;
	} rows[] = {
		{ { VENHW, END }, 24 },
		{ { VENHW, 1, 3, 24, 0, 11, 0, 0, 0, 0, 0, 0x61, 3, 0, 0, 0, 0, 0, 0, 0x62, 3, 0, 0, 0, 0,
		    END }, 48 },
		{ { 2, 1, 12, 0, 0xd0, 0x41, 3, 10, 0, 0, 0, 0, 1, 1, 6, 0, 0, 0x1d, 3, 23, 16, 0, 1, 0,
		    0, 0, 1, 2, 3, 4, 5, 6, 7, 8, END }, 38 },
		{ { END }, 4 },
	};

	(void)test;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(empty_store(NULL), 0);
		put_entry("Boot0000", "debian", "\\EFI\\debian\\shimx64.efi", LOADOPTION_ACTIVE);
		put_order("0000");
		for (int round = 0; round < 10; round++) {
			assert_int_equal(bootentries_sync(&vars, &esp, &both, &err), 0);
			assert_order("0001 0002 0003 0000");
			assert_int_equal(count_entries(), 4);
			assert_entry("Boot0001", "slotboot", LOADOPTION_ACTIVE, "");
			for (unsigned at = 0; at < 3; at++)
				put_path(order_at(at), rows[i].path, rows[i].len);
			mem.log[0] = 0;
		}
	}
}

/* What firmware puts may look like somebody's: such an entry is left alone, so that
 * at some point no more can be made. */
static void entries_that_the_firmware_makes_foreign_are_made_a_few_times_only(void **test)
{
	static const uint8_t file[] = { 4, 4, 8, 0, 'x', 0, 0, 0, END };
	struct boot_want want = { .loader = true };
	int refused = 0;

	(void)test;
	put_entry("Boot0000", "debian", "\\EFI\\debian\\shimx64.efi", LOADOPTION_ACTIVE);
	put_order("0000");
	for (int round = 0; round < 10; round++) {
		refused += bootentries_sync(&vars, &esp, &want, &err) < 0;
		put_path(order_at(0), file, sizeof file);
		mem.log[0] = 0;
	}
	assert_int_equal(refused, 10 - BOOT_LOOKALIKES_MAX);
	assert_int_equal(err.exit, EX_IOERR);
	assert_non_null(strstr(err.text, "refused to make one more boot entry"));
	assert_int_equal(count_entries(), BOOT_LOOKALIKES_MAX + 1);
	/* the other roles are seen to all the same */
	assert_int_equal(bootentries_sync(&vars, &esp, &both, &err), -1);
	assert_int_equal(count_entries(), BOOT_LOOKALIKES_MAX + 3);
	assert_string_equal(mem.log, "Boot0005 Boot0006 BootOrder");
}

/* Each disk that a board was ever given may have left its entries behind. */
static void entries_of_other_disks_are_no_reason_to_make_none(void **test)
{
	(void)test;
	for (uint8_t disk = 0; disk < 8; disk++) {
		struct esp_info other = esp;

		other.guid[15] = disk;
		mem.log[0] = 0;
		assert_int_equal(bootentries_sync(&vars, &other, &both, &err), 0);
	}
	assert_int_equal(count_entries(), 24);
}

static void what_the_firmware_adds_to_an_entry_at_each_boot_is_left_alone(void **test)
{
	static const uint8_t options[] = { 'x', 0, 0, 0 };
	struct boot_want want = both;

	(void)test;
	want.direct[0].options = options;
	want.direct[0].options_len = sizeof options;
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	for (unsigned number = 1; number <= 3; number++) {
		char name[9];
		struct mem_var *var;

		(void)snprintf(name, sizeof name, "Boot%04X", number);
		var = mem_find(&mem, VARS_GLOBAL, name);
		var->data[0] |= 0x8;
		if (number == 3)	/* a stub would take it for a command line */
			continue;
		memcpy(var->data + var->len, "BO", 2);
		var->len += 2;
	}
	mem.log[0] = 0;
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	assert_string_equal(mem.log, "");
	memcpy(mem_find(&mem, VARS_GLOBAL, "Boot0003")->data +
	       mem_find(&mem, VARS_GLOBAL, "Boot0003")->len, "BO", 2);
	mem_find(&mem, VARS_GLOBAL, "Boot0003")->len += 2;
	assert_int_equal(bootentries_sync(&vars, &esp, &want, &err), 0);
	assert_string_equal(mem.log, "Boot0003");
	assert_entry("Boot0003", "slotboot b", LOADOPTION_ACTIVE, "");
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
	assert_string_equal(mem.log, "Boot0003 Boot0007");
	assert_entry("Boot0003", "slotboot b", 0, "op");
	assert_entry("Boot0007", "renamed", 0x100, "");
	assert_entry("Boot0002", "slotboot a", LOADOPTION_ACTIVE, "");
	assert_int_equal(bootentries_set_active(&vars, &esp, 1, true, &err), 0);
	assert_entry("Boot0003", "slotboot b", LOADOPTION_ACTIVE, "op");
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
		SYNC_TEST(an_empty_store_gets_entries_and_then_bootorder),
		SYNC_TEST(a_second_run_writes_nothing),
		SYNC_TEST(only_what_differs_is_written),
		SYNC_TEST(a_relabelled_entry_of_ours_is_mended_in_place),
		SYNC_TEST(foreign_entries_are_not_touched_whatever_they_hold),
		SYNC_TEST(lower_case_names_are_understood_and_kept),
		SYNC_TEST(of_two_spellings_of_a_number_the_upper_case_one_counts),
		SYNC_TEST(half_a_number_in_bootorder_is_dropped),
		SYNC_TEST(an_entry_of_ours_with_odd_variable_attributes_is_replaced),
		SYNC_TEST(entries_on_another_disk_are_foreign),
		SYNC_TEST(entries_whose_path_the_firmware_replaces_are_taken_over_and_do_not_pile_up),
		SYNC_TEST(entries_that_the_firmware_makes_foreign_are_made_a_few_times_only),
		SYNC_TEST(entries_of_other_disks_are_no_reason_to_make_none),
		SYNC_TEST(what_the_firmware_adds_to_an_entry_at_each_boot_is_left_alone),
		SYNC_TEST(a_power_cut_before_any_write_leaves_a_bootable_order_and_is_mended),
		SYNC_TEST(set_active_flips_that_bit_of_that_slots_entries_only),
		SYNC_TEST(set_active_without_an_entry_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
