/* SPDX-License-Identifier: MIT */
/* Reading the rules from the variables. */
#include "secureboot.h"

#include "test_vars_mem.h"
#include "testsiglist.h"
#include "unittest.h"

#define AUTHENTICATED (VARS_NV_BS_RT | 0x20)

struct fixture {
	struct mem mem;
	struct secureboot rules;
	struct err err;
};

static void fixture_make(struct fixture *f)
{
	static const uint8_t on = 1;
	struct testlists lists = { .len = 0 };
	uint8_t digest[32] = { 7 };

	memset(f, 0, sizeof *f);
	f->mem.writes_left = -1;
	(void)testlists_add(&lists, GUID_SHA256, digest, 32, 1);
	mem_put(&f->mem, VARS_GLOBAL, "SecureBoot", &on, 1, VARS_BS_RT);
	mem_put(&f->mem, VARS_SECURITY, "db", lists.bytes, lists.len, AUTHENTICATED);
	mem_put(&f->mem, VARS_SECURITY, "dbx", lists.bytes, lists.len, AUTHENTICATED);
}

static const struct secureboot *read_it(struct fixture *f)
{
	const struct vars vars = mem_vars(&f->mem);

	secureboot_clear(&f->rules);
	assert_int_equal(secureboot_read(&vars, &f->rules, &f->err), 0);
	return &f->rules;
}

static void the_firmwares_lists_are_read_where_secure_boot_is_on(void **state)
{
	static const uint8_t values[][2] = { { 1, 1 }, { 0, 0 }, { 2, 0 } };
	struct fixture f;

	(void)state;
	fixture_make(&f);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		mem_put(&f.mem, VARS_GLOBAL, "SecureBoot", &values[i][0], 1, VARS_BS_RT);
		assert_int_equal(read_it(&f)->on, values[i][1]);
		assert_int_equal(f.rules.lists[SECUREBOOT_DB].count, values[i][1]);
		assert_int_equal(f.rules.lists[SECUREBOOT_DBX].count, values[i][1]);
		assert_false(f.rules.shim || f.rules.times);
		assert_string_equal(f.rules.doubt, "");
	}
	mem_find(&f.mem, VARS_GLOBAL, "SecureBoot")->len = 0;
	assert_false(read_it(&f)->on);
	secureboot_clear(&f.rules);
}

static void what_shim_left_of_this_boot_says_that_it_was_the_way(void **state)
{
	static const char level[] = "sbat,1,2024010900\nshim,4\n";
	static const uint8_t one = 1;
	struct fixture f;

	(void)state;
	fixture_make(&f);
	mem_put(&f.mem, VARS_SHIM, "SbatLevelRT", level, sizeof level - 1, VARS_BS_RT);
	mem_put(&f.mem, VARS_SHIM, "MokListXRT", f.mem.vars[1].data, f.mem.vars[1].len, VARS_BS_RT);
	assert_true(read_it(&f)->shim);
	assert_int_equal(f.rules.sbat.count, 2);
	assert_int_equal(f.rules.lists[SECUREBOOT_MOK].count, 0);
	assert_int_equal(f.rules.lists[SECUREBOOT_MOKX].count, 1);
	assert_false(f.rules.shim_off || f.rules.shim_without_db);
	mem_put(&f.mem, VARS_SHIM, "MokListRT", f.mem.vars[1].data, f.mem.vars[1].len, VARS_BS_RT);
	mem_put(&f.mem, VARS_SHIM, "MokSBStateRT", &one, 1, VARS_BS_RT);
	mem_put(&f.mem, VARS_SHIM, "MokIgnoreDB", &one, 1, VARS_BS_RT);
	mem_put(&f.mem, VARS_SECURITY, "dbt", f.mem.vars[1].data, f.mem.vars[1].len, AUTHENTICATED);
	assert_int_equal(read_it(&f)->lists[SECUREBOOT_MOK].count, 1);
	assert_true(f.rules.shim_off && f.rules.shim_without_db && f.rules.times);
	secureboot_clear(&f.rules);
}

/* Anybody with root could create one, and shim replaces its own at each boot. */
static void a_variable_of_shims_that_stays_is_not_shims(void **state)
{
	static const uint8_t one = 1;
	struct fixture f;

	(void)state;
	fixture_make(&f);
	mem_put(&f.mem, VARS_SHIM, "MokListRT", f.mem.vars[1].data, f.mem.vars[1].len, VARS_NV_BS_RT);
	mem_put(&f.mem, VARS_SHIM, "MokSBStateRT", &one, 1, VARS_NV_BS_RT);
	assert_false(read_it(&f)->shim);
	assert_false(f.rules.shim_off);
	assert_int_equal(f.rules.lists[SECUREBOOT_MOK].count, 0);
	secureboot_clear(&f.rules);
}

static void what_cannot_be_understood_is_a_doubt(void **state)
{
	static const struct {
		enum vars_guid guid;
		const char *name, *data;
		size_t len;		/* 0: the variable is removed */
		const char *doubt;
	} rows[] = {
		{ VARS_SECURITY, "db", "", 0, "there is no db to be seen" },
		{ VARS_SECURITY, "db", "short", 5, "db ends within a signature list" },
		{ VARS_SECURITY, "dbx", "short", 5, "dbx ends within a signature list" },
		{ VARS_SHIM, "MokListRT", "short", 5, "MokListRT ends within" },
		{ VARS_SHIM, "MokListXRT", "short", 5, "MokListXRT ends within" },
		{ VARS_SHIM, "SbatLevelRT", "short", 5, "SbatLevelRT has a line without" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture f;

		fixture_make(&f);
		if (rows[i].len)
			mem_put(&f.mem, rows[i].guid, rows[i].name, rows[i].data, rows[i].len, VARS_BS_RT);
		else
			mem_find(&f.mem, rows[i].guid, rows[i].name)->len = 0;
		assert_non_null(strstr(read_it(&f)->doubt, rows[i].doubt));
		assert_int_equal(f.rules.shim, rows[i].guid == VARS_SHIM && rows[i].name[7] != 'X');
		secureboot_clear(&f.rules);
	}
}

static void what_cannot_be_read_is_a_doubt_too(void **state)
{
	struct fixture f;
	struct vars vars;

	(void)state;
	fixture_make(&f);
	f.mem.unreadable = "dbx";
	assert_string_equal(read_it(&f)->doubt, "unreadable");
	assert_int_equal(f.rules.lists[SECUREBOOT_DB].count, 1);
	secureboot_clear(&f.rules);
	f.mem.unreadable = "SecureBoot";
	vars = mem_vars(&f.mem);
	assert_int_equal(secureboot_read(&vars, &f.rules, &f.err), -1);
	secureboot_clear(&f.rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_firmwares_lists_are_read_where_secure_boot_is_on),
		cmocka_unit_test(what_shim_left_of_this_boot_says_that_it_was_the_way),
		cmocka_unit_test(a_variable_of_shims_that_stays_is_not_shims),
		cmocka_unit_test(what_cannot_be_understood_is_a_doubt),
		cmocka_unit_test(what_cannot_be_read_is_a_doubt_too),
	};

	return cmocka_run_group_tests_name("secureboot_read", tests, NULL, NULL);
}
