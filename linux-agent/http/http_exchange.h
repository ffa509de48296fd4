/* SPDX-License-Identifier: MIT */
/*
 * HTTP exchanges through libcurl, without redirects and without tries: what fetch.c is built
 * from. Several run at once, over the connections (or the streams of one, with HTTP/2) that
 * libcurl keeps for all of them. Each body goes into a ring of its own; where that is full
 * libcurl holds the rest, so that a slow disk holds the server back and nothing piles up
 * here. libcurl runs only inside http_wire_work().
 */
#pragma once

#include "http_answer.h"
#include "fetch.h"

#include <curl/curl.h>

#define TICK_MS 100

/* What the exchanges of one object share. */
struct http_wire {
	const struct fetch_options *options;
	const char *url;	/* as the caller named it */
	CURL *like;		/* what every exchange's handle is a copy of */
	CURLM *multi;
	struct http_options_session http;
	bool multiplexed;	/* HTTP/2: exchanges share a connection; the caller's */
	uint64_t received;	/* bytes of accepted bodies, of all exchanges */
	unsigned running;	/* exchanges that libcurl works on */
	uint64_t debt;		/* bytes that came before their time, by rate_limit */
	int64_t debt_ms;	/* as of this moment */
};

struct http_exchange {
	struct http_wire *wire;
	CURL *easy;		/* NULL: not begun yet */
	struct curl_slist *names;	/* of the gate's */
	/* Asked once, with the first bytes of a body with status 200 or 206: is it taken? It
	 * then sets skip and left. */
	bool (*accept)(void *ctx);
	void *ctx;

	/* of the present exchange */
	bool active;		/* begun and not ended */
	bool over;		/* libcurl is done with it: code */
	bool begun;		/* accept() was asked */
	bool paused;		/* the ring is full */
	CURLcode code;
	struct http_answer answer;
	char curl_text[CURL_ERROR_SIZE];
	uint64_t headers;	/* bytes of them, of what comes before them and of trailers */
	uint64_t ignored;	/* bytes of a body that is not wanted */
	uint64_t skip;		/* bytes of the body that are dropped first, */
	uint64_t left;		/* and those that are taken then */

	/* of this exchange and those before */
	uint8_t *ring;
	size_t ring_room, ring_at, ring_len;
};

/* By options->clock. */
int64_t http_wire_now_ms(const struct http_wire *w);
void http_wire_sleep_ms(const struct http_wire *w, unsigned ms);

bool http_wire_cancelled(const struct http_wire *w);

/* Fills all but options and url, which are the caller's, from these; EX_SOFTWARE,
 * http_options_open(). http_wire_close() always, after its exchanges. */
int http_wire_open(struct http_wire *w, struct err *err);
void http_wire_close(struct http_wire *w);

/* Closes all connections: what is asked next is asked over new ones. No exchange is active. */
void http_wire_renew(struct http_wire *w);

/* Has libcurl do what can be done without waiting. */
void http_wire_work(struct http_wire *w);
/* At most TICK_MS, or until there is something to do, or to be read from fd; -1: none. */
void http_wire_wait(struct http_wire *w, int fd);

/* Room for so many bytes of bodies; EX_SOFTWARE. http_exchange_close() in every case. */
int http_exchange_open(struct http_exchange *x, struct http_wire *wire, size_t room, struct err *err);
/* Of its ring and its exchange; the handle is kept for another. */
void http_exchange_clear(struct http_exchange *x);
void http_exchange_close(struct http_exchange *x);

/* Sends a request. range as in RFC 9110, 14.1.2 ("0-99", "-99"), or NULL. EX_SOFTWARE. */
int http_exchange_start(struct http_exchange *x, const char *url, const char *range, struct err *err);

/* At most len bytes that came. */
size_t http_exchange_take(struct http_exchange *x, void *buf, size_t len);

/* Ends the exchange, whatever its state; the connection is kept if the body was
 * read to its end. */
void http_exchange_stop(struct http_exchange *x);

/* Its headers, or trailers, were more than anyone needs: the exchange was ended. */
bool http_exchange_is_flooded(const struct http_exchange *x);
