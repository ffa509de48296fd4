/* SPDX-License-Identifier: MIT */
/*
 * One HTTP exchange through libcurl, without redirects and without tries: what
 * fetch.c is built from. The body is pulled: libcurl runs only inside these
 * calls, so that a slow disk holds the server back and nothing piles up here. A
 * deadline and a cancellation end a transfer within TICK_MS.
 */
#pragma once

#include "http_answer.h"
#include "fetch.h"

#include <curl/curl.h>

#define TICK_MS 100

struct http_exchange {
	const struct fetch_options *options;
	const char *url;	/* as the caller named it */
	CURL *easy;
	struct http_options_session http;
	CURLM *multi;
	int64_t deadline_ms;
	bool fresh;		/* exchanges have a connection of their own; the caller's */
	uint64_t received;	/* bytes of accepted bodies, of all exchanges */

	/* of the present exchange */
	bool active;		/* begun and not ended */
	bool over;		/* libcurl is done with it: code */
	CURLcode code;
	struct http_answer answer;
	char curl_text[CURL_ERROR_SIZE];
	uint64_t headers;	/* bytes of them, of what comes before them and of trailers */
	uint64_t ignored;	/* bytes of a body that is not wanted */
	uint8_t *buf;		/* where the read at hand goes */
	size_t room;
	uint8_t spill[CURL_MAX_WRITE_SIZE];	/* what came beyond it */
	size_t spill_at, spill_len;
};

/* By t->options->clock. */
int64_t http_exchange_now_ms(const struct http_exchange *t);
void http_exchange_sleep_ms(const struct http_exchange *t, unsigned ms);

bool http_exchange_cancelled(const struct http_exchange *t);

/* Its headers, or trailers, were more than anyone needs: the exchange was ended. */
bool http_exchange_is_flooded(const struct http_exchange *t);

/* Fills t->easy and t->multi from t->options; EX_SOFTWARE, http_options_open(). http_exchange_end()
 * always. */
int http_exchange_begin(struct http_exchange *t, struct err *err);
void http_exchange_end(struct http_exchange *t);

/* Sends a request and waits for the answer: on return t->answer is filled and the
 * first bytes of a body with status 200 or 206 wait to be read, or t->over. range
 * as in RFC 9110, 14.1.2 ("0-99", "-99"), or NULL. EX_SOFTWARE. */
int http_exchange_start(struct http_exchange *t, const char *url, const char *range, struct err *err);

/* At most len bytes of the body; fewer only if t->over, or the transfer was
 * cancelled, or the deadline is over (t->code is CURLE_ABORTED_BY_CALLBACK). */
size_t http_exchange_read(struct http_exchange *t, void *buf, size_t len);

/* Ends the exchange, whatever its state; the connection is kept if the body was
 * read to its end. */
void http_exchange_stop(struct http_exchange *t);
