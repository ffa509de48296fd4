/* SPDX-License-Identifier: MIT */
#include "esp_stage.h"

#include "io.h"
#include "unittest.h"

static void what_mtools_says_of_its_failure_is_in_the_error(void **test)
{
	static struct esp_stage stage;
	struct esp_make make = { .bytes = 8 << 20, .volume_id = 1 };
	struct err err = { 0 };
	int fd = -1;

	(void)test;
	assert_int_equal(fat_size_choose(make.bytes, 512, &make.fat, &err), 0);
	/* Its parent is not there. */
	assert_int_equal(esp_stage_make_dir(&stage, "EFI/slotboot"), 0);
	assert_int_equal(esp_stage_make(&stage, &make, &fd, &err), -1);
	assert_int_equal(err.exit, EX_UNAVAILABLE);
	assert_string_equal(err.text, "failed to make the ESP: mmd ended with status 1: "
				      "mmd: File \"::EFI/slotboot\" not found");
	esp_stage_clear(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_mtools_says_of_its_failure_is_in_the_error),
	};

	return cmocka_run_group_tests_name("esp_stage", tests, NULL, NULL);
}
