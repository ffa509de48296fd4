/* SPDX-License-Identifier: MIT */
/*
 * A file in memory that is made once, from its beginning to its end, and then
 * sealed: what kexec_file_load(2) gets. Functions return 0, or -1 with errno.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct memfile {
	int fd;			/* -1: not open */
	uint64_t size;
};

#define MEMFILE_NONE { .fd = -1 }

/* Not executable where the kernel knows that (MFD_NOEXEC_SEAL, Linux 6.3; needed
 * where vm.memfd_noexec is 2). */
int memfile_open(const char *name, struct memfile *ret_file);
/* NULL and a file that is not open are fine; size stays. */
void memfile_close(struct memfile *file);

/* Each appends. */
int memfile_write(struct memfile *file, const void *data, size_t len);
/* Bytes of another file, without passing through this process where the kernel can
 * do that. ENODATA: it is shorter. */
int memfile_copy(struct memfile *file, int from, uint64_t offset, uint64_t len);
/* Zeros up to the next multiple of 4. */
int memfile_align(struct memfile *file);
/* len bytes that are to come later, or never: zeros that take no room. */
int memfile_skip(struct memfile *file, uint64_t len);

/* From here on nobody can change it. EBUSY: a page of it is in use elsewhere, and stayed
 * so for some two seconds. */
int memfile_seal(struct memfile *file);
