/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without libFuzzer. Without arguments it is a unit test: each of
 * the target's seeds, in fuzz/seeds/NAME where NAME is the program's, must be taken.
 * With arguments it runs these files, such as libFuzzer left of a crash.
 */
#include "fuzz.h"

#include "unittest.h"

#include <dirent.h>

static const char *program;

/* In memory of just its size, so that ASan watches its bounds. */
static void run(const char *path)
{
	FILE *f = fopen(path, "rbe");
	long size = -1;
	uint8_t *data;

	if (f && fseek(f, 0, SEEK_END) == 0)
		size = ftell(f);
	data = size < 0 ? NULL : malloc((size_t)size);
	if (!data || fseek(f, 0, SEEK_SET) != 0 || fread(data, 1, (size_t)size, f) != (size_t)size) {
		perror(path);
		exit(1);
	}
	fuzz_taken = false;
	(void)LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	(void)fclose(f);
}

static void every_seed_is_taken(void **state)
{
	char path[512];
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	(void)state;
	(void)snprintf(path, sizeof path, "fuzz/seeds/%s", program);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof path, "fuzz/seeds/%s/%s", program, entry->d_name);
		run(path);
		if (!fuzz_taken)
			fail_msg("%s is refused", path);
		count++;
	}
	(void)closedir(dir);
	assert_int_not_equal(count, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_seed_is_taken) };

	program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	if (argc == 1)
		return cmocka_run_group_tests(tests, NULL, NULL);
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	return 0;
}
