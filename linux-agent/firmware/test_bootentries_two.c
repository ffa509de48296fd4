/* SPDX-License-Identifier: MIT */
/* The entries of a machine with two ESPs. */
#include "bootentries.h"

#include "bytes.h"
#include "loadoption.h"
#include "test_vars_mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct esp_info one = { .part = 1, .start = 2048, .size = 9999, .sector_size = 512, .guid = { 1 } };
static const struct esp_info two = { .part = 1, .start = 2048, .size = 9999, .sector_size = 512, .guid = { 2 } };
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

static int sync_of(const struct esp_info *esp, const struct esp_info *other)
{
	const struct boot_want want = { .loader = true, .other = other, .other_loader = other != NULL };

	mem.log[0] = 0;
	return bootentries_sync(&vars, esp, &want, &err);
}

static void put_entry(const char *name, const char *label, const uint8_t *path, size_t path_len)
{
	uint8_t data[128] = { LOADOPTION_ACTIVE };
	size_t at = 6;

	le16_put(data + 4, (uint16_t)path_len);
	for (const char *p = label; *p; p++, at += 2)
		data[at] = (uint8_t)*p;
	at += 2;
	memcpy(data + at, path, path_len);
	mem_put(&mem, VARS_GLOBAL, name, data, at + path_len, VARS_NV_BS_RT);
}

static bool leads_to(const char *name, const struct esp_info *esp)
{
	struct mem_var *var = mem_find(&mem, VARS_GLOBAL, name);

	return var && loadoption_is_ours(var->data, var->len, esp->guid, BOOTENTRIES_LOADER_PATH);
}

static void the_other_loader_comes_second_and_direct_entries_of_both_go(void **test)
{
	const struct boot_want single = { .loader = true, .direct = { { true, true, NULL, 0 } } };
	const struct boot_want second = { .direct = { { true, true, NULL, 0 } } };

	(void)test;
	assert_int_equal(bootentries_sync(&vars, &one, &single, &err), 0);
	assert_int_equal(bootentries_sync(&vars, &two, &second, &err), 0);
	assert_int_equal(sync_of(&one, &two), 0);
	assert_string_equal(mem.log, "Boot0004 BootOrder -Boot0002 -Boot0003");
	assert_true(leads_to("Boot0001", &one) && leads_to("Boot0004", &two));
	assert_memory_equal(mem_find(&mem, VARS_GLOBAL, "BootOrder")->data, "\1\0\4\0", 4);
	assert_int_equal(sync_of(&one, &two), 0);
	assert_string_equal(mem.log, "");
}

static void booted_from_the_other_one_only_bootorder_changes(void **test)
{
	(void)test;
	assert_int_equal(sync_of(&one, &two), 0);
	assert_int_equal(sync_of(&two, &one), 0);
	assert_string_equal(mem.log, "BootOrder");
	assert_true(leads_to("Boot0001", &one) && leads_to("Boot0002", &two));
	assert_memory_equal(mem_find(&mem, VARS_GLOBAL, "BootOrder")->data, "\2\0\1\0", 4);
}

static void the_entry_of_a_lost_esp_is_left_alone(void **test)
{
	static const uint8_t nowhere[] = { 0x7f, 0xff, 4, 0 };

	(void)test;
	assert_int_equal(sync_of(&one, &two), 0);
	assert_int_equal(sync_of(&one, NULL), 0);
	assert_string_equal(mem.log, "");
	/* And that of the one that is left is good enough, whatever it is called. */
	assert_int_equal(sync_of(&two, NULL), 0);
	assert_string_equal(mem.log, "BootOrder");
	assert_int_equal(sync_of(&one, NULL), 0);
	/* Also where the firmware has taken its path. */
	put_entry("Boot0002", "slotboot on the other disk", nowhere, sizeof nowhere);
	assert_int_equal(sync_of(&one, NULL), 0);
	assert_string_equal(mem.log, "");
	assert_int_equal(sync_of(&one, &two), 0);
	assert_string_equal(mem.log, "Boot0002");
	assert_true(leads_to("Boot0002", &two));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_other_loader_comes_second_and_direct_entries_of_both_go, empty_store),
		cmocka_unit_test_setup(booted_from_the_other_one_only_bootorder_changes, empty_store),
		cmocka_unit_test_setup(the_entry_of_a_lost_esp_is_left_alone, empty_store),
	};

	return cmocka_run_group_tests_name("bootentries of two ESPs", tests, NULL, NULL);
}
