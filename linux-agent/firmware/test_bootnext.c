/* SPDX-License-Identifier: MIT */
#include "bootnext.h"

#include "bootentries.h"
#include "loadoption.h"
#include "test_vars_mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct esp_info esp = {
	.part = 1, .sector_size = 512, .start = 2048, .size = 204800, .guid = { 1, 2, 3 },
};

static struct mem store;

static void put_entry(const char *name, const char *path, uint32_t attributes)
{
	uint8_t *data;
	size_t len;

	assert_int_equal(loadoption_build(&esp, attributes, "x", path, NULL, 0, &data, &len, NULL), 0);
	mem_put(&store, VARS_GLOBAL, name, data, len, VARS_NV_BS_RT);
	free(data);
}

static void put_number(const char *name, uint16_t number)
{
	const uint8_t data[] = { (uint8_t)number, (uint8_t)(number >> 8) };

	mem_put(&store, VARS_GLOBAL, name, data, sizeof data, VARS_NV_BS_RT);
}

static struct vars begin(void)
{
	store = (struct mem){ 0 };
	put_entry("Boot0001", BOOTENTRIES_LOADER_PATH, LOADOPTION_ACTIVE);
	put_entry("Boot00ab", BOOTENTRIES_TRIAL_PATH, LOADOPTION_ACTIVE);
	return mem_vars(&store);
}

static enum boot_next next_of(const struct vars *vars)
{
	enum boot_next next;

	assert_int_equal(bootnext_get(vars, &esp, BOOTENTRIES_TRIAL_PATH, &next, NULL), 0);
	return next;
}

static void bootnext_is_set_and_taken_back(void **test)
{
	const struct vars vars = begin();

	(void)test;
	assert_int_equal(next_of(&vars), BOOT_NEXT_NONE);
	assert_int_equal(bootnext_set(&vars, &esp, BOOTENTRIES_TRIAL_PATH, NULL), 0);
	assert_int_equal(next_of(&vars), BOOT_NEXT_OURS);
	assert_memory_equal(mem_find(&store, VARS_GLOBAL, "BootNext")->data, "\xab\0", 2);
	assert_int_equal(bootnext_clear(&vars, &esp, BOOTENTRIES_TRIAL_PATH, NULL), 0);
	assert_null(mem_find(&store, VARS_GLOBAL, "BootNext"));
	assert_string_equal(store.log, "BootNext -BootNext");
}

static void what_another_has_put_there_stays(void **test)
{
	const struct vars vars = begin();

	(void)test;
	put_number("BootNext", 1);
	assert_int_equal(next_of(&vars), BOOT_NEXT_OTHER);
	assert_int_equal(bootnext_clear(&vars, &esp, BOOTENTRIES_TRIAL_PATH, NULL), 0);
	put_number("BootNext", 7);	/* there is no such entry */
	assert_int_equal(next_of(&vars), BOOT_NEXT_OTHER);
	assert_int_equal(bootnext_clear(&vars, &esp, BOOTENTRIES_TRIAL_PATH, NULL), 0);
	assert_string_equal(store.log, "");
}

/* As the firmware follows it all the same. */
static void what_names_an_inactive_entry_of_ours_is_taken_back(void **test)
{
	const struct vars vars = begin();

	(void)test;
	put_entry("Boot00ab", BOOTENTRIES_TRIAL_PATH, 0);
	put_number("BootNext", 0xab);
	assert_int_equal(next_of(&vars), BOOT_NEXT_OURS);
	assert_int_equal(bootnext_clear(&vars, &esp, BOOTENTRIES_TRIAL_PATH, NULL), 0);
	assert_null(mem_find(&store, VARS_GLOBAL, "BootNext"));
}

static void a_slots_entry_is_named_by_its_own_path(void **test)
{
	const struct vars vars = begin();
	enum boot_next next;

	(void)test;
	put_entry("Boot0003", BOOTENTRIES_A_PATH, LOADOPTION_ACTIVE);
	put_entry("Boot0002", BOOTENTRIES_B_PATH, LOADOPTION_ACTIVE);
	assert_int_equal(bootnext_set(&vars, &esp, BOOTENTRIES_A_PATH, NULL), 0);
	assert_memory_equal(mem_find(&store, VARS_GLOBAL, "BootNext")->data, "\3\0", 2);
	assert_int_equal(bootnext_get(&vars, &esp, BOOTENTRIES_B_PATH, &next, NULL), 0);
	assert_int_equal(next, BOOT_NEXT_OTHER);
	assert_int_equal(bootnext_clear(&vars, &esp, BOOTENTRIES_B_PATH, NULL), 0);
	assert_int_equal(bootnext_set(&vars, &esp, BOOTENTRIES_A_PATH, NULL), 0);
	assert_int_equal(bootnext_clear(&vars, &esp, BOOTENTRIES_A_PATH, NULL), 0);
	assert_string_equal(store.log, "BootNext -BootNext");
}

static void without_an_entry_for_it_nothing_is_set(void **test)
{
	const struct vars vars = begin();
	struct err err = { 0 };

	(void)test;
	put_entry("Boot00ab", BOOTENTRIES_TRIAL_PATH, 0);	/* inactive */
	assert_int_equal(bootnext_set(&vars, &esp, BOOTENTRIES_TRIAL_PATH, &err), -1);
	assert_int_equal(err.exit, EX_IOERR);
	assert_string_equal(store.log, "");
}

static void whether_the_new_loader_comes_first_is_read_from_bootorder(void **test)
{
	const struct vars vars = begin();
	bool leads;

	(void)test;
	assert_int_equal(bootnext_leads(&vars, &esp, &leads, NULL), 0);
	assert_false(leads);
	put_number("BootOrder", 0xab);
	assert_int_equal(bootnext_leads(&vars, &esp, &leads, NULL), 0);
	assert_true(leads);
	put_number("BootOrder", 1);
	assert_int_equal(bootnext_leads(&vars, &esp, &leads, NULL), 0);
	assert_false(leads);
}

static void a_variable_that_cannot_be_read_is_an_error(void **test)
{
	const struct vars vars = begin();
	enum boot_next next;
	struct err err = { 0 };

	(void)test;
	store.unreadable = "BootNext";
	assert_int_equal(bootnext_get(&vars, &esp, BOOTENTRIES_TRIAL_PATH, &next, &err), -1);
	assert_int_equal(bootnext_clear(&vars, &esp, BOOTENTRIES_TRIAL_PATH, &err), -1);
	assert_int_equal(err.exit, EX_IOERR);
	put_number("BootNext", 0xab);	/* the entry that it names, which is then to go */
	store.unreadable = "Boot00ab";
	assert_int_equal(bootnext_clear(&vars, &esp, BOOTENTRIES_TRIAL_PATH, &err), -1);
	store.unreadable = "Boot0001";
	assert_int_equal(bootnext_clear(&vars, &esp, BOOTENTRIES_TRIAL_PATH, &err), 0);
	assert_null(mem_find(&store, VARS_GLOBAL, "BootNext"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bootnext_is_set_and_taken_back),
		cmocka_unit_test(what_another_has_put_there_stays),
		cmocka_unit_test(what_names_an_inactive_entry_of_ours_is_taken_back),
		cmocka_unit_test(a_slots_entry_is_named_by_its_own_path),
		cmocka_unit_test(without_an_entry_for_it_nothing_is_set),
		cmocka_unit_test(whether_the_new_loader_comes_first_is_read_from_bootorder),
		cmocka_unit_test(a_variable_that_cannot_be_read_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
