/* SPDX-License-Identifier: MIT */
/* A confined program, and one that is cancelled; the rest is in health/test_health.c. */
#include "program.h"

#include "unittest.h"
#include "io.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static void lines_keep(void *ctx, const char *line)
{
	char *text = ctx;
	size_t len = strlen(text);

	snprintf(text + len, 1024 - len, "%s\n", line);
}

static void a_confined_program_has_what_it_is_given_and_nothing_else(void **state)
{
	static const char *const script =
		"env | grep -v '^PWD=\\|^SHLVL=\\|^_='| sort; pwd; ulimit -c; echo $0 $1; cat; "
		"grep NoNewPrivs /proc/self/status; ls /proc/$$/fd";
	static const char *const argv[] = { "/bin/sh", "-c", script, "before", "x", NULL };
	static const char *const environment[] = { "PATH=/usr/bin:/bin", "SLOTBOOT_PHASE=before", NULL };
	int open_here = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char how[PROGRAM_LINE_BYTES], text[1024] = "";
	const struct program program = { .argv = argv, .environment = environment, .limit_ms = 3600000,
					 .on_line = lines_keep, .ctx = text, .confined = true };

	(void)state;
	assert_true(open_here > STDERR_FILENO);
	assert_true(program_run(&program_clock_posix, &program, how));
	close(open_here);
	assert_string_equal(text, "PATH=/usr/bin:/bin\nSLOTBOOT_PHASE=before\n/\n0\nbefore x\n"
				  "NoNewPrivs:?1\n0\n1\n2\n");
}

static void root_has_lost_what_is_not_for_files(void **state)
{
	static const char *const argv[] = { "/bin/grep", "CapEff", "/proc/self/status", NULL };
	char how[PROGRAM_LINE_BYTES], text[1024] = "";
	const struct program program = { .argv = argv, .limit_ms = 3600000, .on_line = lines_keep,
					 .ctx = text, .confined = true };
	unsigned long long caps;

	(void)state;
	assert_true(program_run(&program_clock_posix, &program, how));
	assert_int_equal(sscanf(text, "CapEff:?%llx", &caps), 1);
	assert_false(caps >> 22 & 1);	/* CAP_SYS_BOOT */
	assert_false(caps >> 16 & 1);	/* CAP_SYS_MODULE */
	assert_false(caps >> 21 & 1);	/* CAP_SYS_ADMIN */
}

static volatile int cancelled;

static void on_alarm(int signal)
{
	(void)signal;
	cancelled = 1;
}

static void a_cancelled_program_is_killed_with_its_process_group(void **state)
{
	static const char *const argv[] = { "/bin/sh", "-c", "sleep 1000 & wait", NULL };
	const struct sigaction alarm_is = { .sa_handler = on_alarm };
	const struct program program = { .argv = argv, .limit_ms = 1000000, .cancel = &cancelled };
	char how[PROGRAM_LINE_BYTES];

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &alarm_is, NULL), 0);
	alarm(1);
	assert_false(program_run(&program_clock_posix, &program, how));
	assert_string_equal(how, "cancelled by a signal");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_confined_program_has_what_it_is_given_and_nothing_else),
		cmocka_unit_test(root_has_lost_what_is_not_for_files),
		cmocka_unit_test(a_cancelled_program_is_killed_with_its_process_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
