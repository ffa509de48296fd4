/* SPDX-License-Identifier: MIT */
#include "vars.h"

#include "test_vars_mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct err err;

static int keeps_nothing(void *ctx, enum vars_guid guid, const char *name,
			 const uint8_t *data, size_t len, uint32_t attributes,
			 struct err *e)
{
	(void)ctx, (void)guid, (void)name, (void)data, (void)len, (void)attributes, (void)e;
	return 0;
}

static int drops_a_byte(void *ctx, enum vars_guid guid, const char *name,
			const uint8_t *data, size_t len, uint32_t attributes, struct err *e)
{
	return mem_set(ctx, guid, name, data, len - 1, attributes, e);
}

static int flips_a_bit(void *ctx, enum vars_guid guid, const char *name,
		       const uint8_t *data, size_t len, uint32_t attributes, struct err *e)
{
	uint8_t copy[16];

	memcpy(copy, data, len);
	copy[len - 1] ^= 1;
	return mem_set(ctx, guid, name, copy, len, attributes, e);
}

static int makes_it_volatile(void *ctx, enum vars_guid guid, const char *name,
			     const uint8_t *data, size_t len, uint32_t attributes,
			     struct err *e)
{
	return mem_set(ctx, guid, name, data, len, attributes & ~VARS_NON_VOLATILE, e);
}

static void firmware_that_accepts_a_value_and_keeps_another_is_an_error(void **test)
{
	int (*const lies[])(void *, enum vars_guid, const char *, const uint8_t *, size_t,
			    uint32_t, struct err *) = {
		keeps_nothing, drops_a_byte, flips_a_bit, makes_it_volatile,
	};

	(void)test;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct mem mem = { 0 };
		struct vars vars = mem_vars(&mem);

		vars.set = lies[i];
		assert_int_equal(vars_set(&vars, VARS_SLOTBOOT, "SlotState",
					  (const uint8_t *)"abc", 3, VARS_NV_BS_RT, &err), -1);
		assert_int_equal(err.exit, EX_IOERR);
		assert_non_null(strstr(err.text, "did not keep it"));
	}
}

static int deletes_nothing(void *ctx, enum vars_guid guid, const char *name, struct err *e)
{
	(void)ctx, (void)guid, (void)name, (void)e;
	return 0;
}

static void firmware_that_keeps_a_deleted_variable_is_an_error(void **test)
{
	struct mem mem = { 0 };
	struct vars vars = mem_vars(&mem);

	(void)test;
	mem_put(&mem, VARS_GLOBAL, "Boot0001", "x", 1, VARS_NV_BS_RT);
	vars.delete = deletes_nothing;
	assert_int_equal(vars_delete(&vars, VARS_GLOBAL, "Boot0001", &err), -1);
	assert_int_equal(err.exit, EX_IOERR);
}

static void a_utf16_variable_is_read_as_utf8_up_to_its_nul(void **test)
{
	static const struct {
		const char *data;
		size_t len;
		const char *text;	/* NULL: refused */
	} rows[] = {
		{ "a\0b\0\0\0", 6, "ab" },
		{ "a\0b\0", 4, "ab" },
		{ "a\0\0\0b\0", 6, "a" },
		{ "a\0b\0\0", 5, "ab" },
		{ "\0\0", 2, "" },
		{ "\xe4\0\xac\x20", 4, "\xc3\xa4\xe2\x82\xac" },
		{ "\x3d\xd8\x00\xde", 4, "\xf0\x9f\x98\x80" },
		{ "\x3d\xd8", 2, NULL },
		{ "\x3d\xd8\x00", 3, NULL },
		{ "\x3d\xd8" "a\0", 4, NULL },
		{ "\x00\xde", 2, NULL },
	};

	(void)test;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = NULL;
		struct mem mem = { 0 };
		struct vars vars = mem_vars(&mem);
		int r;

		mem_put(&mem, VARS_LOADER, "LoaderInfo", rows[i].data, rows[i].len, 6);
		r = vars_get_utf16(&vars, VARS_LOADER, "LoaderInfo", &text, &err);
		assert_int_equal(r, rows[i].text ? 0 : -1);
		if (rows[i].text)
			assert_string_equal(text, rows[i].text);
		else
			assert_int_equal(err.exit, EX_IOERR);
	}
}

static void an_absent_utf16_variable_is_absent(void **test)
{
	struct mem mem = { 0 };
	struct vars vars = mem_vars(&mem);
	char *text = NULL;

	(void)test;
	assert_int_equal(vars_get_utf16(&vars, VARS_LOADER, "LoaderInfo", &text, &err), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(firmware_that_accepts_a_value_and_keeps_another_is_an_error),
		cmocka_unit_test(firmware_that_keeps_a_deleted_variable_is_an_error),
		cmocka_unit_test(a_utf16_variable_is_read_as_utf8_up_to_its_nul),
		cmocka_unit_test(an_absent_utf16_variable_is_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
