/* SPDX-License-Identifier: MIT */
#include "panic.h"

#include "unittest.h"

#define MARK "Kernel panic - not syncing: "

static void the_line_of_a_panic_is_found(void **state)
{
	static const char text[] =
		"Panic#1 Part1\n<6>[    1.203] Run /init as init process\n"
		"<0>[    1.204] " MARK "VFS: Unable to mount root fs on unknown-block(0,0)\n"
		"<4>[    1.204] CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.0-28-amd64 #1\n";
	char words[PANIC_WORDS_BYTES];

	(void)state;
	assert_true(panic_find(text, strlen(text), words));
	assert_string_equal(words, "VFS: Unable to mount root fs on unknown-block(0,0)");
}

static void what_is_no_panic_is_none(void **state)
{
	static const char *const texts[] = { "", "\n", "Kernel panic", "Oops#1 Part1\n<1>BUG: unable to handle" };
	char words[PANIC_WORDS_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_false(panic_find(texts[i], strlen(texts[i]), words));
}

static void a_line_without_end_too_long_or_unclean_is_cut_and_filtered(void **state)
{
	char text[sizeof MARK + 400], words[PANIC_WORDS_BYTES];

	(void)state;
	memcpy(text, MARK, sizeof MARK);
	assert_true(panic_find(text, sizeof MARK - 1, words));
	assert_string_equal(words, "");
	memset(text + sizeof MARK - 1, 'x', 400);
	text[sizeof MARK] = '\033';
	assert_true(panic_find(text, sizeof MARK + 399, words));
	assert_int_equal(strlen(words), PANIC_WORDS_BYTES - 1);
	assert_memory_equal(words, "x?x", 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_line_of_a_panic_is_found),
		cmocka_unit_test(what_is_no_panic_is_none),
		cmocka_unit_test(a_line_without_end_too_long_or_unclean_is_cut_and_filtered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
