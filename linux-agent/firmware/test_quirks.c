/* SPDX-License-Identifier: MIT */
#include "quirks.h"

#include "io.h"
#include "unittest.h"

#define BOOT(n) "0000000" #n "-0000-4000-8000-000000000000"

/* One firmware boot. */
static void step(struct quirk *quirk, char found, const char *boot_id)
{
	uint64_t wish = found == 'X' ? 2 : 1;

	(void)quirk_judge(quirk, found != '=', wish, boot_id);
	if (found != '=' && !quirk_is_given_up(quirk))
		quirk_wrote(quirk, wish, boot_id);
}

static void after_three_undone_writes_in_a_row_a_thing_is_given_up(void **state)
{
	static const struct {
		const char *boots;	/* what each finds: '=' as wanted; 'x' not; 'X' another wish */
		unsigned undone;
	} rows[] = {
		{ "x", 0 }, { "xx", 1 }, { "xxx", 2 }, { "xxxx", 3 }, { "xxxxxx", 3 },
		{ "xxx=", 0 }, { "xx=xx", 2 }, { "xxxx=", 0 }, { "=", 0 },
		/* what is wanted now was not written before */
		{ "xX", 0 }, { "xxXX", 2 }, { "xxxxX", 3 },
	};
	char boot_id[] = BOOT(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct quirk quirk = { 0 };

		for (size_t boot = 0; rows[i].boots[boot]; boot++) {
			boot_id[0] = (char)('a' + boot);
			step(&quirk, rows[i].boots[boot], boot_id);
		}
		if (quirk.undone != rows[i].undone)
			fail_msg("%s: %u", rows[i].boots, quirk.undone);
	}
}

static void a_second_look_in_the_same_boot_says_nothing(void **state)
{
	struct quirk quirk = { 0 };

	(void)state;
	for (int i = 0; i < 9; i++)
		step(&quirk, 'x', BOOT(1));
	assert_int_equal(quirk.undone, 0);
	for (int i = 0; i < 9; i++)
		step(&quirk, 'x', BOOT(2));
	assert_int_equal(quirk.undone, 1);
	assert_false(quirk_judge(&quirk, true, 1, ""));
}

static void what_is_written_is_read(void **state)
{
	struct quirks quirks = { 0 }, again;
	char *json = NULL;

	(void)state;
	quirks.of[BOOT_THING_ORDER] = (struct quirk){ 3, UINT64_MAX, BOOT(1) };
	quirks.of[QUIRK_RECORD] = (struct quirk){ 0, 0, BOOT(2) };
	assert_int_equal(quirks_format(&quirks, &json, NULL), 0);
	assert_true(strlen(json) < QUIRKS_MAX_BYTES);
	quirks_parse((uint8_t *)json, strlen(json), &again);
	assert_memory_equal(&quirks, &again, sizeof quirks);
	free(json);
}

static void what_is_no_count_is_none(void **state)
{
	static const char *const texts[] = {
		"", "[]", "{", "{\"loader\": 3}", "{\"loader\": {\"undone\": 3}}",
		"{\"loader\": {\"undone\": 4, \"wish\": \"0000000000000000\", \"boot_id\": \"" BOOT(1) "\"}}",
		"{\"loader\": {\"undone\": -1, \"wish\": \"0000000000000000\", \"boot_id\": \"" BOOT(1) "\"}}",
		"{\"loader\": {\"undone\": 3, \"wish\": \"000000000000000 \", \"boot_id\": \"" BOOT(1) "\"}}",
		"{\"loader\": {\"undone\": 3, \"wish\": \"0000000000000000\", \"boot_id\": \"x\"}}",
	};
	static const struct quirks none;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct quirks quirks;

		quirks_parse((const uint8_t *)texts[i], strlen(texts[i]), &quirks);
		if (memcmp(&quirks, &none, sizeof none) != 0)
			fail_msg("%s", texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_three_undone_writes_in_a_row_a_thing_is_given_up),
		cmocka_unit_test(a_second_look_in_the_same_boot_says_nothing),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_is_no_count_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
