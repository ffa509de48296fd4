/* SPDX-License-Identifier: MIT */
/*
 * Where a bundle is read from: a file, or an object on a web server. Read in place,
 * never copied. Both give any byte at any offset; of a server without ranges the
 * bytes come once and in order (forward).
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetch_options;

struct bundle_source {
	uint64_t size;		/* bytes; UINT64_MAX: not known (only if forward) */
	bool forward;		/* read() at increasing offsets only */
	bool remote;		/* its bytes are dear */
	/* All len bytes at offset. EX_DATAERR: it ends before them; EX_IOERR;
	 * EX_UNAVAILABLE, EX_TEMPFAIL as fetch_read(). */
	int (*read)(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
		    struct err *err);
	/* What will be read next, in order: one request. Bytes that are then left out
	 * are fetched and dropped. May be NULL. */
	void (*run)(struct bundle_source *source, uint64_t offset, uint64_t len);
	/* Bytes that came over the wire, and in how many requests; NULL: of a file. */
	uint64_t (*fetched)(const struct bundle_source *source, unsigned *ret_requests);
	/* What came was wrong: what is read next is fetched, over a new connection, and not taken
	 * from what is held. NULL: there is no second try (a file, a forward source). */
	void (*anew)(struct bundle_source *source);
	/* fetch_doubt(): what was odd about the answers; NULL: of a file. */
	const char *(*doubt)(const struct bundle_source *source);
	void (*close)(struct bundle_source *source);
};

/* where is a path or a URL (file, http, https). What options points to must outlive it. The caller
 * closes. EX_NOINPUT: no such file; EX_UNAVAILABLE, EX_TEMPFAIL: fetch_read(). */
int bundle_source_open(const char *where, const struct fetch_options *options,
		       struct bundle_source **ret_source, struct err *err);

/* The path of a path or a file URL; the caller frees. EX_USAGE: a URL of no file. */
int bundle_source_path(const char *where, char **ret_path, struct err *err);
void bundle_source_close(struct bundle_source *source);
void bundle_source_closep(struct bundle_source **source);

/* The two kinds. */
int bundle_source_file_open(const char *path, struct bundle_source **ret_source, struct err *err);
int bundle_source_http_open(const char *url, const struct fetch_options *options,
			    struct bundle_source **ret_source, struct err *err);
