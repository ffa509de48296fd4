/* SPDX-License-Identifier: MIT */
#include "out.h"

#include "err.h"
#include "report.h"
#include "unittest.h"

#include <string.h>
#include <unistd.h>

static void what_a_terminal_obeys_becomes_a_question_mark(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ "plain, \xc3\xa9, \xe2\x82\xac, \xf0\x9f\x98\x80", "plain, \xc3\xa9, \xe2\x82\xac, \xf0\x9f\x98\x80" },
		{ "\033[2J\a\b\t\r\n\v\x7f", "?[2J????" "???" },
		{ "\xc2\x80\xc2\x9b[\xc2\x9f\xc2\xa0", "??[?\xc2\xa0" },		/* C1 and what follows it */
		{ "\x9b[2J", "?[2J" },						/* C1 in Latin-1 */
		{ "\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\xa8\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9", "???????" },
		{ "\xe2\x80\x8d\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa",		/* their neighbours */
		  "\xe2\x80\x8d\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa" },
		{ "\xc0\x9b\xe0\x82\x9b", "?????" },				/* overlong */
		{ "\xed\xa0\x80\xf4\x90\x80\x80\xff", "????????" },		/* surrogate, beyond, no lead */
		{ "cut \xe2\x82", "cut ??" },
		{ "https://u:p@h/\n?q=1\033", "https://...@h/?..." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[128];

		strcpy(text, rows[i].text);
		out_clean(text, sizeof text);
		assert_string_equal(text, rows[i].want);
		out_clean(text, sizeof text);
		assert_string_equal(text, rows[i].want);
	}
}

static void no_error_has_what_a_terminal_obeys(void **state)
{
	struct err err = { 0 };
	char wide[2048];

	(void)state;
	(void)err_set(&err, 1, "set \033\xc2\x9b\n");
	assert_string_equal(err.text, "set ???");
	(void)err_prefix(&err, "prefix \r\xff");
	assert_string_equal(err.text, "prefix ??: set ???");
	(void)err_errno(&err, 1, 2, "errno \xe2\x80\xae");
	assert_string_equal(err.text, "errno ?: No such file or directory");
	memset(wide, 'x', sizeof wide);
	for (size_t i = 1; i + 3 < sizeof wide; i += 3)
		memcpy(wide + i, "\xe2\x82\xac", 3);
	wide[sizeof wide - 1] = 0;
	(void)err_set(&err, 1, "%s", wide);	/* it is cut within a character */
	assert_int_equal(err.text[strlen(err.text) - 1], '?');
}

struct captured {
	int saved, pipe[2];
	char text[512];
};

static void capture(struct captured *c)
{
	*c = (struct captured){ .saved = dup(1) };
	(void)fflush(stdout);
	assert_int_equal(pipe(c->pipe), 0);
	assert_int_equal(dup2(c->pipe[1], 1), 1);
}

static void capture_end(struct captured *c)
{
	(void)fflush(stdout);
	assert_int_equal(dup2(c->saved, 1), 1);
	assert_true(read(c->pipe[0], c->text, sizeof c->text - 1) >= 0);
	(void)close(c->saved);
	(void)close(c->pipe[0]);
	(void)close(c->pipe[1]);
}

static void a_print_has_no_newlines_but_those_that_end_its_format(void **state)
{
	struct captured c;

	(void)state;
	capture(&c);
	out_print("one\n\n");
	out_print("%s", "two\n");
	out_print("%s\n", "three\nfour\n\033");
	out_print("%s", "");
	out_print("https://h/?%s\n", "secret");
	capture_end(&c);
	assert_string_equal(c.text, "one\n\ntwo?three?four??\nhttps://h/?...\n");
}

static void steps_and_warnings_are_filtered_and_json_is_ascii(void **state)
{
	struct report report;
	struct captured c;

	(void)state;
	capture(&c);
	report_init(&report, false);
	report_step(&report, "a", "step %s", "\033\n\xff");
	report_warning(&report, "%s", "\r\xc2\x9b");
	report_init(&report, true);
	report_step(&report, "a", "step %s", "\033\n\xff\xc3\xa9");
	assert_int_equal(out_json(json_pack("{s:s}", "k", "\xe2\x80\xae\xc2\x9b"), JSON_COMPACT), 0);
	assert_int_equal(out_json(NULL, 0), -1);
	capture_end(&c);
	assert_string_equal(c.text, "step ???\nwarning: ??\n{\"event\":\"a\",\"text\":\"step ???\\u00E9\"}\n"
				    "{\"k\":\"\\u202E\\u009B\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_terminal_obeys_becomes_a_question_mark),
		cmocka_unit_test(no_error_has_what_a_terminal_obeys),
		cmocka_unit_test(a_print_has_no_newlines_but_those_that_end_its_format),
		cmocka_unit_test(steps_and_warnings_are_filtered_and_json_is_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
