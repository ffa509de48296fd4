/* SPDX-License-Identifier: MIT */
#include "espentry.h"

#include "bootentries.h"
#include "bootnext.h"
#include "loadoption.h"
#include "test_vars_mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SHIM "\\EFI\\slotboot\\shimx64.efi"

static const struct esp_info plain = { .part = 1, .sector_size = 512, .start = 2048, .size = 204800, .guid = { 1, 2, 3 } };
static const struct esp_info shimmed = { .part = 1, .sector_size = 512, .start = 2048, .size = 204800, .guid = { 1, 2, 3 },
					 .shim = SHIM };
static struct mem mem;

/* Characters as UTF-16; a '|' is a NUL. */
static size_t wide(const char *text, uint8_t out[512])
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = text[i] == '|' ? 0 : (uint8_t)text[i];
		out[2 * i + 1] = 0;
	}
	return 2 * n;
}

static bool leads(const struct esp_info *esp, const char *file, const char *options, const char *path)
{
	uint8_t bytes[512], *data;
	size_t len, bytes_len = wide(options, bytes);
	bool r;

	assert_int_equal(loadoption_build(&plain, LOADOPTION_ACTIVE, "x", file, bytes, bytes_len, &data, &len, NULL), 0);
	r = espentry_leads(esp, data, len, path);
	free(data);
	return r;
}

static void an_entry_leads_to_what_shim_is_told_to_start(void **test)
{
	(void)test;
	assert_true(leads(&shimmed, SHIM, BOOTENTRIES_LOADER_PATH "|", BOOTENTRIES_LOADER_PATH));
	assert_true(leads(&shimmed, SHIM, "  " BOOTENTRIES_A_PATH " @1|", BOOTENTRIES_A_PATH));
	assert_true(leads(&shimmed, SHIM, "\\efi\\SLOTBOOT\\a\\uki.efi", BOOTENTRIES_A_PATH));
	assert_false(leads(&shimmed, SHIM, BOOTENTRIES_A_PATH " @1|", BOOTENTRIES_B_PATH));
	assert_false(leads(&shimmed, SHIM, BOOTENTRIES_TRIAL_PATH "|", BOOTENTRIES_LOADER_PATH));
	assert_false(leads(&shimmed, SHIM, "\\fwupdx64.efi|", BOOTENTRIES_LOADER_PATH));
	assert_false(leads(&shimmed, "\\EFI\\debian\\shimx64.efi", BOOTENTRIES_LOADER_PATH "|", BOOTENTRIES_LOADER_PATH));
}

static void shim_without_options_starts_the_loader(void **test)
{
	(void)test;
	assert_true(leads(&shimmed, SHIM, "", BOOTENTRIES_LOADER_PATH));
	assert_true(leads(&shimmed, SHIM, "||", BOOTENTRIES_LOADER_PATH));
	assert_false(leads(&shimmed, SHIM, "", BOOTENTRIES_TRIAL_PATH));
}

static void a_file_itself_is_led_to_with_and_without_shim(void **test)
{
	(void)test;
	assert_true(leads(&shimmed, BOOTENTRIES_A_PATH, "", BOOTENTRIES_A_PATH));
	assert_true(leads(&plain, BOOTENTRIES_A_PATH, "", BOOTENTRIES_A_PATH));
	assert_false(leads(&plain, SHIM, BOOTENTRIES_A_PATH "|", BOOTENTRIES_A_PATH));
}

static void options_that_are_no_text_lead_nowhere(void **test)
{
	char longest[200];

	(void)test;
	assert_false(leads(&shimmed, SHIM, "\xff\xff\xff", BOOTENTRIES_LOADER_PATH));
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	assert_false(leads(&shimmed, SHIM, longest, BOOTENTRIES_LOADER_PATH));
}

static void assert_options(const struct esp_info *esp, const char *options, const char *wanted)
{
	uint8_t bytes[512], expected[512], *data;
	size_t len, bytes_len = wide(options, bytes), expected_len = wide(wanted, expected);

	assert_int_equal(espentry_options(esp, BOOTENTRIES_A_PATH, bytes, bytes_len, &data, &len, NULL), 0);
	assert_int_equal(len, expected_len);
	assert_memory_equal(data, expected, len);
	free(data);
}

static void shim_is_told_the_file_and_what_that_is_given(void **test)
{
	(void)test;
	assert_options(&plain, "@1|", "@1|");
	assert_options(&plain, "", "");
	assert_options(&shimmed, "", BOOTENTRIES_A_PATH "|");
	assert_options(&shimmed, "@1|", BOOTENTRIES_A_PATH " @1|");
}

static bool entry_is(const char *name, const char *file, const char *options)
{
	const struct mem_var *var = mem_find(&mem, VARS_GLOBAL, name);
	struct load_option option;
	uint8_t bytes[512];
	size_t len = wide(options, bytes);

	return var && loadoption_is_ours(var->data, var->len, plain.guid, file) &&
	       loadoption_parse(var->data, var->len, &option) && option.options_len == len &&
	       memcmp(option.options, bytes, len) == 0;
}

static void entries_are_remade_once_when_shim_comes(void **test)
{
	static const uint8_t profile[] = { '@', 0, '1', 0, 0, 0 };
	const struct boot_want want = { .loader = true, .trial = true, .confirmed = 0,
					.direct[0] = { .present = true, .active = true, .options = profile,
						       .options_len = sizeof profile } };
	const struct vars vars = mem_vars(&mem);
	enum boot_next next;

	(void)test;
	mem = (struct mem){ .writes_left = -1 };
	assert_int_equal(bootentries_sync(&vars, &plain, &want, NULL), 0);
	assert_int_equal(bootentries_sync(&vars, &shimmed, &want, NULL), 0);
	assert_true(entry_is("Boot0001", SHIM, BOOTENTRIES_LOADER_PATH "|"));
	assert_true(entry_is("Boot0002", SHIM, BOOTENTRIES_A_PATH " @1|"));
	assert_true(entry_is("Boot0003", SHIM, BOOTENTRIES_TRIAL_PATH "|"));
	assert_null(mem_find(&mem, VARS_GLOBAL, "Boot0004"));

	mem.log[0] = 0;
	assert_int_equal(bootentries_sync(&vars, &shimmed, &want, NULL), 0);
	assert_string_equal(mem.log, "");
	assert_int_equal(bootnext_set(&vars, &shimmed, BOOTENTRIES_TRIAL_PATH, NULL), 0);
	assert_int_equal(bootnext_get(&vars, &shimmed, BOOTENTRIES_TRIAL_PATH, &next, NULL), 0);
	assert_int_equal(next, BOOT_NEXT_OURS);
	assert_memory_equal(mem_find(&mem, VARS_GLOBAL, "BootNext")->data, "\3\0", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_leads_to_what_shim_is_told_to_start),
		cmocka_unit_test(shim_without_options_starts_the_loader),
		cmocka_unit_test(a_file_itself_is_led_to_with_and_without_shim),
		cmocka_unit_test(options_that_are_no_text_lead_nowhere),
		cmocka_unit_test(shim_is_told_the_file_and_what_that_is_given),
		cmocka_unit_test(entries_are_remade_once_when_shim_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
