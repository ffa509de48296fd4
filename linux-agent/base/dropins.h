/* SPDX-License-Identifier: MIT */
/*
 * A directory of files that stands in three places: /etc/slotboot/NAME is the
 * administrator's, /run/slotboot/NAME of this boot, /usr/lib/slotboot/NAME that of
 * packages. Of files with one name the first counts; a link to /dev/null masks it. Their
 * order is that of their names. Not taken: hidden files, and those that dpkg and editors
 * leave behind (NAME.dpkg-old, NAME~). UAPI.6, "Configuration Files Specification".
 */
#pragma once

#include "err.h"

#include <stddef.h>

#define DROPINS_MAX 128

struct dropin {
	char *name;
	char *path;
};

struct dropins {
	struct dropin files[DROPINS_MAX];
	size_t count;
};

/* root is put before the directories; one that is not there is empty. Only names that end
 * in suffix count, "" for all. EX_CONFIG: a directory cannot be read, or there are too many
 * files. Clear it in every case. */
int dropins_read(const char *root, const char *name, const char *suffix, struct dropins *ret_dropins,
		 struct err *err);
void dropins_clear(struct dropins *dropins);

/* The path of the first of /etc/slotboot/NAME, /run/slotboot/NAME and /usr/lib/slotboot/NAME
 * that is there; the caller frees it. NULL: there is none. */
int dropins_first(const char *root, const char *name, char **ret_path, struct err *err);
