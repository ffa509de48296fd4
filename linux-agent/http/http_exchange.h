/* SPDX-License-Identifier: MIT */
/*
 * HTTP exchanges through libcurl, without redirects or retries: the layer below fetch.c.
 * Several run at once, over the connections (or the streams of one, with HTTP/2) that they
 * share. Each body goes into a ring buffer of its own. When that is full, libcurl stops
 * reading, so that a slow disk slows the server down and nothing piles up here. libcurl
 * runs only inside http_wire_work().
 */
#pragma once

#include "http_answer.h"
#include "fetch.h"

#include <curl/curl.h>

#define TICK_MS 100

/* What all exchanges of one object share. */
struct http_wire {
	const struct fetch_options *options;
	const char *url;	/* as the caller gave it */
	CURL *like;		/* the template for every exchange's handle */
	CURLM *multi;
	struct http_options_session http;
	bool multiplexed;	/* HTTP/2: exchanges share a connection; set by the caller */
	uint64_t received;	/* bytes of accepted bodies, over all exchanges */
	unsigned running;	/* exchanges that libcurl is working on */
	uint64_t debt;		/* bytes received ahead of what rate_limit allows, */
	int64_t debt_ms;	/* as of this time */
};

struct http_exchange {
	struct http_wire *wire;
	CURL *easy;		/* NULL: not created yet */
	struct curl_slist *names;	/* resolved by the gate */
	/* Called once, with the first bytes of a body of status 200 or 206. Returns true to accept
	 * the body, after setting skip and left. */
	bool (*accept)(void *ctx);
	void *ctx;

	/* the current exchange */
	bool active;		/* started and not yet stopped */
	bool over;		/* libcurl has finished, with code */
	bool begun;		/* accept() was called */
	bool paused;		/* the ring is full */
	CURLcode code;
	struct http_answer answer;
	char curl_text[CURL_ERROR_SIZE];
	uint64_t headers;	/* bytes of headers, of those of earlier answers, and of trailers */
	uint64_t ignored;	/* bytes received of an unwanted body */
	uint64_t skip;		/* body bytes to drop first, */
	uint64_t left;		/* and then to keep */

	/* kept from one exchange to the next */
	uint8_t *ring;
	size_t ring_room, ring_at, ring_len;
};

/* The time by options->clock. */
int64_t http_wire_now_ms(const struct http_wire *w);
void http_wire_sleep_ms(const struct http_wire *w, unsigned ms);

bool http_wire_cancelled(const struct http_wire *w);

/* The caller sets options and url; this sets the rest from them. EX_SOFTWARE, and errors of
 * http_options_open(). The caller must call http_wire_close() in every case, after closing the
 * exchanges. */
int http_wire_open(struct http_wire *w, struct err *err);
void http_wire_close(struct http_wire *w);

/* Closes all connections, so that later requests use new ones. No exchange may be active. */
void http_wire_renew(struct http_wire *w);

/* Lets libcurl do what it can without waiting. */
void http_wire_work(struct http_wire *w);
/* Waits at most TICK_MS for libcurl to have work, or for fd to become readable; fd -1: none. */
void http_wire_wait(struct http_wire *w, int fd);

/* Allocates a ring of room bytes. EX_SOFTWARE. The caller must call http_exchange_close() in every
 * case. */
int http_exchange_open(struct http_exchange *x, struct http_wire *wire, size_t room, struct err *err);
/* Stops the exchange and frees its ring; the handle is kept for the next one. */
void http_exchange_clear(struct http_exchange *x);
void http_exchange_close(struct http_exchange *x);

/* Sends a request. range is in the form of RFC 9110, 14.1.2 ("0-99", "-99"), or NULL.
 * EX_SOFTWARE. */
int http_exchange_start(struct http_exchange *x, const char *url, const char *range, struct err *err);

/* Takes at most len received bytes out of the ring; returns how many. */
size_t http_exchange_take(struct http_exchange *x, void *buf, size_t len);

/* Ends the exchange in any state. Keeps the connection if the body was read to its end. */
void http_exchange_stop(struct http_exchange *x);

/* True if the exchange was ended because its headers or trailers were excessively long. */
bool http_exchange_is_flooded(const struct http_exchange *x);
