/* SPDX-License-Identifier: MIT */
/*
 * Where a bundle is read from: a file, or an object on a web server. Both give any byte
 * at any offset, and are read in place. Only of a server without ranges all is fetched
 * first, into a file (spool_file.h): that is a bundle at hand, not a remote one.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetch_options;
struct http_link_figures;
struct report;

struct bundle_source_options {
	const struct fetch_options *fetch;	/* for URLs; may be NULL */
	const char *spool;		/* directory of the spool_file; for URLs */
	struct report *report;		/* is told what is spooled, and how far it is; may be NULL */
};

struct source_range {
	uint64_t offset, len;
};

struct bundle_source {
	uint64_t size;		/* bytes */
	bool remote;		/* its bytes are dear */
	/* All len bytes at offset. EX_DATAERR: it ends before them; EX_IOERR;
	 * EX_UNAVAILABLE, EX_TEMPFAIL as fetch_read(). */
	int (*read)(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
		    struct err *err);
	/* What will be read next, in order: one request. Bytes that are then left out
	 * are fetched and dropped. May be NULL. */
	void (*run)(struct bundle_source *source, uint64_t offset, uint64_t len);
	/* Another run, that comes after this one and those that were named so: it may be asked for
	 * already. One that was named before may be named again. A hint; NULL: of a file. */
	void (*ahead)(struct bundle_source *source, uint64_t offset, uint64_t len);
	/* Small parts that are read soon, each by itself; ascending. A hint; NULL: of a file. */
	void (*need)(struct bundle_source *source, const struct source_range *ranges, size_t count);
	/* What was seen of the link so far; NULL: of a file. */
	void (*link)(const struct bundle_source *source, struct http_link_figures *ret_figures);
	/* Bytes that came over the wire, and in how many requests; NULL: of a file. */
	uint64_t (*fetched)(const struct bundle_source *source, unsigned *ret_requests);
	/* What came was wrong: what is read next is fetched, over a new connection, and not taken
	 * from what is held. NULL: there is no second try (a file, or what is in one). */
	void (*anew)(struct bundle_source *source);
	/* fetch_doubt(): what was odd about the answers; NULL: of a file. */
	const char *(*doubt)(const struct bundle_source *source);
	void (*close)(struct bundle_source *source);
};

/* where is a path or a URL (file, http, https); EX_USAGE: none that names a file. What options points to must outlive it. The caller
 * closes. EX_NOINPUT: no such file; EX_UNAVAILABLE, EX_TEMPFAIL: fetch_read(); of a server without
 * ranges EX_CONFIG, EX_IOERR: spool_file.h. */
int bundle_source_open(const char *where, const struct bundle_source_options *options,
		       struct bundle_source **ret_source, struct err *err);

void bundle_source_close(struct bundle_source *source);
void bundle_source_closep(struct bundle_source **source);

/* The two kinds. */
int bundle_source_file_open(const char *path, struct bundle_source **ret_source, struct err *err);
int bundle_source_http_open(const char *url, const struct bundle_source_options *options,
			    struct bundle_source **ret_source, struct err *err);
