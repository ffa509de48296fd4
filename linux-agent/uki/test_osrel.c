/* SPDX-License-Identifier: MIT */
#include "osrel.h"

#include "io.h"
#include "unittest.h"

static void the_image_is_what_os_release_says(void **state)
{
	static const struct {
		const char *text, *id, *version;
	} cases[] = {
		{ "", NULL, NULL },
		{ "ID=debian\nVERSION_ID=12\n", NULL, NULL },
		{ "IMAGE_ID=acme\nIMAGE_VERSION=1.2~rc1", "acme", "1.2~rc1" },
		{ "ID=x\nIMAGE_VERSION=\"3\" \nIMAGE_ID='a b'\t\r\n", "a b", "3" },
		{ "IMAGE_ID=\"a\\\"b\\$\"\n", "a\"b$", NULL },
		{ "IMAGE_ID='a\\b'\n", "a\\b", NULL },
		{ "IMAGE_ID=\nIMAGE_VERSION=\"\"\n", NULL, NULL },
		{ "IMAGE_ID=a\nIMAGE_ID=b\n", "b", NULL },
		{ "IMAGE_ID=a\nIMAGE_ID=\n", NULL, NULL },
		{ "#IMAGE_ID=a\n IMAGE_ID=b\nXIMAGE_ID=c\nIMAGE_IDX=d\nIMAGE_ID", NULL, NULL },
		{ "IMAGE_ID=\"open\\", "open\\", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct osrel osrel;

		assert_int_equal(osrel_parse(cases[i].text, &osrel), 0);
		if (cases[i].id)
			assert_string_equal(osrel.image_id, cases[i].id);
		else
			assert_null(osrel.image_id);
		if (cases[i].version)
			assert_string_equal(osrel.image_version, cases[i].version);
		else
			assert_null(osrel.image_version);
		osrel_clear(&osrel);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_image_is_what_os_release_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
