/* SPDX-License-Identifier: MIT */
#include "health_dir.h"

#include "io.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static bool is_taken(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && name[len - 1] != '~' && !strstr(name, ".dpkg-");
}

static bool is_known(const struct health_dir *dir, const char *name)
{
	for (size_t i = 0; i < dir->count; i++)
		if (strcmp(dir->programs[i].name, name) == 0)
			return true;
	return false;
}

static int program_add(struct health_dir *dir, const char *place, const char *name,
		       struct err *err)
{
	struct health_dir_entry *program = &dir->programs[dir->count];

	if (dir->count == HEALTH_DIR_MAX)
		return err_set(err, EX_CONFIG, "failed to read the checks in %s: more than %d", place,
			       HEALTH_DIR_MAX);
	program->name = strdup(name);
	if (!program->name || asprintf(&program->path, "%s/%s", place, name) < 0) {
		free(program->name);
		return err_errno(err, EX_SOFTWARE, errno, "failed to read the checks in %s", place);
	}
	dir->count++;
	return 0;
}

static int place_read(struct health_dir *dir, const char *place, struct err *err)
{
	_cleanup_(cleanup_closedirp) DIR *entries = opendir(place);
	const struct dirent *entry;

	if (!entries && errno == ENOENT)
		return 0;
	if (!entries)
		return err_errno(err, EX_CONFIG, errno, "failed to read the checks in %s", place);
	for (errno = 0; (entry = readdir(entries)); errno = 0)
		if (is_taken(entry->d_name) && !is_known(dir, entry->d_name) &&
		    program_add(dir, place, entry->d_name, err) < 0)
			return -1;
	if (errno)
		return err_errno(err, EX_CONFIG, errno, "failed to read the checks in %s", place);
	return 0;
}

static bool is_masked(const struct health_dir_entry *program)
{
	struct stat st;

	return stat(program->path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

static void masked_drop(struct health_dir *dir)
{
	size_t kept = 0;

	for (size_t i = 0; i < dir->count; i++) {
		if (!is_masked(&dir->programs[i])) {
			dir->programs[kept++] = dir->programs[i];
			continue;
		}
		free(dir->programs[i].name);
		free(dir->programs[i].path);
	}
	dir->count = kept;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct health_dir_entry *)a)->name,
		      ((const struct health_dir_entry *)b)->name);
}

int health_dir_read(const char *sysroot, struct health_dir *ret_dir, struct err *err)
{
	static const char *const places[] = { "/etc/slotboot/health.d", "/run/slotboot/health.d",
					      "/usr/lib/slotboot/health.d" };

	ret_dir->count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *place = NULL;

		if (asprintf(&place, "%s%s", sysroot, places[i]) < 0) {
			place = NULL;
			return err_errno(err, EX_SOFTWARE, errno, "failed to read the checks");
		}
		if (place_read(ret_dir, place, err) < 0)
			return -1;
	}
	masked_drop(ret_dir);
	qsort(ret_dir->programs, ret_dir->count, sizeof ret_dir->programs[0], by_name);
	return 0;
}

void health_dir_clear(struct health_dir *dir)
{
	for (size_t i = 0; i < dir->count; i++) {
		free(dir->programs[i].name);
		free(dir->programs[i].path);
	}
	dir->count = 0;
}
