/* SPDX-License-Identifier: MIT */
/* The messages between remote.c and remote_child.c; otherwise only tests include this. */
#pragma once

#include "child.h"
#include "remote.h"

/* The shared memory has two halves: one is filled while the other is emptied. */
#define REMOTE_HALF_BYTES ((size_t)256 << 10)

enum remote_kind { REMOTE_TAIL = 1, REMOTE_READ };
/* What to do before a read. NEXT: the read continues the previous one; if that got less than it
 * wanted, this one returns nothing. */
enum { REMOTE_ANEW = 1 << 0, REMOTE_RANGE = 1 << 1, REMOTE_NEXT = 1 << 2 };

struct remote_ask {
	uint32_t kind;
	uint32_t flags;
	uint64_t offset, len;	/* of the range */
	uint32_t half, want;	/* which half to fill, and how many bytes at most */
	uint32_t ahead_count;	/* ranges to be read after this one */
	struct { uint64_t offset, len; } ahead[FETCH_AHEAD_MAX];
};

enum remote_word {
	REMOTE_READY = 1,	/* text: what the cage lacks */
	REMOTE_DONE,
	REMOTE_FAILED,		/* exit, text */
	REMOTE_RETRYING,	/* text, wait_ms; another answer follows */
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
};

/* The body of the process; it ends when this returns. */
void remote_child(void *job, int channel, uint8_t *area);

/* Checks an answer on the parent's side, and terminates and cleans its texts. False if it is not
 * valid. */
bool remote_answer_check(struct remote_answer *answer, uint32_t want);

/* For tests, which run a process of their own instead. */
int remote_open_child(const char *url, const struct fetch_options *options,
		      void (*run)(void *job, int channel, uint8_t *area), struct remote **ret_remote,
		      struct err *err);
