/* SPDX-License-Identifier: MIT */
/*
 * A UKI in memory, less its large parts: .linux, .initrd and .ucode are in files of
 * their own when they go to the kernel, so that a copy of them beside those would only
 * cost time and room. In the order of use:
 *
 *   hollow_open()    headers and small sections come into memory, to be read there
 *   hollow_place()   a large part gets its place in the file that the kernel will get
 *   hollow_fill()    one pass over the UKI: parts with a place are read, hashed and
 *                    written there, and what is in memory is hashed
 *
 * So what is hashed are the very bytes that are used, whatever happens to the file
 * meanwhile. A part without a place is not used, and hashed as it is read.
 *
 * Where a chunk index of the UKI is known to be right, the chunks are copied and hashed
 * on all processors. Else SHA-256 of the whole runs beside the copying, from the
 * beginning to the end; it takes longer than that.
 */
#pragma once

#include "chunkindex.h"
#include "err.h"
#include "memfile.h"
#include "pe.h"

#include <stdbool.h>

struct hollow_part {
	uint64_t offset, size;		/* in the UKI */
	const struct memfile *file;	/* NULL: no place */
	uint64_t at;			/* in it */
};

struct hollow {
	char *name;			/* for messages */
	int from;			/* the UKI, where the parts still are */
	struct memfile rest;		/* sealed: as large as the UKI, holes where parts are */
	/* By offset. Nothing else of the UKI lies in one: a section that shares bytes
	 * with another, or with the headers, is no part, and whole in rest. */
	struct hollow_part parts[PE_MAX_SECTIONS];
	unsigned count;
	const struct chunkindex *index;	/* set by the caller before hollow_fill(), of as many
					 * bytes as rest; or NULL */
	bool is_hashed;
	bool is_changed;		/* with an index: not each chunk is what it says */
	uint8_t sha256[32];		/* without one: of the whole UKI */
};

#define HOLLOW_NONE { .from = -1, .rest = MEMFILE_NONE }

/* whole: no parts, everything is in rest. Any file will do, UKI or not. EX_NOINPUT:
 * there is none; EX_DATAERR: not a file; EX_IOERR; EX_UNAVAILABLE: no room. The caller
 * closes after success. */
int hollow_open(const char *path, bool whole, struct hollow *ret_hollow, struct err *err);
void hollow_close(struct hollow *hollow);

/* Keeps room for a part at the end of file, which must stay until hollow_fill().
 * Returns 1; 0: these bytes are no part, they are in rest; -1 with errno (EEXIST: it
 * has a place). */
int hollow_place(struct hollow *hollow, uint64_t offset, uint64_t size, struct memfile *file);
/* Takes every part its place again, before file goes. */
void hollow_unplace(struct hollow *hollow);

/* EX_IOERR; EX_UNAVAILABLE, EX_SOFTWARE: no memory, no thread. */
int hollow_fill(struct hollow *hollow, struct err *err);
