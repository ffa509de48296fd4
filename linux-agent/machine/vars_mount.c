/* SPDX-License-Identifier: MIT */
#include "vars_mount.h"

#include "io.h"
#include "mounts.h"

#include <string.h>

/* The first of the options, which are the file system's. */
static bool is_read_only(const char *options)
{
	return strncmp(options, "ro", 2) == 0 && (options[2] == ',' || !options[2]);
}

bool vars_mount_is_closed(const char *sysroot, const char *path)
{
	_cleanup_(mounts_clear) struct mounts mounts = { 0 };
	_cleanup_free_ char *target = strdup(path);
	const struct mount *m;
	size_t len = strlen(path);

	if (!target)
		return false;
	if (len > 1 && target[len - 1] == '/')
		target[len - 1] = 0;
	mounts_read(sysroot, &mounts);
	m = mounts_at(&mounts, target);
	return m && strcmp(m->type, "efivarfs") == 0 && !m->read_only && is_read_only(m->options);
}
