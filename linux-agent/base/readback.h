/* SPDX-License-Identifier: MIT */
/* Reading back what was just written, from the medium and not from memory. */
#pragma once

#include "disk.h"
#include "err.h"

#include <stdint.h>

/* SHA-256 of the first size bytes of path, read past the page cache where that
 * can be done (DISK_READ); flush first. EX_IOERR, also where the file is shorter.
 * cancel as in bundle_extract(). */
int readback_sha256(const struct disk *disk, const char *path, uint64_t size,
		    const volatile int *cancel, uint8_t ret_sha256[32], struct err *err);

/* The same, compared: EX_IOERR "reads back differently". */
int readback_check(const struct disk *disk, const char *path, uint64_t size,
		   const uint8_t sha256[32], const volatile int *cancel, struct err *err);
