/* SPDX-License-Identifier: MIT */
/*
 * A file copied once into sealed memory, and hashed on the way: each piece is read
 * once, and the bytes that were read are both hashed and written. So the digest is that
 * of the copy, whatever happens to the file meanwhile.
 *
 * With a chunk index each chunk is hashed, on all processors. Without one the
 * whole is, in order, while threads copy.
 */
#pragma once

#include "chunkindex.h"
#include "err.h"
#include "memfile.h"

#include <stdbool.h>

struct uki_copy {
	struct memfile file;
	bool is_changed;	/* with an index: some chunk has not its digest */
	uint8_t sha256[32];	/* without an index: of the whole */
};

/* Copies the first size bytes of fd; name is for messages. index: of as many bytes, or
 * NULL. EX_IOERR, also where the file is shorter; EX_UNAVAILABLE: no room in memory, or
 * not sealed; EX_SOFTWARE: no memory, no thread. The caller closes the file. */
int uki_copy_make(int fd, const char *name, uint64_t size, const struct chunkindex *index,
		  struct uki_copy *ret_copy, struct err *err);
