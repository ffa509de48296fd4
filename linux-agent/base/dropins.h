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
	struct dropin files[DROPINS_MAX + 1];
	size_t count;
};

/* root is put before the directories; one that is not there is empty. Only names that end
 * in suffix count, "" for all. EX_CONFIG: a directory cannot be read, or there are too many
 * files. Clear it in every case. */
int dropins_read(const char *root, const char *name, const char *suffix, struct dropins *ret_dropins,
		 struct err *err);
void dropins_clear(struct dropins *dropins);

/* A configuration: the first NAME of /etc/slotboot, /run/slotboot and /usr/lib/slotboot, if
 * there is one, and behind it the drop-ins of NAME.d that end in ".conf". Likewise. */
int dropins_read_config(const char *root, const char *name, struct dropins *ret_dropins, struct err *err);
