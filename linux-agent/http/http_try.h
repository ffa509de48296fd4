/* SPDX-License-Identifier: MIT */
/*
 * A lane: one wanted range, from its first request to its last byte, through redirects and
 * tries. Of fetch.c; no one else includes it.
 *
 *   IDLE      to be asked for, not before ready_ms
 *   ASKED     a request was sent, its answer has not begun
 *   FLOWING   the answer was taken, its body comes
 *   DONE      all of it is in the ring, or was read
 *   FAILED    for good: err
 *
 * The lane at the head is the one that is read. What goes wrong there is tried again as
 * fetch.h says. Those behind it are asked for ahead; what goes wrong there waits, without a
 * word, until it is the head's turn or the head is seen to be well.
 */
#pragma once

#include "http_exchange.h"
#include "http_link.h"

enum outcome {
	OUTCOME_DONE,		/* the body is taken */
	OUTCOME_AGAIN,		/* worth another try; why says what happened */
	OUTCOME_REDIRECTED,	/* next has the URL */
	OUTCOME_ANEW,		/* to be asked at once, in another way */
	OUTCOME_FINAL,		/* err is filled */
};

enum lane_state { LANE_IDLE, LANE_ASKED, LANE_FLOWING, LANE_DONE, LANE_FAILED };

/* What is held of a range that is asked for ahead, and of a longer one that is read. */
#define LANE_BYTES ((size_t)2 << 20)
/* One that is read, and those asked for ahead; of these at once, of HTTP/1.1 over so many
 * connections, of HTTP/2 as so many streams; and the bytes of all of them together. */
enum { LANES = FETCH_AHEAD_MAX + 1, LANES_CONNECTIONS = 4, LANES_STREAMS = 24 };
#define LANES_BYTES ((uint64_t)8 << 20)

struct lane {
	struct fetch *f;
	struct http_exchange x;
	enum lane_state state;
	uint64_t pos, end;	/* what is read next, and where it ends */
	uint64_t seen;		/* where the reception was when it was last looked at */
	uint64_t body_end;	/* of the answer at hand; UINT64_MAX: not told */
	int64_t ready_ms;	/* not asked for before */
	int64_t asked_ms;
	uint64_t asked_after;	/* so many lanes had been done then, */
	unsigned asked_among;	/* and so many were allowed at once */
	unsigned failures;	/* since the last byte that arrived */
	unsigned slow;		/* tries in a row that ended for being too slow */
	unsigned odd;		/* answers in a row to another question than was asked */
	unsigned hop;		/* redirects of this try */
	bool taken;		/* an answer was */
	bool told;		/* that it failed */
	bool waits;		/* until it is at the head */
	char *url;		/* of this hop; NULL: that which was named */
	char *next;		/* of the next one */
	enum outcome outcome;	/* once x.begun */
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
	bool whole;		/* the server has no ranges */
	bool sizing;		/* none for the tail: the first byte is asked for, and so the size */
	size_t tail;		/* so many bytes at the end are asked for; 0: a lane's pos to end */
	char doubt[256];	/* the last there was; see object_is_doubtful() */

	/* a ring of them; that of the head is lanes[first] */
	struct lane lanes[LANES];
	unsigned first, count;
	unsigned most, allowed;	/* requests in flight: by the options and the protocol; as the
				 * server bears them */
	bool troubled;		/* something failed, and no byte came since: nothing ahead */
	uint64_t done;		/* lanes that are done, */
	uint64_t calm;		/* and since the server last refused one */
};

/* Up to where a lane was received. */
static inline uint64_t lane_at(const struct lane *l)
{
	return l->pos + l->x.ring_len;
}

/* --- http_try.c: what answers and errors mean ----------------------------------- */

/* What the answer, or the end, of l->x means. On OUTCOME_DONE its body is at lane_at(), up to
 * body_end, and l->x.skip and left are set. l->err is filled for OUTCOME_FINAL only. */
enum outcome http_try_judge(struct lane *l);

/* What a transfer that libcurl ended with an error means; AGAIN (why is filled) or FINAL. */
enum outcome http_try_error(struct lane *l, CURLcode code);

/* "bytes=" of this for the next request, or NULL. */
const char *http_try_range(const struct lane *l, char text[static 64]);

/* "failed to fetch URL: CAUSE"; -1. */
int http_try_failed(const struct fetch *f, int exit, const char *cause, struct err *err);

/* --- lane.c: one of them ---------------------------------------------------------- */

/* Bytes of it that are held: all, or LANE_BYTES. */
size_t lane_room(const struct lane *l);

/* Asks for what is missing, from the URL that was named. What keeps it from that is in l->err. */
void lane_ask(struct lane *l, int64_t now);

/* Takes note of what came. Whether anything did. */
bool lane_go_on(struct lane *l, int64_t now);

/* The deadline came before the head was asked for again. */
void lane_late(struct lane *head);

/* --- lanes.c: what is asked for, and when --------------------------------------- */

/* The lane at this place; 0: the head, which there must be. */
struct lane *lanes_at(struct fetch *f, unsigned place);

/* Behind the others. NULL: there is no room for one more. */
struct lane *lanes_push(struct fetch *f, uint64_t offset, uint64_t end);
void lanes_pop(struct fetch *f);
void lanes_drop(struct fetch *f);

/* Goes on with what can be, and waits a tick if that was nothing; fd: also until something
 * can be read there; -1: none. waited: the reader has nothing else to do. Errors are in their
 * lanes. */
void lanes_work(struct fetch *f, int fd, bool waited);



