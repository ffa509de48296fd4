/* SPDX-License-Identifier: MIT */
/* --url-file: where a bundle is, from a file or standard input instead of the command
 * line, which every user of the machine can read. */
#pragma once

#include "err.h"

/* path "-": standard input. The one line in it; the caller wipes and frees. EX_NOINPUT: it
 * cannot be read, or is not one line; EX_CONFIG: a file that others may read. From now on
 * this process leaves no core. */
int urlfile_read(const char *path, char **ret_where, struct err *err);

/* A bundle is named once: by the file, where that is not NULL, or by the only operand.
 * Errors as above, or EX_USAGE "VERB: ...". The caller wipes and frees. */
int urlfile_or_operand(const char *verb, const char *path, char **operands, int count,
		       char **ret_where, struct err *err);
