/* SPDX-License-Identifier: MIT */
/*
 * A tar archive that is written in one go, through libarchive. It is for its owner's eyes
 * until he hands it on: mode 0600, and no file that is there is written over.
 */
#pragma once

#include "err.h"

#include <stddef.h>

struct archive_file;

/* Compressed as the name says: .tar.zst or .tar.gz. The caller closes. EX_USAGE: another name;
 * EX_IOERR, EX_NOPERM. */
int archive_file_open(const char *path, struct archive_file **ret_file, struct err *err);

/* A file of mode 0600 under that name. EX_IOERR. */
int archive_file_add(struct archive_file *file, const char *name, const void *data, size_t len,
		     struct err *err);

/* so_far: what came before. Durable on 0; else nothing is left of it. Frees. */
int archive_file_close(struct archive_file *file, int so_far, struct err *err);
