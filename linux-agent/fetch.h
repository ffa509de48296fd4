/* SPDX-License-Identifier: MIT */
/*
 * Fetching a URL with libcurl: http, https and file, redirects only within
 * http and https and never from https to http.
 *
 * Tried again with exponential backoff (1 s doubling to 60 s, with jitter):
 * name not resolved, connection refused or broken, timed out, a body cut
 * short, and the statuses 408, 425, 429, 500, 502 to 504 and 520 to 599.
 * Retry-After (seconds or a date) is honoured where it is longer. Every other
 * status is final. The total deadline ends all of it.
 */
#pragma once

#include "err.h"
#include "httpopts.h"

#include <stdbool.h>
#include <stdint.h>

struct fetch_options {
	unsigned deadline_s;		/* in total, all tries; 0: 3600 */
	unsigned connect_timeout_s;	/* one try; 0: 30 */
	unsigned stall_timeout_s;	/* no byte for so long: broken; 0: 60 */
	unsigned backoff_ms;		/* first pause; 0: 1000 */
	uint64_t max_bytes;		/* larger is refused; 0: 64 GiB */
	const struct httpopts *http;	/* TLS, headers, proxy; NULL: the system's */
	const volatile int *cancel;	/* looked at at least once a second; may be NULL */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);	/* total 0: unknown */
	void (*retrying)(void *ctx, const char *why, unsigned wait_ms);
	void *ctx;
};

/* Whether bundle_open() should fetch it; anything else is a path. */
bool fetch_is_url(const char *where);

/* Writes the body to fd from offset 0 (a failed try starts over with an empty
 * file) and returns its length. EX_UNAVAILABLE: the network, the server, its
 * final status, the deadline; EX_NOINPUT: no such file:// file; EX_TEMPFAIL:
 * cancelled; EX_IOERR: writing to fd; EX_DATAERR: larger than max_bytes. */
int fetch_to_fd(const char *url, const struct fetch_options *options, int fd,
		uint64_t *ret_len, struct err *err);

/* Whether a status is worth another try; see above. */
bool fetch_status_is_transient(long status);
