/* SPDX-License-Identifier: MIT */
/* The checks themselves, real programs by a clock of the test's own: it moves by what a
 * pause or a hang would take, and by nothing else. */
#include "health.h"
#include "dropins.h"
#include "io.h"
#include "testdir.h"

#include <errno.h>
#include <signal.h>

static struct testdir dir;
static int64_t time_ms;
static bool hangs;		/* what has said something and goes on has hung */
static bool heard;

static int64_t test_now_ms(void *ctx)
{
	(void)ctx;
	return time_ms;
}

/* Whoever waits for a program gets it, however slow this host is; a hang takes no time
 * here and all of it there. */
static int test_poll(void *ctx, struct pollfd *fds, nfds_t count, int ms)
{
	int n;

	(void)ctx;
	if (count == 0 || (hangs && heard)) {
		heard = false;
		time_ms += ms;
		return 0;
	}
	n = poll(fds, count, -1);
	heard = fds[1].revents != 0;
	return n;
}

static const struct program_clock test_clock = { test_now_ms, test_poll, NULL };

static struct config config = { .health_timeout_s = 60 };

static int setup(void **state)
{
	(void)state;
	testdir_make(&dir);
	time_ms = 1000000;
	hangs = heard = false;
	config.sysroot = dir.path;
	config.health_units = config.health_ignore = NULL;
	config.health_settle_s = 10;
	config.health_deadline_s = 40;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testdir_remove(&dir);
	return 0;
}

static void put(const char *name, const char *script)
{
	char text[1024];

	snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
	testdir_text(&dir, name, text);
	assert_int_equal(chmod(testdir_path(&dir, name), 0755), 0);
}

static void put_check(const char *name, const char *script)
{
	char path[256];

	snprintf(path, sizeof path, "usr/lib/slotboot/health.d/%s", name);
	put(path, script);
}

/* --- one program --- */

static void line_keep(void *ctx, const char *line)
{
	snprintf(ctx, PROGRAM_LINE_BYTES, "%s", line);
}

static bool run(const char *script, char line[PROGRAM_LINE_BYTES], char how[PROGRAM_LINE_BYTES])
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	const struct program program = { .argv = argv, .limit_ms = 60000, .on_line = line_keep,
					 .ctx = line };

	line[0] = how[0] = 0;
	return program_run(&test_clock, &program, how);
}

static void a_program_is_judged_by_its_status_and_its_last_line_is_kept(void **state)
{
	static const struct {
		const char *script;
		bool holds;
		const char *line, *how;
	} cases[] = {
		{ "true", true, "", "status 0" },
		{ "echo one; echo two >&2; exit 7", false, "two", "status 7" },
		{ "printf 'one\\n\\n  \\n'; exit 1", false, "one", "status 1" },
		{ "printf 'no newline'; exit 1", false, "no newline", "status 1" },
		{ "kill -9 $$", false, "", "signal 9" },
		{ "kill -PIPE $$", false, "", "signal 13" },
		{ "cat; exit 1", false, "", "status 1" },
		{ "printf 'a\\033[1mb\\n'; exit 1", false, "a?[1mb", "status 1" },
		{ "exec >&- 2>&-; exit 4", false, "", "status 4" },
	};
	char line[PROGRAM_LINE_BYTES], how[PROGRAM_LINE_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(run(cases[i].script, line, how), cases[i].holds);
		assert_string_equal(line, cases[i].line);
		assert_string_equal(how, cases[i].how);
	}
}

static void endless_output_is_cut_and_takes_no_memory(void **state)
{
	char line[PROGRAM_LINE_BYTES], how[PROGRAM_LINE_BYTES];

	(void)state;
	assert_false(run("head -c 300000 /dev/zero | tr '\\0' x; exit 1", line, how));
	assert_int_equal(strlen(line), PROGRAM_LINE_BYTES - 1);
	assert_string_equal(how, "status 1");
}

static void what_cannot_be_run_says_why(void **state)
{
	const char *argv[] = { "/nowhere/to/be/found", NULL };
	const struct program program = { .argv = argv, .limit_ms = 60000 };
	char how[PROGRAM_LINE_BYTES];

	(void)state;
	assert_false(program_run(&test_clock, &program, how));
	assert_string_equal(how, "failed to run: No such file or directory");
}

static bool is_gone(pid_t pid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return true;
	assert_int_equal(fscanf(f, "%*d %*s %c", &state), 1);
	fclose(f);
	return state == 'Z' || state == 'X';
}

