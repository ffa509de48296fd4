/* SPDX-License-Identifier: MIT */
/*
 * The entries of a ZIP that nobody vouches for yet, through libzip. Stored and
 * deflated entries only, none encrypted. Messages name the entry, not the file:
 * the caller puts that in front.
 */
#pragma once

#include "err.h"

#include <stddef.h>
#include <stdint.h>
#include <zip.h>

static inline void zip_fclosep(zip_file_t **file)
{
	if (*file)
		(void)zip_fclose(*file);
}

/* Opens the archive in fd, a regular file; fd is taken in every case, and closed
 * by zip_discard(). EX_DATAERR: not a ZIP, truncated, inconsistent, or a name
 * occurs twice; EX_IOERR: reading failed. */
int zipentry_archive_open(int fd, zip_t **ret_zip, struct err *err);

/* Opens an entry and tells the unpacked size its header claims (which a reader
 * must not rely on). *ret_file is NULL if there is no such entry. EX_DATAERR:
 * encrypted, another compression, damaged. The caller closes with zip_fclose(). */
int zipentry_open(zip_t *zip, const char *name, zip_file_t **ret_file, uint64_t *ret_size,
		  struct err *err);

/* Reads an entry of at most max bytes; *ret_data is NULL if there is no such entry.
 * Errors as zipentry_open(); the CRC is checked. The caller frees. */
int zipentry_read(zip_t *zip, const char *name, uint64_t max, uint8_t **ret_data,
		  size_t *ret_len, struct err *err);

/* What zip_fread() had to say: EX_DATAERR, or EX_IOERR where reading the file failed. */
int zipentry_damaged(const char *name, zip_file_t *file, struct err *err);
