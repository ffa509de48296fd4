/* SPDX-License-Identifier: MIT */
/* What is said between remote.c and remote_child.c; no one else includes it but tests. */
#pragma once

#include "child.h"
#include "remote.h"

/* The shared memory: two halves, so that one is filled while the other is emptied. */
#define REMOTE_HALF_BYTES ((size_t)256 << 10)

enum remote_kind { REMOTE_TAIL = 1, REMOTE_READ };
/* Of a read, before it; NEXT: it goes on with the one before, if that got all it wanted, and else
 * gets nothing. */
enum { REMOTE_ANEW = 1 << 0, REMOTE_RANGE = 1 << 1, REMOTE_NEXT = 1 << 2 };

struct remote_ask {
	uint32_t kind;
	uint32_t flags;
	uint64_t offset, len;	/* of the range */
	uint32_t half, want;	/* where to, and how many bytes at most */
	uint32_t ahead_count;	/* ranges that are read after it */
	struct { uint64_t offset, len; } ahead[FETCH_AHEAD_MAX];
};

enum remote_word {
	REMOTE_READY = 1,	/* text: what is lacking */
	REMOTE_DONE,
	REMOTE_FAILED,		/* exit, text */
	REMOTE_RETRYING,	/* text, wait_ms; another one follows */
};

struct remote_answer {
	uint32_t word;
	int32_t exit;
	uint32_t got, wait_ms;
	uint32_t has_ranges, requests;
	uint64_t size, received;
	struct http_link_figures link;
	char text[1024];
	char doubt[256];
};

struct remote_job {
	const char *url;
	struct fetch_options options;
	int gate;		/* -1: none */
};

/* The process; it returns when it is to end. */
void remote_child(void *job, int channel, uint8_t *area);

/* One answer, which is the parent's to check: false: it can not have been meant. Texts are
 * terminated and cleaned. */
bool remote_answer_check(struct remote_answer *answer, uint32_t want);

/* For tests: the process in its place. */
int remote_open_child(const char *url, const struct fetch_options *options,
		      void (*run)(void *job, int channel, uint8_t *area), struct remote **ret_remote,
		      struct err *err);
