/* SPDX-License-Identifier: MIT */
#include "redact.h"

#include "err.h"
#include "report.h"
#include "unittest.h"

#include <unistd.h>

static void what_stands_before_the_at_is_masked(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "https://me:pw@host/x", "https://...@host/x" },
		{ "failed to fetch http://me:p@ss@host:8/b?q=a@b: no", "failed to fetch http://...@host:8/b?...: no" },
		{ "a http://u:p@h, b https://longuser:longpass@h2", "a http://...@h, b https://...@h2" },
		{ "http://a@h", "http://.@h" },
		{ "https://host/a@b", "https://host/a@b" },
		{ "https://host?a@b", "https://host?..." },
		{ "https://h/x?X-Sig=a%2f'b(c)&e=1, then \"https://h/y?z\"",
		  "https://h/x?..., then \"https://h/y?.\"" },
		{ "https://h/x?...: no", "https://h/x?...: no" },
		{ "what is at https://h/x? Nothing", "what is at https://h/x? Nothing" },
		{ "https://h/?a=https://u:p@i/?b https://j/?c=1", "https://h/?... https://j/?..." },
		{ "https://host and me@there", "https://host and me@there" },
		{ "http://", "http://" },
		{ "me@host", "me@host" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[128];

		strcpy(text, rows[i].text);
		redact_mask_urls(text, sizeof text);
		assert_string_equal(text, rows[i].want);
	}
}

static void a_url_that_was_cut_shows_no_password(void **state)
{
	char text[] = "failed: https://me:passw";

	(void)state;
	redact_mask_urls(text, sizeof text);
	assert_null(strstr(text, "passw"));
}

static void no_error_shows_a_password(void **state)
{
	struct err err = { 0 };

	(void)state;
	(void)err_set(&err, 1, "set %s", "https://me:secret@host/x");
	(void)err_prefix(&err, "prefix %s", "https://me:secret@host/x");
	assert_null(strstr(err.text, "secret"));
	(void)err_errno(&err, 1, 2, "errno %s", "https://me:secret@host/x");
	assert_null(strstr(err.text, "secret"));
	assert_non_null(strstr(err.text, "https://...@host/x: No such file"));
}

static void no_report_shows_a_password(void **state)
{
	struct report report;
	char out[256] = "";
	int pipefd[2], saved = dup(1);

	(void)state;
	fflush(stdout);
	assert_int_equal(pipe(pipefd), 0);
	dup2(pipefd[1], 1);
	report_init(&report, false);
	report_step(&report, "fetch", "reading %s", "https://me:secret@host/x");
	report_warning(&report, "%s: no", "https://me:secret@host/y");
	dup2(saved, 1);
	assert_true(read(pipefd[0], out, sizeof out - 1) > 0);
	assert_string_equal(out, "reading https://...@host/x\nwarning: https://...@host/y: no\n");
	close(saved);
	close(pipefd[0]);
	close(pipefd[1]);
}

/* As the kernel shows a command line: what main() was given, one argument behind the other. */
static void a_command_line_shows_no_secret_and_the_program_still_has_it(void **state)
{
	char given[] = "install\0https://me:pw@host/x?sig=5ecre7\0--base=http://h/y?k=5ecre7\0a?b";
	static const char want[] = "install\0https://...@host/x?...\0\0\0\0\0\0\0\0\0\0"
				   "--base=http://h/y?...\0\0\0\0\0\0a?b";
	char *argv[5] = { given };
	struct err err = { 0 };

	(void)state;
	for (int i = 1; i < 4; i++)
		argv[i] = argv[i - 1] + strlen(argv[i - 1]) + 1;
	assert_int_equal(redact_argv(4, argv, &err), 0);
	assert_int_equal(sizeof given, sizeof want);
	assert_memory_equal(given, want, sizeof want);
	assert_string_equal(argv[1], "https://me:pw@host/x?sig=5ecre7");
	assert_string_equal(argv[2], "--base=http://h/y?k=5ecre7");
	assert_ptr_equal(argv[0], given);
	assert_ptr_equal(argv[3], given + sizeof given - sizeof "a?b");
	assert_int_equal(redact_argv(0, &argv[4], &err), 0);
	free(argv[1]);
	free(argv[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stands_before_the_at_is_masked),
		cmocka_unit_test(a_url_that_was_cut_shows_no_password),
		cmocka_unit_test(no_error_shows_a_password),
		cmocka_unit_test(no_report_shows_a_password),
		cmocka_unit_test(a_command_line_shows_no_secret_and_the_program_still_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
