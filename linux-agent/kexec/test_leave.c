/* SPDX-License-Identifier: MIT */
/* Programs that are run to leave the system. */
#include "leave.h"

#include "init.h"
#include "testdir.h"

#include <signal.h>

static int run(const char *script, struct err *err)
{
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, strdup(script), NULL };
	int r = init_run("", argv, err);

	free(argv[2]);
	return r;
}

static void a_programs_end_is_told(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(run("exit 0", &err), 0);
	assert_int_equal(run("exit 3", &err), -1);
	assert_int_equal(err.exit, EX_UNAVAILABLE);
	assert_non_null(strstr(err.text, "it ended with status 3"));
	assert_int_equal(run("kill -KILL $$", &err), -1);
	assert_non_null(strstr(err.text, "it ended with status 9"));
}

/* qemu-user makes a fork of vfork, so that posix_spawn cannot tell its caller. */
static void a_program_that_is_not_there_is_told(void **state)
{
	char *none[] = { (char[]){ "/nonexistent/systemctl" }, NULL };
	struct err err;

	(void)state;
	if (getenv("RUN_UNDER"))
		skip();
	assert_int_equal(init_run("", none, &err), -1);
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

/* Inherited from a supervisor that ignores it: waitpid(2) would find no child. */
static void an_ignored_sigchld_hides_no_end(void **state)
{
	struct err err;

	(void)state;
	(void)signal(SIGCHLD, SIG_IGN);
	assert_int_equal(run("exit 0", &err), 0);
	(void)signal(SIGCHLD, SIG_IGN);
	assert_int_equal(run("exit 3", &err), -1);
	assert_non_null(strstr(err.text, "it ended with status 3"));
}

/* `program` in sysroot is a script that notes how it was called. */
static void put_program(const struct testdir *dir, const char *program, const char *last)
{
	char script[512], place[64];

	snprintf(script, sizeof script, "#!/bin/sh\n"
		 "echo \"$0 $* $SYSTEMCTL_SKIP_AUTO_KEXEC$SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT\" "
		 ">>%s/said\n%s\n", dir->path, last);
	snprintf(place, sizeof place, "%s", program);
	testdir_text(dir, place, script);
	assert_int_equal(chmod(testdir_path(dir, place), 0755), 0);
}

static void assert_said(const struct testdir *dir, const char *want)
{
	char said[512] = "";
	FILE *f = fopen(testdir_path(dir, "said"), "r");

	if (f) {
		said[fread(said, 1, sizeof said - 1, f)] = 0;
		fclose(f);
	}
	assert_string_equal(said, want);
	(void)unlink(testdir_path(dir, "said"));
}

static void programs_are_found_in_the_systems_directories_and_not_by_path(void **state)
{
	char *argv[] = { (char[]){ "reboot" }, NULL };
	struct testdir dir;
	char want[128];
	struct err err;

	(void)state;
	testdir_make(&dir);
	put_program(&dir, "evil/reboot", "");
	assert_int_equal(setenv("PATH", testdir_path(&dir, "evil"), 1), 0);
	assert_int_equal(init_run(dir.path, argv, &err), -1);
	assert_string_equal(err.text, "failed to run reboot: No such file or directory");
	put_program(&dir, "bin/reboot", "");
	put_program(&dir, "usr/bin/reboot", "");
	assert_int_equal(init_run(dir.path, argv, &err), 0);
	snprintf(want, sizeof want, "%s/usr/bin/reboot  \n", dir.path);
	assert_said(&dir, want);
	testdir_remove(&dir);
}

/* Newer ones turn a reboot into a kexec or a soft-reboot. */
static void systemctl_is_told_that_a_reboot_is_one(void **state)
{
	struct testdir dir;
	char want[128];
	struct err err;

	(void)state;
	testdir_make(&dir);
	put_program(&dir, "usr/bin/systemctl", "");
	put_program(&dir, "usr/sbin/reboot", "");
	testdir_text(&dir, "run/systemd/system/x", "");
	assert_int_equal(leave_reboot(dir.path, &err), 0);
	snprintf(want, sizeof want, "%s/usr/bin/systemctl reboot 11\n", dir.path);
	assert_said(&dir, want);
	testdir_remove(&dir);
}

static void a_refused_reboot_is_no_failure_of_a_server(void **state)
{
	struct testdir dir;
	struct err err;

	(void)state;
	testdir_make(&dir);
	put_program(&dir, "usr/bin/systemctl", "exit 1");
	testdir_text(&dir, "run/systemd/system/x", "");
	assert_int_equal(leave_reboot(dir.path, &err), -1);
	assert_int_equal(err.exit, EX_OSERR);
	assert_string_equal(err.text, "the reboot was refused: failed to run systemctl reboot: it "
				      "ended with status 1");
	testdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_programs_end_is_told),
		cmocka_unit_test(a_program_that_is_not_there_is_told),
		cmocka_unit_test(the_signals_of_a_shutdown_do_not_end_who_asked_for_it),
		cmocka_unit_test(an_ignored_sigchld_hides_no_end),
		cmocka_unit_test(programs_are_found_in_the_systems_directories_and_not_by_path),
		cmocka_unit_test(systemctl_is_told_that_a_reboot_is_one),
		cmocka_unit_test(a_refused_reboot_is_no_failure_of_a_server),
	};

	return cmocka_run_group_tests_name("activate", tests, NULL, NULL);
}
