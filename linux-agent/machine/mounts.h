/* SPDX-License-Identifier: MIT */
/* What is mounted where: /proc/self/mountinfo (proc(5)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct mount {
	dev_t dev;		/* major 0: of no block device (overlay, tmpfs, btrfs) */
	bool read_only;	/* this mount, whatever its file system is */
	char *target, *type, *source, *options;	/* options: of the file system */
};

struct mounts {
	struct mount *list;	/* the later ones cover the earlier */
	size_t count;
};

/* sysroot: in front of /proc. What cannot be read is no mount. The caller clears. */
void mounts_read(const char *sysroot, struct mounts *ret_mounts);
void mounts_clear(struct mounts *mounts);

/* The one that is seen at a mount point; NULL: none is there. */
const struct mount *mounts_at(const struct mounts *mounts, const char *target);
/* The one that holds an absolute path, which need not exist; NULL. */
const struct mount *mounts_holding(const struct mounts *mounts, const char *path);