/* SIGKILL has been sent when it returns; who is killed is gone after a moment. */
static void gone_assert(const char *line)
{
	pid_t pid = (pid_t)atoi(line);

	assert_true(pid > 1);
	while (!is_gone(pid))
		usleep(1000);
}

static void a_program_without_end_is_killed_with_its_process_group(void **state)
{
	char line[PROGRAM_LINE_BYTES], how[PROGRAM_LINE_BYTES];

	(void)state;
	hangs = true;
	assert_false(run("sleep 1000 & echo $!; wait", line, how));
	assert_string_equal(how, "no end within 60 s");
	gone_assert(line);
	assert_int_equal(time_ms, 1000000 + 60000);
}

static void what_a_program_leaves_behind_is_killed_and_not_waited_for(void **state)
{
	char line[PROGRAM_LINE_BYTES], how[PROGRAM_LINE_BYTES];

	(void)state;
	assert_true(run("sleep 1000 & echo $!", line, how));
	gone_assert(line);
	assert_int_equal(time_ms, 1000000);
}

/* --- health.d --- */

static void names_assert(const char *want)
{
	struct dropins programs;
	struct err err = { 0 };
	char names[512] = "";

	assert_int_equal(dropins_read(dir.path, "health.d", "", &programs, &err), 0);
	for (size_t i = 0; i < programs.count; i++) {
		strcat(strcat(names, i ? " " : ""), programs.files[i].path + strlen(dir.path));
	}
	assert_string_equal(names, want);
	dropins_clear(&programs);
}

static void checks_are_ordered_by_name_and_the_administrators_count_first(void **state)
{
	(void)state;
	names_assert("");
	put_check("50-b", "");
	put_check("10-z", "");
	put_check("70-masked", "");
	put_check("80-ours", "");
	put_check(".hidden", "");
	put_check("50-b~", "");
	put_check("50-b.dpkg-old", "");
	put("run/slotboot/health.d/50-b", "");
	put("run/slotboot/health.d/60-run.sh", "");
	put("etc/slotboot/health.d/80-ours", "");
	assert_int_equal(symlink("/dev/null", testdir_path(&dir, "etc/slotboot/health.d/70-masked")), 0);
	names_assert("/usr/lib/slotboot/health.d/10-z /run/slotboot/health.d/50-b "
		     "/run/slotboot/health.d/60-run.sh /etc/slotboot/health.d/80-ours");
}

static void a_directory_that_cannot_be_read_or_is_too_full_is_an_error(void **state)
{
	struct dropins programs;
	struct err err = { 0 };
	char name[16];

	(void)state;
	testdir_text(&dir, "run/slotboot/health.d", "a file");
	assert_int_equal(dropins_read(dir.path, "health.d", "", &programs, &err), -1);
	assert_int_equal(err.exit, EX_CONFIG);
	dropins_clear(&programs);
	assert_int_equal(unlink(testdir_path(&dir, "run/slotboot/health.d")), 0);
	for (int i = 0; i <= DROPINS_MAX; i++) {
		snprintf(name, sizeof name, "%d", i);
		put_check(name, "");
	}
	assert_int_equal(dropins_read(dir.path, "health.d", "", &programs, &err), -1);
	assert_non_null(strstr(err.text, "more than 128"));
	dropins_clear(&programs);
}

/* --- the whole --- */

static char told[2048];

static void found(void *ctx, const struct health_finding *finding)
{
	char *at = told + strlen(told);

	(void)ctx;
	snprintf(at, sizeof told - strlen(told), "%lld %s;", (long long)(time_ms - 1000000) / 1000,
		 finding ? finding->check : "well");
}

static bool watch(struct health_finding *finding)
{
	told[0] = 0;
	return health_watch(&config, &test_clock, found, NULL, finding);
}

static void all_must_hold_for_the_settling_time(void **state)
{
	struct health_finding finding;

	(void)state;
	put_check("10-one", "exit 0");
	assert_true(watch(&finding));
	assert_int_equal(time_ms, 1000000 + 10000);
	assert_string_equal(told, "0 well;");
}

/* The n-th run of a check, and those after it, do this. */
static void put_nth(const char *name, int n, const char *script)
{
	char text[512];

	snprintf(text, sizeof text, "echo x >> %s/count\n[ $(wc -l < %s/count) -lt %d ] && exit %s",
		 dir.path, dir.path, n, script);
	put_check(name, text);
}

static void what_comes_up_late_is_waited_for(void **state)
{
	struct health_finding finding;

	(void)state;
	put_nth("10-late", 6, "1\nexit 0");
	assert_true(watch(&finding));
	assert_int_equal(time_ms, 1000000 + 10000 + 10000);
	assert_string_equal(told, "0 10-late;10 well;");
}

