/* SPDX-License-Identifier: MIT */
/* Programs that are run to leave the system. */
#include "activate.h"

#include "testdir.h"

static int run(const char *script, struct err *err)
{
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, strdup(script), NULL };
	int r = activate_run(argv, err);

	free(argv[2]);
	return r;
}

static void a_programs_end_is_told(void **state)
{
	char *none[] = { (char[]){ "/nonexistent/systemctl" }, NULL };
	struct err err;

	(void)state;
	assert_int_equal(run("exit 0", &err), 0);
	assert_int_equal(run("exit 3", &err), -1);
	assert_int_equal(err.exit, EX_UNAVAILABLE);
	assert_non_null(strstr(err.text, "it ended with status 3"));
	assert_int_equal(run("kill -KILL $$", &err), -1);
	assert_non_null(strstr(err.text, "it ended with status 9"));
	assert_int_equal(activate_run(none, &err), -1);
	assert_non_null(strstr(err.text, "/nonexistent/systemctl: No such file"));
}

/* systemd stops this very service as soon as it is asked: systemctl must still be able
 * to say that it was. */
static void the_signals_of_a_shutdown_do_not_end_who_asked_for_it(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(run("kill -TERM $$; kill -HUP $$; kill -INT $$; exit 0", &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_programs_end_is_told),
		cmocka_unit_test(the_signals_of_a_shutdown_do_not_end_who_asked_for_it),
	};

	return cmocka_run_group_tests_name("activate", tests, NULL, NULL);
}
