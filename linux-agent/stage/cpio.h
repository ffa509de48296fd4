/* SPDX-License-Identifier: MIT */
/*
 * Writing an archive that the kernel unpacks as (a part of) its initramfs: cpio in
 * the "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst),
 * owner root, no times. Entries are padded to 4 bytes; the archive must begin at a
 * multiple of 4. Functions return 0, or -1 with errno.
 */
#pragma once

#include "memfile.h"

struct cpio {
	struct memfile *out;
	uint32_t inode;		/* of the last entry */
};

/* The directory and those above it; modes without the type: 0555 above, mode the
 * last. Relative to the root, no slash at either end. */
int cpio_directories(struct cpio *cpio, const char *path, unsigned mode);

/* The header of a file; size bytes must be written to cpio->out next, and
 * memfile_align() called. EFBIG: size needs more than 32 bits. */
int cpio_file(struct cpio *cpio, const char *directory, const char *name, unsigned mode,
	      uint64_t size);

/* The entry that ends the archive. */
int cpio_end(struct cpio *cpio);
