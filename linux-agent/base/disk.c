/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include "io.h"

#include <libgen.h>
#include <string.h>

int disk_flush_parent(const struct disk *disk, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	return copy ? disk->flush_dir(disk->ctx, dirname(copy)) : -1;
}
