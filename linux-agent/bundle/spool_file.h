/* SPDX-License-Identifier: MIT */
/*
 * The file that a bundle on a web server is spooled to. It has no name, so that nothing
 * is left of it whatever happens.
 */
#pragma once

#include "err.h"

#include <stddef.h>
#include <stdint.h>

struct spool_file {
	int fd;			/* -1: none */
	const char *directory;	/* where it is; outlives it */
	const char *otherwise;	/* for the message: what helps beside more room, "or ..." */
};

/* Makes f->fd in f->directory. EX_CONFIG. spool_file_close() always. */
int spool_file_open(struct spool_file *f, struct err *err);
void spool_file_close(struct spool_file *f);

/* Is there room for so many bytes more? EX_IOERR "no room": says how much there is. */
int spool_file_room(const struct spool_file *f, uint64_t bytes, struct err *err);

/* All len bytes at offset. EX_IOERR, also where there is no room left. */
int spool_file_write(const struct spool_file *f, const void *buf, size_t len, uint64_t offset,
		     struct err *err);
int spool_file_read(const struct spool_file *f, void *buf, size_t len, uint64_t offset,
		    struct err *err);
