/* SPDX-License-Identifier: MIT */
#include "vars.h"

#include "io.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

/* libefivar reads EFIVARFS_PATH when it is loaded: main() makes the directory, sets
 * the variable and starts this program again. */
static struct vars efi;
static struct err err;
static const char *store;

static char *file_path(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof path, "%s%s", store, name);
	return path;
}

static char *state_path(void)
{
	return file_path("SlotState-a44b7925-64fe-4f5f-9e3a-49b0319efd7d");
}

static void put_file(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(file_path(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static int empty_store(void **test)
{
	DIR *dir = opendir(store);
	struct dirent *entry;

	(void)test;
	memset(&err, 0, sizeof err);
	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			(void)unlink(file_path(entry->d_name));
	(void)closedir(dir);
	return vars_efi_open(&efi, &err);
}

static int set_state(const char *text)
{
	return vars_set(&efi, VARS_SLOTBOOT, VARS_SLOT_STATE, (const uint8_t *)text,
			strlen(text), VARS_NV_BS_RT, &err);
}

static void assert_state(const char *text)
{
	_cleanup_free_ uint8_t *data = NULL;
	uint32_t attributes = 0;
	size_t len = 0;

	assert_int_equal(vars_get(&efi, VARS_SLOTBOOT, VARS_SLOT_STATE, &data, &len,
				  &attributes, &err), 0);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(data, text, len);
	assert_int_equal(attributes, VARS_NV_BS_RT);
}

static void assert_absent(void)
{
	uint8_t *data = NULL;
	size_t len = 0;

	assert_int_equal(vars_get(&efi, VARS_SLOTBOOT, VARS_SLOT_STATE, &data, &len, NULL,
				  &err), 1);
	assert_null(data);
}

static void a_variable_that_was_never_written_is_absent(void **test)
{
	(void)test;
	assert_absent();
}

static void a_written_variable_is_a_file_of_attributes_and_data(void **test)
{
	_cleanup_free_ uint8_t *file = NULL;
	size_t len = 0;

	(void)test;
	assert_int_equal(set_state("hello"), 0);
	assert_state("hello");
	assert_int_equal(read_file(state_path(), 100, &file, &len), 0);
	assert_int_equal(len, 9);
	assert_memory_equal(file, "\x07\0\0\0hello", 9);
}

static void a_shorter_value_leaves_no_tail_of_the_longer_one(void **test)
{
	(void)test;
	assert_int_equal(set_state("hello world"), 0);
	assert_int_equal(set_state("bye"), 0);
	assert_state("bye");
}

static void a_value_larger_than_a_page_comes_back_whole(void **test)
{
	static char text[9001];

	(void)test;
	memset(text, 'x', sizeof text - 1);
	text[4095] = 'y';
	assert_int_equal(set_state(text), 0);
	assert_state(text);
}

static void a_value_cut_short_by_a_full_disk_is_an_error(void **test)
{
	static const uint8_t zeros[200];
	struct rlimit before, limit;
	int r;

	(void)test;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 100;
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	r = vars_set(&efi, VARS_SLOTBOOT, VARS_SLOT_STATE, zeros, sizeof zeros,
		     VARS_NV_BS_RT, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(r, -1);
	assert_int_equal(err.exit, EX_IOERR);
	assert_non_null(strstr(err.text, "the variable store is full; remove variables that are "
					 "not needed"));
	assert_null(strstr(err.text, "dump"));
}

static void what_is_there_already_is_not_written_again(void **test)
{
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct stat st;

	(void)test;
	assert_int_equal(set_state("same"), 0);
	assert_int_equal(utimensat(AT_FDCWD, state_path(), old, 0), 0);
	assert_int_equal(set_state("same"), 0);
	assert_int_equal(stat(state_path(), &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
}

static void other_attributes_are_reported_and_left_alone(void **test)
{
	_cleanup_free_ uint8_t *file = NULL;
	size_t len = 0;

	(void)test;
	put_file("SlotState-a44b7925-64fe-4f5f-9e3a-49b0319efd7d", "\x06\0\0\0old", 7);
	assert_int_equal(set_state("new"), -1);
	assert_int_equal(err.exit, EX_IOERR);
	assert_non_null(strstr(err.text, "attributes 0x6"));
	assert_int_equal(read_file(state_path(), 100, &file, &len), 0);
	assert_int_equal(len, 7);
	assert_memory_equal(file, "\x06\0\0\0old", 7);
}

static void an_empty_value_is_refused_since_it_would_delete(void **test)
{
	(void)test;
	assert_int_equal(set_state("kept"), 0);
	assert_int_equal(set_state(""), -1);
	assert_int_equal(err.exit, EX_SOFTWARE);
	assert_state("kept");
}

static void a_file_without_data_is_an_absent_variable(void **test)
{
	(void)test;
	for (size_t len = 0; len <= 4; len++) {
		put_file("SlotState-a44b7925-64fe-4f5f-9e3a-49b0319efd7d", "\x07\0\0\0", len);
		assert_absent();
	}
	assert_int_equal(set_state("now"), 0);
	assert_state("now");
}

static void a_deleted_variable_is_gone_and_may_be_deleted_again(void **test)
{
	(void)test;
	assert_int_equal(set_state("x"), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vars_delete(&efi, VARS_SLOTBOOT, VARS_SLOT_STATE, &err), 0);
		assert_absent();
	}
}

static void boot_entries_are_listed_sorted_and_strays_are_not(void **test)
{
	_cleanup_free_ struct vars_name *names = NULL;
	size_t count = 0;

	(void)test;
	put_file("Boot00ab-8be4df61-93ca-11d2-aa0d-00e098032b8c", "", 0);
	put_file("Boot0007-8be4df61-93ca-11d2-aa0d-00e098032b8c", "", 0);
	put_file("Boot0001-8BE4DF61-93CA-11D2-AA0D-00E098032B8C", "", 0);
	put_file("Boot0002-a44b7925-64fe-4f5f-9e3a-49b0319efd7d", "", 0);
	put_file("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", "", 0);
	put_file("Boot000g-8be4df61-93ca-11d2-aa0d-00e098032b8c", "", 0);
	put_file("Boot00010-8be4df61-93ca-11d2-aa0d-00e098032b8c", "", 0);
	put_file("Boot", "", 0);
	put_file("README", "", 0);
	assert_int_equal(vars_list_boot(&efi, &names, &count, &err), 0);
	assert_int_equal(count, 3);
	assert_string_equal(names[0].text, "Boot0001");
	assert_string_equal(names[1].text, "Boot0007");
	assert_string_equal(names[2].text, "Boot00ab");
}

static void a_store_without_boot_entries_lists_none(void **test)
{
	_cleanup_free_ struct vars_name *names = NULL;
	size_t count = 1;

	(void)test;
	assert_int_equal(vars_list_boot(&efi, &names, &count, &err), 0);
	assert_int_equal(count, 0);
	assert_non_null(names);
}

static void a_store_that_may_not_be_written_is_a_missing_permission(void **test)
{
	int r;

	(void)test;
	assert_int_equal(chmod(store, 0555), 0);
	if (getuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	r = set_state("x");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(store, 0755), 0);
	assert_int_equal(r, -1);
	assert_int_equal(err.exit, EX_NOPERM);
	assert_non_null(strstr(err.text, "SlotState-a44b7925"));
}

static void a_place_that_is_not_there_is_a_configuration_error(void **test)
{
	static const struct {
		const char *path, *says;
	} rows[] = {
		{ "/nonexistent/", "no EFI variables at /nonexistent/" },
		{ "/dev/null/", "no EFI variables at /dev/null/" },
		{ "/tmp", "does not end in a slash" },
		{ "", "does not end in a slash" },
	};
	struct vars vars;

	(void)test;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *before = strdup(store);

		assert_int_equal(setenv("EFIVARFS_PATH", rows[i].path, 1), 0);
		assert_int_equal(vars_efi_open(&vars, &err), -1);
		assert_int_equal(err.exit, EX_CONFIG);
		assert_non_null(strstr(err.text, rows[i].says));
		assert_int_equal(setenv("EFIVARFS_PATH", before, 1), 0);
		free(before);
		store = getenv("EFIVARFS_PATH");
	}
}

int main(int argc, char **argv)
{
#define EFI_TEST(f) cmocka_unit_test_setup(f, empty_store)
	const struct CMUnitTest tests[] = {
		EFI_TEST(a_variable_that_was_never_written_is_absent),
		EFI_TEST(a_written_variable_is_a_file_of_attributes_and_data),
		EFI_TEST(a_shorter_value_leaves_no_tail_of_the_longer_one),
		EFI_TEST(a_value_larger_than_a_page_comes_back_whole),
		EFI_TEST(a_value_cut_short_by_a_full_disk_is_an_error),
		EFI_TEST(what_is_there_already_is_not_written_again),
		EFI_TEST(other_attributes_are_reported_and_left_alone),
		EFI_TEST(an_empty_value_is_refused_since_it_would_delete),
		EFI_TEST(a_file_without_data_is_an_absent_variable),
		EFI_TEST(a_deleted_variable_is_gone_and_may_be_deleted_again),
		EFI_TEST(boot_entries_are_listed_sorted_and_strays_are_not),
		EFI_TEST(a_store_without_boot_entries_lists_none),
		EFI_TEST(a_store_that_may_not_be_written_is_a_missing_permission),
		EFI_TEST(a_place_that_is_not_there_is_a_configuration_error),
	};
	char dir[] = "/tmp/slotboot-test-vars-efi-XXXXXX";
	const char *emulator = getenv("RUN_UNDER");	/* qemu-user; Linux starts no such program by itself */
	char slashed[sizeof dir + 1];
	int failed;

	(void)argc;
	if (!getenv("SLOTBOOT_TEST_VARS_EFI")) {
		if (!mkdtemp(dir))
			return 1;
		(void)chmod(dir, 0755);
		(void)snprintf(slashed, sizeof slashed, "%s/", dir);
		(void)setenv("SLOTBOOT_TEST_VARS_EFI", "1", 1);
		(void)setenv("EFIVARFS_PATH", slashed, 1);
		if (emulator)
			(void)execlp(emulator, emulator, argv[0], NULL);
		(void)execv("/proc/self/exe", argv);
		return 1;
	}
	store = getenv("EFIVARFS_PATH");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)empty_store(NULL);
	(void)rmdir(store);
	return failed;
}
