/* SPDX-License-Identifier: MIT */
/*
 * Parses what a web server sends before a body, and compares two answers about the
 * same object. RFC 9110: 8.3 (Content-Type), 8.4 (Content-Encoding), 8.8 (validators),
 * 14.4 (Content-Range). libcurl handles 8.6 (Content-Length).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The server's answer, without the body. */
struct http_answer {
	long status;		/* 0: no answer yet */
	char reason[64];	/* "Not Found" */
	char etag[128];		/* with its quotes; "": none */
	char modified[64];	/* Last-Modified; "": none */
	char type[64];		/* Content-Type; "": none */
	char encoding[32];	/* Content-Encoding; "": none */
	bool ranged;		/* has a valid Content-Range: */
	uint64_t first, last, total;	/* last is inclusive; total UINT64_MAX: not stated */
	bool unsatisfied;	/* a 416 with "bytes * / total" */
};

/* Parses one header line, as libcurl passes it; it may contain any bytes. A status line starts a
 * new answer, since 100 Continue precedes the real one. */
void http_answer_header(struct http_answer *answer, const char *line, size_t len);

/* What the first answer said about the object. */
struct object {
	bool known;		/* an answer has arrived */
	uint64_t size;		/* UINT64_MAX: not stated */
	char etag[128], modified[64];	/* "": none; weak tags are ignored */
};

void object_learn(struct object *object, const struct http_answer *answer, uint64_t size);

/* True if the object can have this total size; otherwise says why not. */
bool object_has_size(const struct object *object, uint64_t size, char *why, size_t why_room);

/* True if there is reason to doubt that the body belongs to the object: it is encoded, it is a page
 * of HTML, or a validator differs from the first answer's; why says which. This is no error as long
 * as the hashes match: servers behind one address may differ in all of this. If false, why is left
 * alone. */
bool object_is_doubtful(const struct object *object, const struct http_answer *answer,
			char *why, size_t why_room);
