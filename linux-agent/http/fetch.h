/* SPDX-License-Identifier: MIT */
/*
 * Reading an object from a web server with libcurl (http and https): ranges of it
 * or, where the server has no ranges, the whole of it in order. A server that knows
 * no range of so many bytes at the end is asked for the first byte, and so for the size. Redirects only
 * within http and https and never from https to http.
 *
 * Tried again with exponential backoff (1 s doubling to 60 s, with jitter, from
 * the start after each byte that arrived): name not resolved, connection refused
 * or broken, timed out, too slow (http_options.h; the pauses grow although bytes arrived),
 * a body cut short, and the statuses 408, 425, 429, 500, 502
 * to 504 and 520 to 599, of a proxy to CONNECT as well. A new try asks for what is
 * still missing. Retry-After (seconds or a date) is honoured where it is longer. Every
 * other status is final. The total deadline ends all of it.
 *
 * What a cache or one of several servers may do now and then is tried again, too, but
 * the fifth in a row is final: the whole of it for a range, another range than was
 * asked for, a length that is not the range's, an object of another size.
 *
 * The servers may differ in ETag and Last-Modified: whether the bytes are right, only
 * the caller's hashes can say.
 *
 * Ranges that will be read later can be named ahead: they are asked for while the one before
 * is read, over up to http->connections connections, or as streams of one (HTTP/2), and held
 * (up to 10 MiB) until it is their turn. What goes wrong with them says nothing and costs
 * nothing but a request: it is asked again, at the latest in its turn. A server that answers
 * 429 or 503, takes no more connections, or lets them wait, is asked for half as many at once.
 */
#pragma once

#include "cage.h"
#include "err.h"
#include "http_link.h"
#include "http_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Time as the fetch sees it, but for what libcurl measures itself (connect_timeout_s, too slow). */
struct fetch_clock {
	int64_t (*now_ms)(void *ctx);
	void (*sleep_ms)(void *ctx, unsigned ms);
	void *ctx;
};

struct gate;

struct fetch_options {
	unsigned deadline_s;		/* in total, all tries; 0: 3600 */
	unsigned connect_timeout_s;	/* one try; 0: 30 */
	unsigned backoff_ms;		/* first pause; 0: 1000 */
	const struct http_options *http;	/* TLS, headers, proxy; NULL: the system's */
	struct gate *gate;		/* through which it connects; NULL: by itself */
	const struct fetch_clock *clock;	/* NULL: CLOCK_MONOTONIC and poll() */
	const volatile int *cancel;	/* looked at at least once a second; may be NULL */
	void (*retrying)(void *ctx, const char *why, unsigned wait_ms);
	/* Of remote.h: once, where SANDBOX_AUTO is less than all, a sentence. May be NULL. */
	void (*lacking)(void *ctx, const char *what);
	void *ctx;
	enum sandbox sandbox;		/* of remote.h; fetch_open() itself never has one */
};

/* http:// or https://, in either case. */
bool fetch_is_url(const char *where);

struct fetch;

/* url and what options points to must outlive it. Nothing is sent yet; the deadline starts now.
 * EX_SOFTWARE. The caller closes. */
int fetch_open(const char *url, const struct fetch_options *options, struct fetch **ret_fetch,
	       struct err *err);
void fetch_close(struct fetch *fetch);
void fetch_closep(struct fetch **fetch);

/* The first request: for the object's last len bytes (all of a shorter one), and
 * so for its size. A server without ranges answers with the object: *ret_len is 0
 * then, fetch_has_ranges() is false, and fetch_read() gives it from its start.
 * Errors as fetch_read(). */
int fetch_tail(struct fetch *fetch, void *buf, size_t len, size_t *ret_len, struct err *err);

bool fetch_has_ranges(const struct fetch *fetch);

/* UINT64_MAX: not known, of a server without ranges that does not say. */
uint64_t fetch_size(const struct fetch *fetch);

/* What fetch_read() gives next, in one request; for a server with ranges. What was named ahead
 * before this very range is dropped, and all of it if this was not named. */
void fetch_range(struct fetch *fetch, uint64_t offset, uint64_t len);

/* What is read after that, and after those named before; one that was named already stays where
 * it is. A hint: more than FETCH_AHEAD_MAX are not taken. */
enum { FETCH_AHEAD_MAX = 32 };
void fetch_ahead(struct fetch *fetch, uint64_t offset, uint64_t len);

/* Receives what was named, until something can be read from fd or there is nothing to do. */
void fetch_idle(struct fetch *fetch, int fd);

/* What is asked for next is asked over a new connection, of the same server or another. */
void fetch_anew(struct fetch *fetch);

/* The next len bytes of the range or the object; fewer only at its end.
 * EX_UNAVAILABLE: the network, the server, its final status, a range that was not
 * asked for, another object than before, the deadline; EX_TEMPFAIL: cancelled;
 * EX_SOFTWARE. */
int fetch_read(struct fetch *fetch, void *buf, size_t len, size_t *ret_len, struct err *err);

/* Why bytes that turn out wrong may be so, in the words of the last answer that was not like the
 * first, or is no bundle's: its validators, its coding, a page of HTML. "": nothing. */
const char *fetch_doubt(const struct fetch *fetch);

/* Bytes of bodies that came and were taken, and requests that were sent, so far. */
uint64_t fetch_received(const struct fetch *fetch);
unsigned fetch_requests(const struct fetch *fetch);

/* What was seen of the link so far. */
void fetch_figures(const struct fetch *fetch, struct http_link_figures *ret_figures);

/* Whether a status is worth another try; see above. */
bool fetch_status_is_transient(long status);
