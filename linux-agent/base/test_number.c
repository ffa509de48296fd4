/* SPDX-License-Identifier: MIT */
#include "number.h"

#include "unittest.h"

static void a_number_is_digits_within_its_bounds_and_nothing_else(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		bool is;
		uint64_t want;
	} rows[] = {
		{ "0", 0, 9, true, 0 }, { "1", 1, 255, true, 1 }, { "255", 1, 255, true, 255 },
		{ "007", 1, 255, true, 7 },
		{ "18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX },
		{ "0", 1, 255, false, 0 }, { "256", 1, 255, false, 0 },
		{ "18446744073709551616", 0, UINT64_MAX, false, 0 },
		{ "99999999999999999999999", 0, UINT64_MAX, false, 0 },
		{ "", 0, 9, false, 0 }, { "-1", 0, 9, false, 0 }, { "+1", 0, 9, false, 0 },
		{ " 1", 0, 9, false, 0 }, { "1 ", 0, 9, false, 0 }, { "0x1", 0, 9, false, 0 },
		{ "-", 0, UINT64_MAX, false, 0 }, { "1k", 0, 9, false, 0 }, { "one", 0, 9, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t number = 77;

		assert_int_equal(number_parse(rows[i].text, rows[i].min, rows[i].max, &number), rows[i].is);
		assert_true(number == (rows[i].is ? rows[i].want : 77));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_digits_within_its_bounds_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
