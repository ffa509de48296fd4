/* SPDX-License-Identifier: MIT */
/*
 * The checks of health.d: programs in /etc/slotboot/health.d (the administrator's),
 * /run/slotboot/health.d (of this boot) and /usr/lib/slotboot/health.d (those of
 * packages). Of one name the first counts; a link to /dev/null masks it. They run in the
 * order of their names. Not taken: hidden files, and those that dpkg and editors leave
 * behind (NAME.dpkg-old, NAME~).
 */
#pragma once

#include "err.h"

#include <stddef.h>

#define HEALTH_DIR_MAX 128

struct health_dir_entry {
	char *name;
	char *path;
};

struct health_dir {
	struct health_dir_entry programs[HEALTH_DIR_MAX];
	size_t count;
};

/* sysroot is put before the directories; one that is not there is empty. EX_CONFIG: a
 * directory cannot be read, or there are too many programs. Clear it in every case. */
int health_dir_read(const char *sysroot, struct health_dir *ret_dir, struct err *err);
void health_dir_clear(struct health_dir *dir);
