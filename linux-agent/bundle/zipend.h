/* SPDX-License-Identifier: MIT */
/*
 * The end of a ZIP: where its directory is and how much it holds, checked before
 * libzip is asked, which takes memory for as many entries as are announced and reads
 * as much as is named. APPNOTE 4.3.14 to 4.3.16; the end is the last thing of the
 * file, without a comment, and the directory lies right in front of it.
 */
#pragma once

#include "bundle_source.h"

/* More than any bundle has. */
#define ZIPEND_ENTRIES_MAX 1024
#define ZIPEND_DIRECTORY_MAX (512 * 1024)

/* Where the directory begins. EX_DATAERR: empty, no ZIP, truncated, something behind
 * it, too many entries, too large a directory, numbers that cannot be true, a second
 * end within the directory; else as source->read(). */
int zipend_check(struct bundle_source *source, uint64_t *ret_directory, struct err *err);
