/* SPDX-License-Identifier: MIT */
#include "loadpin.h"

#include "testdir.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

static struct memfile held(const char *text)
{
	struct memfile file;

	assert_int_equal(memfile_open("held", &file), 0);
	assert_int_equal(memfile_write(&file, text, strlen(text)), 0);
	return file;
}

static void only_a_file_with_the_same_bytes_is_taken(void **state)
{
	static const struct {
		const char *content;
		int exit;	/* 0: taken */
	} rows[] = {
		{ "kernel", 0 },	     { "Kernel", EX_DATAERR }, { "kernel ", EX_DATAERR },
		{ "kerne", EX_DATAERR },     { "", EX_DATAERR },       { NULL, EX_NOINPUT },
	};
	struct memfile want = held("..kernel....");

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err err = { 0 };
		struct testdir dir;
		char pattern[128];
		int fd = -1, r;

		testdir_make(&dir);
		if (rows[i].content)
			testdir_text(&dir, "b/vmlinuz-B", rows[i].content);
		snprintf(pattern, sizeof pattern, "%s/{slot}/vmlinuz-{SLOT}", dir.path);
		r = loadpin_open(pattern, 1, &want, 2, 8, &fd, &err);
		print_message("  %s\n", err.text);
		assert_int_equal(r, rows[i].exit ? -1 : 0);
		assert_int_equal(err.exit, rows[i].exit);
		assert_int_equal(fd >= 0, r == 0);
		if (fd >= 0)
			close(fd);
		testdir_remove(&dir);
	}
	memfile_close(&want);
}

static void a_copy_of_a_part_is_exact_and_padded(void **state)
{
	struct memfile from = held("0123456789"), to = held("ab");
	char got[16] = { 0 };

	(void)state;
	assert_int_equal(memfile_copy(&to, from.fd, 3, 5), 0);
	assert_int_equal(memfile_align(&to), 0);
	assert_int_equal(to.size, 8);
	assert_int_equal(pread(to.fd, got, sizeof got, 0), 8);
	assert_memory_equal(got, "ab34567", 8);
	assert_int_equal(memfile_copy(&to, from.fd, 8, 3), -1);
	assert_int_equal(errno, ENODATA);
	assert_int_equal(memfile_seal(&to), 0);
	assert_int_equal(memfile_write(&to, "x", 1), -1);
	memfile_close(&from);
	memfile_close(&to);
}

/* Where the kernel knows no MFD_NOEXEC_SEAL (8), it is left out. */
static void a_memory_file_is_not_executable_where_that_can_be_said(void **state)
{
	struct memfile file = held("x");
	int probe = memfd_create("probe", 8);
	struct stat st;

	(void)state;
	assert_int_equal(fstat(file.fd, &st), 0);
	if (probe >= 0)
		assert_int_equal(st.st_mode & 0111, 0);
	memfile_close(&file);
	if (probe >= 0)
		close(probe);
}

static int pipe_ends[2];

static void let_go(int signal)
{
	char page[4096];

	(void)signal;
	if (read(pipe_ends[0], page, sizeof page) < 0)
		abort();
}

/* A page in a pipe, as the kernel may hold one itself for a while. */
static void sealing_waits_for_whoever_still_holds_a_page(void **state)
{
	struct memfile file = held("0123456789");
	const struct itimerval soon = { .it_value = { .tv_usec = 400 * 1000 } };
	struct sigaction action = { .sa_handler = let_go, .sa_flags = SA_RESTART };
	loff_t at = 0;

	(void)state;
	assert_int_equal(pipe(pipe_ends), 0);
	assert_int_equal(splice(file.fd, &at, pipe_ends[1], NULL, 10, 0), 10);
	assert_int_equal(fcntl(file.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(memfile_seal(&file), 0);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	memfile_close(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_file_with_the_same_bytes_is_taken),
		cmocka_unit_test(a_memory_file_is_not_executable_where_that_can_be_said),
		cmocka_unit_test(a_copy_of_a_part_is_exact_and_padded),
		cmocka_unit_test(sealing_waits_for_whoever_still_holds_a_page),
	};

	return cmocka_run_group_tests_name("pinned", tests, NULL, NULL);
}
