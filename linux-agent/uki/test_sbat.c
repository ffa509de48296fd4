/* SPDX-License-Identifier: MIT */
#include "sbat.h"

#include "io.h"
#include "unittest.h"

/* In memory of just its size, so that ASan watches the bounds. */
static int parse(const char *text, size_t len, char **ret_copy, struct sbat *ret_sbat, struct err *err)
{
	*ret_copy = malloc(len ? len : 1);
	assert_non_null(*ret_copy);
	memcpy(*ret_copy, text, len);
	return sbat_parse("uki.efi", *ret_copy, len, ret_sbat, err);
}

static void lines_of_a_name_and_a_generation_are_read(void **state)
{
	static const char text[] = "sbat,1,SBAT Version,sbat,1,https://x\r\n\n"
				   "systemd-stub,2,The systemd Developers\nslotboot,65535\0grub,0";
	_cleanup_free_ char *copy = NULL;
	struct sbat sbat;

	(void)state;
	assert_int_equal(parse(text, sizeof text - 1, &copy, &sbat, NULL), 0);
	assert_int_equal(sbat.count, 3);
	assert_int_equal(sbat.entries[0].generation, 1);
	assert_int_equal(sbat.entries[1].generation, 2);
	assert_int_equal(sbat.entries[1].name_len, strlen("systemd-stub"));
	assert_memory_equal(sbat.entries[1].name, "systemd-stub", strlen("systemd-stub"));
	assert_int_equal(sbat.entries[2].generation, 65535);
}

static void nothing_has_no_entries(void **state)
{
	static const char *const texts[] = { "", "\n\n", "\r" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_free_ char *copy = NULL;
		struct sbat sbat;

		assert_int_equal(parse(texts[i], strlen(texts[i]), &copy, &sbat, NULL), 0);
		assert_int_equal(sbat.count, 0);
	}
}

static void what_is_no_entry_is_refused(void **state)
{
	static const char *const texts[] = {
		"shim", "shim,", ",1", "shim,0", "shim,65536", "shim,99999999999999999999", "shim,-1",
		"shim,1x", "shim, 1", "shim,x,1", "sbat,1\nshim\ngrub,2",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_free_ char *copy = NULL;
		struct sbat sbat;
		struct err err = { 0 };

		print_message("  %s\n", texts[i]);
		assert_int_equal(parse(texts[i], strlen(texts[i]), &copy, &sbat, &err), -1);
		assert_int_equal(err.exit, EX_DATAERR);
		assert_non_null(strstr(err.text, "uki.efi has a line without"));
	}
}

static void there_is_an_end_to_what_is_taken(void **state)
{
	_cleanup_free_ char *text = malloc(SBAT_MAX_BYTES + 1), *many = NULL, *large = NULL;
	struct sbat sbat;
	struct err err = { 0 };

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < SBAT_MAX_BYTES + 1; i++)
		text[i] = "a,1\n"[i % 4];
	assert_int_equal(parse(text, 4 * SBAT_MAX_ENTRIES, &many, &sbat, &err), 0);
	free(many);
	assert_int_equal(parse(text, 4 * SBAT_MAX_ENTRIES + 3, &many, &sbat, &err), -1);
	assert_non_null(strstr(err.text, "more than 128 lines"));
	assert_int_equal(parse(text, SBAT_MAX_BYTES + 1, &large, &sbat, &err), -1);
	assert_non_null(strstr(err.text, "65537 bytes"));
}

static void a_generation_below_the_level_is_revoked(void **state)
{
	static const struct {
		const char *image, *level;
		unsigned wanted;	/* 0: it is not revoked */
	} rows[] = {
		{ "sbat,1\nsystemd-stub,1", "sbat,1,2024\nshim,4\ngrub,3", 0 },
		{ "sbat,1\nsystemd-stub,1", "sbat,1,2024\nsystemd-stub,1", 0 },
		{ "sbat,1\nsystemd-stub,1", "sbat,1,2024\nsystemd-stub,2", 2 },
		{ "sbat,1\nsystemd-stub,3", "sbat,1,2024\nsystemd-stub,2", 0 },
		{ "sbat,1\nsystemd-stub.acme,1", "sbat,1,2024\nsystemd-stub,2", 0 },
		{ "sbat,1\nsystemd-stub,1", "sbat,1,2024\nsystemd-stub.acme,2", 0 },
		{ "sbat,1\nsystemd-stub,2\nsystemd-stub,1", "systemd-stub,2", 2 },
		{ "sbat,1\ngrub,9", "sbat,2", 2 },
		{ "", "sbat,2", 0 },
		{ "sbat,1", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sbat image, level;
		unsigned wanted = 0;

		assert_int_equal(sbat_parse("i", rows[i].image, strlen(rows[i].image), &image, NULL), 0);
		assert_int_equal(sbat_parse("l", rows[i].level, strlen(rows[i].level), &level, NULL), 0);
		assert_int_equal(sbat_revoked(&image, &level, &wanted) != NULL, rows[i].wanted != 0);
		assert_int_equal(wanted, rows[i].wanted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_a_name_and_a_generation_are_read),
		cmocka_unit_test(nothing_has_no_entries),
		cmocka_unit_test(what_is_no_entry_is_refused),
		cmocka_unit_test(there_is_an_end_to_what_is_taken),
		cmocka_unit_test(a_generation_below_the_level_is_revoked),
	};

	return cmocka_run_group_tests_name("sbat", tests, NULL, NULL);
}
