/* SPDX-License-Identifier: MIT */
/* Reading back what was just written, from the medium and not from memory. */
#pragma once

#include "err.h"

#include <stdint.h>

/* SHA-256 of the first size bytes of path, read with O_DIRECT where the file
 * system has it, else after asking the kernel to drop its pages; flush first.
 * EX_IOERR, also where the file is shorter. cancel as in bundle_extract(). */
int readback_sha256(const char *path, uint64_t size, const volatile int *cancel,
		    uint8_t ret_sha256[32], struct err *err);

/* The same, compared: EX_IOERR "reads back differently". */
int readback_check(const char *path, uint64_t size, const uint8_t sha256[32],
		   const volatile int *cancel, struct err *err);
