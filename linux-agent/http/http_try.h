/* SPDX-License-Identifier: MIT */
/* One try of a request: its redirects, and what an answer or an error means. Of
 * fetch.c; no one else includes it. */
#pragma once

#include "http_exchange.h"

enum outcome {
	OUTCOME_DONE,		/* a body is to be read */
	OUTCOME_AGAIN,		/* worth another try; why says what happened */
	OUTCOME_REDIRECTED,	/* next has the URL */
	OUTCOME_ANEW,		/* to be asked at once, in another way */
	OUTCOME_FINAL,		/* err is filled */
};

struct fetch {
	struct fetch_options options;
	struct http_exchange t;
	int64_t start_ms;
	unsigned failures;	/* since the last byte that arrived */
	unsigned slow;		/* tries in a row that ended for being too slow */
	unsigned odd;		/* answers in a row to another question than was asked */
	unsigned requests;
	char *next;
	char why[512];

	struct object object;
	bool whole;		/* the server has no ranges */
	bool sizing;		/* none for the tail: the first byte is asked for, and so the size */
	char doubt[256];	/* the last there was; see object_is_doubtful() */

	/* what is read */
	size_t tail;		/* so many bytes at the end are asked for; 0: pos to end */
	uint64_t pos, end;	/* the next byte, and the one after the last */
	bool flowing;		/* the answer's body is at pos */
	uint64_t body_end;	/* UINT64_MAX: not told */
};

/* Asks for what is wanted next: the tail, or pos to end, or the whole. On OUTCOME_DONE
 * the body flows at pos, up to body_end. err is filled for OUTCOME_FINAL only. */
enum outcome http_try_once(struct fetch *f, struct err *err);

/* What a transfer that libcurl ended with an error means; AGAIN (why is filled) or FINAL. */
enum outcome http_try_error(struct fetch *f, CURLcode code, struct err *err);

/* "failed to fetch URL: CAUSE"; -1. */
int http_try_failed(const struct fetch *f, int exit, const char *cause, struct err *err);
