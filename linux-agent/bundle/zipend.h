/* SPDX-License-Identifier: MIT */
/*
 * The end of a ZIP: where its directory is and how much it holds, checked before any of
 * it is read. APPNOTE 4.3.14 to 4.3.16; the end is the last thing of the
 * file, without a comment, and the directory lies right in front of it.
 */
#pragma once

#include "bundle_source.h"

/* More than any bundle has. */
#define ZIPEND_ENTRIES_MAX 1024
#define ZIPEND_DIRECTORY_MAX (512 * 1024)

struct zipend {
	uint64_t offset;	/* of the directory */
	size_t size;		/* its bytes */
	size_t behind;		/* its bytes, and those of a ZIP64 end */
	size_t count;		/* its entries */
};

/* EX_DATAERR: empty, no ZIP, truncated, something behind it, too many entries, too large
 * a directory, numbers that cannot be true; else as source->read(). */
int zipend_check(struct bundle_source *source, struct zipend *ret_end, struct err *err);

/* That it begins as a ZIP does, with a file in front of its directory. Apart, so that this is read
 * with what is small. EX_DATAERR: empty, no ZIP; else as source->read(). */
int zipend_start_check(struct bundle_source *source, struct err *err);
