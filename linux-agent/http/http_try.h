/* SPDX-License-Identifier: MIT */
/*
 * A lane: one wanted range, from its first request to its last byte, across redirects and
 * retries. Internal to fetch.c.
 *
 *   IDLE      to be requested, but not before ready_ms
 *   ASKED     requested; the answer has not begun
 *   FLOWING   the answer was accepted; its body is arriving
 *   DONE      all of it is in the ring, or was read
 *   FAILED    for good, with err
 *
 * The head lane is the one being read; its failures are retried as fetch.h says. The lanes
 * behind it are requested ahead. Their failures are not reported: they stay idle until they
 * become the head, or until the head is known to work.
 */
#pragma once

#include "http_exchange.h"
#include "http_link.h"

enum outcome {
	OUTCOME_DONE,		/* the body is accepted */
	OUTCOME_AGAIN,		/* worth a retry; why says what happened */
	OUTCOME_REDIRECTED,	/* next is the URL */
	OUTCOME_ANEW,		/* to be requested again at once, in another way */
	OUTCOME_FINAL,		/* failed; err is filled */
};

enum lane_state { LANE_IDLE, LANE_ASKED, LANE_FLOWING, LANE_DONE, LANE_FAILED };

/* Buffer size of a lane, unless its range is shorter. */
#define LANE_BYTES ((size_t)2 << 20)
/* LANES: the head and those requested ahead. The defaults for requests in flight: connections with
 * HTTP/1.1, streams with HTTP/2. LANES_BYTES: all buffers together. */
enum { LANES = FETCH_AHEAD_MAX + 1, LANES_CONNECTIONS = 4, LANES_STREAMS = 24 };
#define LANES_BYTES ((uint64_t)8 << 20)

struct lane {
	struct fetch *f;
	struct http_exchange x;
	enum lane_state state;
	uint64_t pos, end;	/* the position to be read next, and the end of the range */
	uint64_t seen;		/* how far it was received at the last check */
	uint64_t body_end;	/* end of the current answer's body; UINT64_MAX: not stated */
	int64_t ready_ms;	/* earliest time of the next request */
	int64_t asked_ms;
	uint64_t asked_after;	/* when it was requested: how many lanes were done */
	unsigned asked_among;	/* and how many requests were allowed at once */
	unsigned failures;	/* since the last byte received */
	unsigned slow;		/* consecutive tries that ended for being too slow */
	unsigned odd;		/* consecutive answers that did not match the request */
	unsigned hop;		/* redirects followed in this try */
	bool taken;		/* an answer was accepted */
	bool told;		/* the failure was reported to the caller */
	bool waits;		/* not to be requested before it is the head */
	char *url;		/* after a redirect; NULL: the URL of the fetch */
	char *next;		/* the target of the next redirect */
	enum outcome outcome;	/* valid if x.begun */
	char why[512];
	struct err err;
};

struct fetch {
	struct fetch_options options;
	struct http_wire wire;
	struct http_link link;
	int64_t start_ms, deadline_ms;
	unsigned requests;

	struct object object;
	bool whole;		/* the server does not support ranges */
	bool sizing;		/* no suffix ranges: the first byte is requested, to learn the
				 * size */
	size_t tail;		/* request this many bytes at the end; 0: a lane's pos to end */
	char doubt[256];	/* the latest; see object_is_doubtful() */

	/* a ring; the head is lanes[first] */
	struct lane lanes[LANES];
	unsigned first, count;
	unsigned most, allowed;	/* requests in flight: the limit by options and protocol, and what
				 * the server currently tolerates */
	bool troubled;		/* a request failed and no byte has arrived since: request nothing
				 * ahead */
	uint64_t done;		/* lanes completed, */
	uint64_t calm;		/* and those since the server last refused a request */
};

/* The position up to which the lane was received. */
static inline uint64_t lane_at(const struct lane *l)
{
	return l->pos + l->x.ring_len;
}

/* --- http_try.c: what answers and errors mean ----------------------------------- */

/* Interprets the answer, or the end, of l->x. For OUTCOME_DONE the body continues at lane_at(),
 * ends at body_end, and l->x.skip and left are set. l->err is filled only for OUTCOME_FINAL. */
enum outcome http_try_judge(struct lane *l);

/* Interprets a libcurl error: AGAIN, with why, or FINAL. */
enum outcome http_try_error(struct lane *l, CURLcode code);

/* The value after "bytes=" in the next request, or NULL for no Range header. */
const char *http_try_range(const struct lane *l, char text[static 64]);

/* Sets "failed to fetch URL: CAUSE" and returns -1. */
int http_try_failed(const struct fetch *f, int exit, const char *cause, struct err *err);

/* --- lane.c: one of them ---------------------------------------------------------- */

/* Bytes to buffer: all of the range, or LANE_BYTES. */
size_t lane_room(const struct lane *l);

/* Requests what is missing, from the URL of the fetch. On failure the lane has l->err. */
void lane_ask(struct lane *l, int64_t now);

/* Processes what has arrived. True if anything changed. */
bool lane_go_on(struct lane *l, int64_t now);

/* The deadline passed before the head was requested again. */
void lane_late(struct lane *head);

/* --- lanes.c: what is asked for, and when --------------------------------------- */

/* The lane at this place; place 0 is the head. The lane must exist. */
struct lane *lanes_at(struct fetch *f, unsigned place);

/* Appends a lane; NULL if there is no room. */
struct lane *lanes_push(struct fetch *f, uint64_t offset, uint64_t end);
void lanes_pop(struct fetch *f);
void lanes_drop(struct fetch *f);

/* Does what can be done now; if there was nothing, waits for a tick or until fd is readable (-1: no
 * fd). waited: the reader has nothing else to do. Errors are left in the lanes. */
void lanes_work(struct fetch *f, int fd, bool waited);



