/* SPDX-License-Identifier: MIT */
/*
 * One HTTP exchange or file:// copy through libcurl, without redirects and
 * without tries: what fetch.c is built from. It adds to libcurl that the body
 * goes to a file descriptor only if the status is 200, and that a deadline and a
 * cancellation end the transfer within TICK_MS.
 */
#pragma once

#include "fetch.h"

#include <curl/curl.h>

#define TICK_MS 100

struct transfer {
	const struct fetch_options *options;
	const char *url;	/* as the caller named it */
	int fd;
	CURL *easy;
	struct httpopts_session http;
	CURLM *multi;
	int64_t deadline_ms;
	uint64_t max_bytes;

	/* of the present exchange */
	uint64_t done;
	int write_errno;
	bool too_large;
	char reason[64];	/* "Not Found" of the last status line */
	char curl_text[CURL_ERROR_SIZE];
	uint64_t ignored;	/* bytes of a redirect's body */
};

/* CLOCK_MONOTONIC. */
int64_t transfer_now_ms(void);

bool transfer_cancelled(const struct transfer *t);

/* The last status, 0 if there was none (file://, no answer). */
long transfer_status(const struct transfer *t);

/* Fills t->easy and t->multi from t->options; EX_SOFTWARE, httpopts_open(). transfer_end()
 * always. */
int transfer_begin(struct transfer *t, struct err *err);
void transfer_end(struct transfer *t);

/* Empties t->fd and runs one exchange with url. *ret_code is libcurl's result;
 * CURLE_ABORTED_BY_CALLBACK: cancelled, or the deadline is over;
 * CURLE_WRITE_ERROR: t->write_errno, t->too_large or the status tells why.
 * EX_IOERR: t->fd cannot be emptied; EX_SOFTWARE. */
int transfer_run(struct transfer *t, const char *url, CURLcode *ret_code, struct err *err);
