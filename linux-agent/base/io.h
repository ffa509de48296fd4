/* SPDX-License-Identifier: MIT */
/*
 * Small things every file of the agent uses: cleanup attributes and the
 * read/write loops that POSIX leaves to the caller.
 */
#pragma once

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void cleanup_closedirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static inline void cleanup_fclosep(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(cleanup_freep)
#define _cleanup_close_ _cleanup_(cleanup_closep)
#define _cleanup_fclose_ _cleanup_(cleanup_fclosep)

/* Writes all len bytes at offset; 0, or -1 with errno. */
int pwrite_full(int fd, const void *buf, size_t len, off_t offset);

/* Reads exactly len bytes at offset; 0, or -1 with errno (ENODATA: the file
 * ended early). */
int pread_full(int fd, void *buf, size_t len, off_t offset);

/* Reads from fd to its end, of at most max bytes, behind what *data (NULL at first) has: *len
 * bytes; a NUL is added and not counted. The caller frees *data in every case. 0, or -1 with
 * errno (EFBIG: larger). */
int read_to_end(int fd, size_t max, uint8_t **data, size_t *len);

/* Reads a whole file of at most max bytes into a buffer the caller frees; a
 * NUL is added after the last byte and not counted. Works on files whose
 * size stat() does not tell (/proc). 0, or -1 with errno (EFBIG: larger). */
int read_file(const char *path, size_t max, uint8_t **ret_data, size_t *ret_len);

/* Opens a regular file or a block device for reading; never waits, as opening a FIFO by
 * mistake would. A descriptor, or -1 with errno (EINVAL: something else). */
int open_data(const char *path);

/* out must hold 2 * len + 1 bytes; lower case. */
void hex_encode(const uint8_t *data, size_t len, char *out);

/* Exactly 2 * len hexadecimal digits (either case) and then the end of the
 * string: 1; anything else: 0, and then out is not complete. */
int hex_decode(const char *hex, uint8_t *out, size_t len);
