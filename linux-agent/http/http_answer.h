/* SPDX-License-Identifier: MIT */
/*
 * What a web server says before a body, and whether two answers are about the
 * same object. RFC 9110: 8.3 (Content-Type), 8.4 (Content-Encoding), 8.6
 * (Content-Length is libcurl's), 8.8 (validators), 14.4 (Content-Range).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the server said before the body. */
struct http_answer {
	long status;		/* 0: there was none */
	char reason[64];	/* "Not Found" */
	char etag[128];		/* with its quotes; "" none */
	char modified[64];	/* Last-Modified; "" none */
	char type[64];		/* Content-Type; "" none */
	char encoding[32];	/* Content-Encoding; "" none */
	bool ranged;		/* has a Content-Range that could be read: */
	uint64_t first, last, total;	/* last inclusive; total UINT64_MAX: not told */
	bool unsatisfied;	/* bytes * / total, of a 416 */
};

/* Takes one header line as libcurl hands it over, any bytes; a status line begins
 * a new answer (100 Continue comes before the real one). */
void http_answer_header(struct http_answer *answer, const char *line, size_t len);

/* What the first answer said of the object. */
struct object {
	bool known;		/* there was one */
	uint64_t size;		/* UINT64_MAX: not told */
	char etag[128], modified[64];	/* "": none; weak tags do not count */
};

void object_learn(struct object *object, const struct http_answer *answer, uint64_t size);

/* Whether this size of the whole can be its; if not, why. */
bool object_has_size(const struct object *object, uint64_t size, char *why, size_t why_room);

/* What makes one doubt that the bytes of this answer are the object's: they are coded, or a page
 * of HTML, or a validator is not that of the first answer. It is no error where their hashes are
 * right: the servers behind one address may differ in all of it. false: there is nothing, and why
 * is left alone. */
bool object_is_doubtful(const struct object *object, const struct http_answer *answer,
			char *why, size_t why_room);
