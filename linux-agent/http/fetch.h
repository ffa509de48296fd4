/* SPDX-License-Identifier: MIT */
/*
 * Reads an object from a web server with libcurl (http and https): ranges of it or,
 * if the server does not support ranges, the whole object in order. If the server
 * rejects a suffix range (the last N bytes), the first byte is requested instead,
 * which reveals the size. Redirects are followed only within http and https, and
 * never from https to http.
 *
 * These failures are retried with exponential backoff (1 s, doubling to 60 s, with
 * jitter; it starts over after each byte received): the name does not resolve; the
 * connection is refused or breaks; a timeout; a transfer that is too slow
 * (http_options.h; here the pauses grow although bytes arrive); a truncated body;
 * and the statuses 408, 425, 429, 500, 502 to 504 and 520 to 599, also when a proxy
 * answers CONNECT with them. A retry requests only what is missing. Retry-After
 * (seconds or a date) is honoured if it is longer than the pause. Every other status
 * is final. The total deadline ends everything.
 *
 * Answers that a cache, or one of several servers, may give by mistake are retried as
 * well, but the fifth in a row is final: the whole object instead of a range, a range
 * other than the one requested, a length that does not match the range, an object of
 * a different size.
 *
 * Servers may disagree on ETag and Last-Modified. Only the caller's hashes can tell
 * whether the bytes are right.
 *
 * Ranges that will be read later can be announced (fetch_ahead()). They are requested
 * while the current one is read, over up to http->connections connections or as
 * streams of one (HTTP/2), and buffered (up to 10 MiB) until their turn. A failure of
 * such a request is not reported and costs only the request: the range is requested
 * again, at the latest when its turn comes. If the server answers 429 or 503, refuses
 * further connections or leaves them waiting, half as many requests are kept in flight.
 */
#pragma once

#include "cage.h"
#include "err.h"
#include "http_link.h"
#include "http_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The clock of a fetch. It does not cover what libcurl times itself: connect_timeout_s and low
 * speed. */
struct fetch_clock {
	int64_t (*now_ms)(void *ctx);
	void (*sleep_ms)(void *ctx, unsigned ms);
	void *ctx;
};

struct gate;

struct fetch_options {
	unsigned deadline_s;		/* total, over all tries; 0: 3600 */
	unsigned connect_timeout_s;	/* for each try; 0: 30 */
	unsigned backoff_ms;		/* first pause; 0: 1000 */
	const struct http_options *http;	/* TLS, headers, proxy; NULL: the system's */
	struct gate *gate;		/* makes the connections; NULL: libcurl does */
	const struct fetch_clock *clock;	/* NULL: CLOCK_MONOTONIC and poll() */
	const volatile int *cancel;	/* checked at least once a second; may be NULL */
	void (*retrying)(void *ctx, const char *why, unsigned wait_ms);
	/* For remote.h: called once, with a sentence, if SANDBOX_AUTO cannot provide the full
	 * sandbox. May be NULL. */
	void (*lacking)(void *ctx, const char *what);
	void *ctx;
	enum sandbox sandbox;		/* for remote.h; fetch_open() itself never uses one */
};

/* True if it begins with http:// or https://, in either case. */
bool fetch_is_url(const char *where);

struct fetch;

/* url, and everything options points to, must outlive the fetch. Sends nothing yet; the deadline
 * starts now. Errors: EX_SOFTWARE. The caller closes it. */
int fetch_open(const char *url, const struct fetch_options *options, struct fetch **ret_fetch,
	       struct err *err);
void fetch_close(struct fetch *fetch);
void fetch_closep(struct fetch **fetch);

/* Makes the first request, for the last len bytes of the object (all of a shorter one), which also
 * reveals its size. A server without ranges sends the whole object instead: then *ret_len is 0,
 * fetch_has_ranges() is false, and fetch_read() reads the object from its start. Errors as for
 * fetch_read(). */
int fetch_tail(struct fetch *fetch, void *buf, size_t len, size_t *ret_len, struct err *err);

bool fetch_has_ranges(const struct fetch *fetch);

/* UINT64_MAX if unknown: a server without ranges need not state it. */
uint64_t fetch_size(const struct fetch *fetch);

/* Sets the range that fetch_read() reads next, as one request; only if the server has ranges. Drops
 * the announced ranges before this one, or all of them if this exact range was not announced. */
void fetch_range(struct fetch *fetch, uint64_t offset, uint64_t len);

/* Announces a range to be read after the current one and after those announced so far. A range that
 * was announced before keeps its place. Only a hint: beyond FETCH_AHEAD_MAX it is ignored. */
enum { FETCH_AHEAD_MAX = 32 };
void fetch_ahead(struct fetch *fetch, uint64_t offset, uint64_t len);

/* Receives what was requested until fd is readable or nothing is left to receive. */
void fetch_idle(struct fetch *fetch, int fd);

/* Makes the next request use a new connection, possibly to another server behind the same name. */
void fetch_anew(struct fetch *fetch);

/* Reads the next len bytes of the range or the object; fewer only at its end. EX_UNAVAILABLE:
 * network error, a server or status that is final, a range that was not requested, an object that
 * changed, or the deadline; EX_TEMPFAIL: cancelled; EX_SOFTWARE. */
int fetch_read(struct fetch *fetch, void *buf, size_t len, size_t *ret_len, struct err *err);

/* Why the received bytes may be wrong, judged by the last answer that differed from the first or
 * does not look like a bundle: its validators, its content coding, a page of HTML. "" if nothing
 * was suspicious. */
const char *fetch_doubt(const struct fetch *fetch);

/* The number of accepted body bytes received, and of requests sent, so far. */
uint64_t fetch_received(const struct fetch *fetch);
unsigned fetch_requests(const struct fetch *fetch);

/* What has been measured of the link so far. */
void fetch_figures(const struct fetch *fetch, struct http_link_figures *ret_figures);

/* True if the status is worth a retry; see above. */
bool fetch_status_is_transient(long status);
