/* SPDX-License-Identifier: MIT */
#include "version_compare.h"

#include "unittest.h"
#include "io.h"

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void the_examples_of_the_specification_hold(void **state)
{
	static const struct {
		const char *a, *b;
		int expected;
	} rows[] = {
		{ "11", "11", 0 },
		{ "systemd-123", "systemd-123", 0 },
		{ "bar-123", "foo-123", -1 },
		{ "123a", "123", 1 },
		{ "123.a", "123", 1 },
		{ "123.a", "123.b", -1 },
		{ "123a", "123.a", 1 },
		{ "11\u03b1", "11\u03b2", 0 },
		{ "B", "a", -1 },
		{ "", "0", -1 },
		{ "0.", "0", 1 },
		{ "0.0", "0", 1 },
		{ "0", "~", 1 },
		{ "", "~", 1 },
		{ "1_", "1", 0 },
		{ "_1", "1", 0 },
		{ "1_", "1.2", -1 },
		{ "1_2_3", "1.3.3", 1 },
		{ "1+", "1", 0 },
		{ "+1", "1", 0 },
		{ "1+", "1.2", -1 },
		{ "1+2+3", "1.3.3", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(sign(version_compare(rows[i].a, rows[i].b)), rows[i].expected);
		assert_int_equal(sign(version_compare(rows[i].b, rows[i].a)), -rows[i].expected);
	}
}

static void every_version_is_below_all_that_follow_it(void **state)
{
	static const char *const rising[] = {
		"122.1", "123~rc1-1", "123", "123-a", "123-a.1", "123-1", "123-1.1", "123^post1",
		"123.a-1", "123.1-1", "123a-1", "124-1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rising); i++)
		for (size_t k = 0; k < ARRAY_SIZE(rising); k++)
			assert_int_equal(sign(version_compare(rising[i], rising[k])),
					 (i > k) - (i < k));
}

static void numbers_of_any_length_are_compared_by_value(void **state)
{
	(void)state;
	assert_int_equal(version_compare("1.007", "1.7"), 0);
	assert_true(version_compare("1.10", "1.9") > 0);
	assert_true(version_compare("99999999999999999999999999999999",
				    "100000000000000000000000000000000") < 0);
	assert_true(version_compare("1.4.2", "1.4.2~beta3") > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_specification_hold),
		cmocka_unit_test(every_version_is_below_all_that_follow_it),
		cmocka_unit_test(numbers_of_any_length_are_compared_by_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