static void what_falls_over_while_it_settles_is_not_well(void **state)
{
	struct health_finding finding;

	(void)state;
	put_nth("10-falls", 4, "0\necho fell; exit 5");
	assert_false(watch(&finding));
	assert_string_equal(finding.check, "10-falls");
	assert_string_equal(finding.how, "status 5");
	assert_string_equal(finding.line, "fell");
	assert_true(time_ms <= 1000000 + 30000);
	assert_string_equal(told, "0 well;6 10-falls;");
}

static void without_time_enough_to_settle_it_ends_at_once(void **state)
{
	struct health_finding finding;

	(void)state;
	config.health_settle_s = 40;
	put_check("10-one", "exit 1");
	assert_false(watch(&finding));
	assert_int_equal(time_ms, 1000000);
}

static void checks_that_hang_end_at_the_deadline(void **state)
{
	struct health_finding finding;

	(void)state;
	hangs = true;
	config.health_deadline_s = 300;
	put_check("10-hangs", "echo waiting; exec sleep 1000");
	assert_false(watch(&finding));
	assert_string_equal(finding.how, "no end within 52 s");
	assert_string_equal(finding.line, "waiting");
	assert_int_equal(time_ms, 1000000 + 300000);
}

static void a_file_that_is_no_program_is_a_check_that_fails(void **state)
{
	struct health_finding finding;

	(void)state;
	testdir_text(&dir, "etc/slotboot/health.d/README", "text");
	assert_false(watch(&finding));
	assert_string_equal(finding.check, "README");
	assert_string_equal(finding.how, "failed to run: Permission denied");
}

static void what_systemd_says_of_units_counts(void **state)
{
	static const struct {
		const char *answer, *check;	/* check NULL: all is well */
	} cases[] = {
		{ "exit 0", NULL },
		{ "[ $1 = is-active ] || echo 'a.service loaded failed failed A'", "unit a.service" },
		{ "[ $1 = is-active ] || { echo 'i.service loaded failed failed I';"
		  " echo 'a.mount loaded failed failed A'; }", "unit a.mount" },
		{ "[ $1 = is-active ] || echo 'i.service loaded failed failed I'", NULL },
		{ "[ $1 = is-active ] || echo 'slotboot-confirm.service loaded failed failed'", NULL },
		{ "[ \"$*\" != 'is-active -- n.service' ]", "unit n.service" },
		{ "[ \"$*\" != 'is-active -- m.timer' ]", "unit m.timer" },
		{ "exit 1", "systemctl" },
	};
	struct health_finding finding;

	(void)state;
	testdir_text(&dir, "run/systemd/system/x", "");
	config.health_units = (char *)"n.service  m.timer ";
	config.health_ignore = (char *)" i.service";
	assert_false(watch(&finding));
	assert_string_equal(finding.how, "failed to find it");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put("usr/bin/systemctl", cases[i].answer);
		assert_int_equal(watch(&finding), !cases[i].check);
		if (cases[i].check)
			assert_string_equal(finding.check, cases[i].check);
	}
}

static void without_a_unit_to_blame_it_is_the_boot_that_did_not_end(void **state)
{
	struct health_finding finding;

	(void)state;
	health_blame(&config, &test_clock, &finding);
	assert_string_equal(finding.check, "boot-complete.target");
	testdir_text(&dir, "run/systemd/system/x", "");
	put("usr/bin/systemctl", "echo 'a.service loaded failed failed A'");
	health_blame(&config, &test_clock, &finding);
	assert_string_equal(finding.check, "unit a.service");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_program_is_judged_by_its_status_and_its_last_line_is_kept),
		TEST(endless_output_is_cut_and_takes_no_memory),
		TEST(what_cannot_be_run_says_why),
		TEST(a_program_without_end_is_killed_with_its_process_group),
		TEST(what_a_program_leaves_behind_is_killed_and_not_waited_for),
		TEST(checks_are_ordered_by_name_and_the_administrators_count_first),
		TEST(a_directory_that_cannot_be_read_or_is_too_full_is_an_error),
		TEST(all_must_hold_for_the_settling_time),
		TEST(what_comes_up_late_is_waited_for),
		TEST(what_falls_over_while_it_settles_is_not_well),
		TEST(without_time_enough_to_settle_it_ends_at_once),
		TEST(checks_that_hang_end_at_the_deadline),
		TEST(a_file_that_is_no_program_is_a_check_that_fails),
		TEST(what_systemd_says_of_units_counts),
		TEST(without_a_unit_to_blame_it_is_the_boot_that_did_not_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
