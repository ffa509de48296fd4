/* SPDX-License-Identifier: MIT */
/* For tests: a temporary directory that is filled from paths and texts, and
 * removed with all in it. */
#pragma once

#include "unittest.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

struct testdir {
	char path[64];
};

static inline void testdir_make(struct testdir *dir)
{
	strcpy(dir->path, "/tmp/slotboot-test-XXXXXX");
	assert_non_null(mkdtemp(dir->path));
}

static inline int testdir_unlink(const char *path, const struct stat *st, int flag,
				 struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static inline void testdir_remove(struct testdir *dir)
{
	(void)nftw(dir->path, testdir_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* A static buffer, one at a time. */
static inline const char *testdir_path(const struct testdir *dir, const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", dir->path, name);
	return path;
}

/* Creates the directories on the way. */
static inline void testdir_put(const struct testdir *dir, const char *name, const void *data,
			       size_t len)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir->path, name);
	for (char *p = path + strlen(dir->path) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
}

static inline void testdir_text(const struct testdir *dir, const char *name, const char *text)
{
	testdir_put(dir, name, text, strlen(text));
}
