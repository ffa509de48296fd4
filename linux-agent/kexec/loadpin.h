/* SPDX-License-Identifier: MIT */
/*
 * For machines with LoadPin, which loads nothing but files of the file system that was
 * read from first: kernel and initrd as files there, named in slotboot.conf, in the place
 * of copies in memory. They are taken only if they hold the same bytes.
 */
#pragma once

#include "err.h"
#include "memfile.h"

/* pattern: a path in which {slot} and {SLOT} are filled in. The bytes from begin to end
 * of want are what it must hold. EX_NOINPUT: cannot be opened; EX_DATAERR: differs;
 * EX_IOERR. The caller closes. */
int loadpin_open(const char *pattern, unsigned slot, const struct memfile *want, uint64_t begin,
		 uint64_t end, int *ret_fd, struct err *err);
