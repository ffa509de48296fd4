/* SPDX-License-Identifier: MIT */
#include "dropins.h"

#include "io.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* In order of precedence, highest first. */
static const char *const places[] = { "/etc/slotboot", "/run/slotboot", "/usr/lib/slotboot" };

static bool is_taken(const char *name, const char *suffix)
{
	size_t len = strlen(name), suffix_len = strlen(suffix);

	return name[0] != '.' && name[len - 1] != '~' && !strstr(name, ".dpkg-") && len > suffix_len &&
	       strcmp(name + len - suffix_len, suffix) == 0;
}

static bool is_known(const struct dropins *dropins, const char *name)
{
	for (size_t i = 0; i < dropins->count; i++)
		if (strcmp(dropins->files[i].name, name) == 0)
			return true;
	return false;
}

static int file_add(struct dropins *dropins, const char *place, const char *name, struct err *err)
{
	struct dropin *file = &dropins->files[dropins->count];

	if (dropins->count == DROPINS_MAX)
		return err_set(err, EX_CONFIG, "failed to read %s: more than %d files", place,
			       DROPINS_MAX);
	file->name = strdup(name);
	if (!file->name || asprintf(&file->path, "%s/%s", place, name) < 0) {
		free(file->name);
		return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", place);
	}
	dropins->count++;
	return 0;
}

static int place_read(struct dropins *dropins, const char *place, const char *suffix, struct err *err)
{
	_cleanup_(cleanup_closedirp) DIR *entries = opendir(place);
	const struct dirent *entry;

	if (!entries && errno == ENOENT)
		return 0;
	if (!entries)
		return err_errno(err, EX_CONFIG, errno, "failed to read %s", place);
	for (errno = 0; (entry = readdir(entries)); errno = 0)
		if (is_taken(entry->d_name, suffix) && !is_known(dropins, entry->d_name) &&
		    file_add(dropins, place, entry->d_name, err) < 0)
			return -1;
	if (errno)
		return err_errno(err, EX_CONFIG, errno, "failed to read %s", place);
	return 0;
}

static bool is_masked(const struct dropin *file)
{
	struct stat st;

	return stat(file->path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

static void file_free(struct dropin *file)
{
	free(file->name);
	free(file->path);
}

static void masked_drop(struct dropins *dropins)
{
	size_t kept = 0;

	for (size_t i = 0; i < dropins->count; i++) {
		if (is_masked(&dropins->files[i]))
			file_free(&dropins->files[i]);
		else
			dropins->files[kept++] = dropins->files[i];
	}
	dropins->count = kept;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct dropin *)a)->name, ((const struct dropin *)b)->name);
}

static char *place_path(const char *root, const char *place, const char *name)
{
	char *path;

	return asprintf(&path, "%s%s/%s", root, place, name) < 0 ? NULL : path;
}

int dropins_read(const char *root, const char *name, const char *suffix, struct dropins *ret_dropins,
		 struct err *err)
{
	ret_dropins->count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *place = place_path(root, places[i], name);

		if (!place)
			return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", name);
		if (place_read(ret_dropins, place, suffix, err) < 0)
			return -1;
	}
	masked_drop(ret_dropins);
	qsort(ret_dropins->files, ret_dropins->count, sizeof ret_dropins->files[0], by_name);
	return 0;
}

void dropins_clear(struct dropins *dropins)
{
	for (size_t i = 0; i < dropins->count; i++)
		file_free(&dropins->files[i]);
	dropins->count = 0;
}

/* The main file is read before the drop-ins; it may be absent. */
static int first_insert(const char *root, const char *name, struct dropins *dropins, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct dropin file = { .path = place_path(root, places[i], name) };

		if (file.path && access(file.path, F_OK) < 0 && errno == ENOENT) {
			free(file.path);
			continue;
		}
		file.name = file.path ? strdup(name) : NULL;
		if (!file.name) {
			free(file.path);
			return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", name);
		}
		memmove(&dropins->files[1], &dropins->files[0], dropins->count * sizeof file);
		dropins->files[0] = file;
		dropins->count++;
		return 0;
	}
	return 0;
}

int dropins_read_config(const char *root, const char *name, struct dropins *ret_dropins, struct err *err)
{
	_cleanup_free_ char *directory = NULL;

	ret_dropins->count = 0;
	if (asprintf(&directory, "%s.d", name) < 0) {
		directory = NULL;
		return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", name);
	}
	if (dropins_read(root, directory, ".conf", ret_dropins, err) < 0)
		return -1;
	return first_insert(root, name, ret_dropins, err);
}
