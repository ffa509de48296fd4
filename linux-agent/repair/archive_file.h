/* SPDX-License-Identifier: MIT */
/*
 * A ZIP archive that is collected in memory and written in one go, through libzip. It is for
 * its owner's eyes until he hands it on: mode 0600, and no file that is there is written over.
 */
#pragma once

#include "err.h"

#include <stddef.h>

struct archive_file;

/* path, copied, must end with .zip; the file is there from now on. The caller closes. EX_USAGE:
 * another name; EX_IOERR; EX_SOFTWARE: out of memory. */
int archive_file_open(const char *path, struct archive_file **ret_file, struct err *err);

/* A file of mode 0600 under that name. len in bytes; data is copied. EX_SOFTWARE. */
int archive_file_add(struct archive_file *file, const char *name, const void *data, size_t len,
		     struct err *err);

/* so_far: what came before. Durable on 0; else nothing is left of it. Frees. EX_IOERR. */
int archive_file_close(struct archive_file *file, int so_far, struct err *err);
