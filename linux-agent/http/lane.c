/* SPDX-License-Identifier: MIT */
/* One lane: requesting, judging the answer, receiving, retrying. */
#include "http_try.h"

#include "io.h"

#include <string.h>
#include <sys/random.h>

#define BACKOFF_MAX_MS 60000
#define DEFAULT_BACKOFF_MS 1000
/* An answer that takes longer than this plus eight round trips, while others arrive, is being held
 * up behind the others by the server. */
#define STUCK_MS 2000
/* After this many ranges without a refusal, more requests are kept in flight. */
#define CALM_LANES 32

static bool is_head(const struct lane *l)
{
	return l == &l->f->lanes[l->f->first];
}

/* --- asking ---------------------------------------------------------------------- */

static bool accept_body(void *ctx)
{
	struct lane *l = ctx;

	l->outcome = http_try_judge(l);
	return l->outcome == OUTCOME_DONE;
}

/* The length to buffer. While the length is unknown, as much as for a long range. */
size_t lane_room(const struct lane *l)
{
	bool known = l->f->object.known && !l->f->whole;

	return known && l->end - l->pos < LANE_BYTES ? (size_t)(l->end - l->pos) : LANE_BYTES;
}

static void ask(struct lane *l)
{
	struct fetch *f = l->f;
	char range[64];

	l->x.accept = accept_body;
	l->x.ctx = l;
	f->requests++;
	l->state = LANE_ASKED;
	l->asked_after = f->done;
	l->asked_among = f->allowed;
	if ((!l->x.ring && http_exchange_open(&l->x, &f->wire, lane_room(l), &l->err) < 0) ||
	    http_exchange_start(&l->x, l->url ? l->url : f->wire.url, http_try_range(l, range),
				&l->err) < 0)
		l->state = LANE_FAILED;
}

/* Starts again from the URL of the fetch, for what is missing. */
void lane_ask(struct lane *l, int64_t now)
{
	free(l->url);
	l->url = NULL;
	l->hop = 0;
	l->asked_ms = now;
	ask(l);
}

static void ask_next(struct lane *l)
{
	free(l->url);
	l->url = l->next;
	l->next = NULL;
	l->hop++;
	ask(l);
}

/* --- what goes wrong --------------------------------------------------------------- */

/* first * 2^(failures - 1), at most a minute. The upper half is random, so that a fleet does not
 * come back all at once. */
static unsigned backoff_ms(const struct lane *l)
{
	const struct fetch_options *o = &l->f->options;
	unsigned failures = l->failures;
	uint64_t wait = o->backoff_ms ? o->backoff_ms : DEFAULT_BACKOFF_MS;
	uint32_t chance;

	while (--failures > 0 && wait < BACKOFF_MAX_MS)
		wait *= 2;
	if (wait > BACKOFF_MAX_MS)
		wait = BACKOFF_MAX_MS;
	if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0)
		chance = (uint32_t)http_wire_now_ms(&l->f->wire);	/* no entropy early in
									 * boot */
	return (unsigned)(wait - chance % (wait / 2 + 1));
}

static int64_t retry_after_ms(const struct lane *l)
{
	curl_off_t asked_s = 0;

	(void)curl_easy_getinfo(l->x.easy, CURLINFO_RETRY_AFTER, &asked_s);
	return asked_s < INT32_MAX ? (int64_t)asked_s * 1000 : (int64_t)INT32_MAX * 1000;
}

/* Schedules the head's next try after a pause, or fails it if too little time is left. */
static void head_again(struct lane *l)
{
	struct fetch *f = l->f;
	int64_t now = http_wire_now_ms(&f->wire), left = f->deadline_ms - now;
	int64_t asked = retry_after_ms(l);
	unsigned wait = backoff_ms(l);

	if (left <= wait || asked / 1000 > left / 1000) {
		(void)err_set(&l->err, EX_UNAVAILABLE,
			      "failed to fetch %s: gave up after %u %s in %lld s: %s", f->wire.url,
			      l->failures, l->failures == 1 ? "try" : "tries",
			      (long long)(now - f->start_ms + 500) / 1000, l->why);
		l->state = LANE_FAILED;
		return;
	}
	if (asked > wait)
		wait = (unsigned)asked;
	l->ready_ms = now + wait;
	if (f->options.retrying)
		f->options.retrying(f->options.ctx, l->why, wait);
}

void lane_late(struct lane *head)
{
	(void)snprintf(head->why, sizeof head->why, "the transfer did not end in time");
	head->failures++;
	head_again(head);
}

/* Keeps fewer requests in flight if the server is overloaded. */
static void refusal_note(struct lane *l)
{
	struct fetch *f = l->f;
	long status = l->x.answer.status;

	f->troubled = true;
	if (status != 429 && status != 503 && (status != 0 || is_head(l)))
		return;
	f->allowed = f->allowed > 1 ? f->allowed / 2 : 1;
	f->calm = 0;
}

static void again(struct lane *l, unsigned failures)
{
	int64_t asked;

	refusal_note(l);
	l->state = LANE_IDLE;
	if (is_head(l)) {
		l->failures += failures;
		head_again(l);
		return;
	}
	asked = retry_after_ms(l);
	l->ready_ms = asked > 0 ? http_wire_now_ms(&l->f->wire) + asked : 0;
}

/* The body ended before body_end, or had no stated end. */
static void broken(struct lane *l)
{
	struct http_exchange *x = &l->x;
	enum outcome outcome = OUTCOME_AGAIN;

	if (x->code == CURLE_OK && l->body_end == UINT64_MAX) {
		l->f->object.size = l->end = lane_at(l);	/* the length was not stated; now it
								 * is known */
		l->state = LANE_DONE;
		http_exchange_stop(x);
		return;
	}
	if (x->code == CURLE_OK)
		(void)snprintf(l->why, sizeof l->why, "the body ended early");
	else if (x->code == CURLE_ABORTED_BY_CALLBACK)
		(void)snprintf(l->why, sizeof l->why, "the transfer did not end in time");
	else
		outcome = http_try_error(l, x->code);
	/* Count consecutive slow tries: a server that drips sends bytes, but never finishes. */
	l->slow = x->code == CURLE_OPERATION_TIMEDOUT ? l->slow + 1 : 0;
	http_exchange_stop(x);
	if (outcome == OUTCOME_FINAL)
		l->state = LANE_FAILED;
	else
		again(l, l->slow > 0 ? l->slow : 1);
}

/* --- going on ---------------------------------------------------------------------- */

/* With HTTP/2, one connection has many streams; libcurl itself respects the server's limit of
 * them. */
static void protocol_note(struct fetch *f, CURL *easy)
{
	long version = 0;
	unsigned most = f->wire.http.options->connections;

	(void)curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
	most = most ? most : LANES_CONNECTIONS;
	f->wire.multiplexed = version == CURL_HTTP_VERSION_2_0;
	if (f->wire.multiplexed && most > 1)
		most = LANES_STREAMS;
	if (most != f->most)
		f->most = f->allowed = most;
}

static void answer_note(struct lane *l)
{
	struct fetch *f = l->f;
	curl_off_t sent = 0, answered = 0;

	(void)curl_easy_getinfo(l->x.easy, CURLINFO_PRETRANSFER_TIME_T, &sent);
	(void)curl_easy_getinfo(l->x.easy, CURLINFO_STARTTRANSFER_TIME_T, &answered);
	if (sent > 0 && answered > sent)
		http_link_answered(&f->link, (uint64_t)(answered - sent));
	protocol_note(f, l->x.easy);
	l->taken = true;
	l->state = LANE_FLOWING;
}

static void judge(struct lane *l)
{
	enum outcome outcome = l->x.begun ? l->outcome : http_try_judge(l);

	if (outcome == OUTCOME_DONE) {
		answer_note(l);
		return;
	}
	http_exchange_stop(&l->x);
	if (outcome == OUTCOME_AGAIN)
		again(l, 1);
	else if (outcome == OUTCOME_REDIRECTED)
		ask_next(l);
	else if (outcome == OUTCOME_ANEW)
		lane_ask(l, l->asked_ms);
	else
		l->state = LANE_FAILED;
}

static void done_note(struct lane *l)
{
	struct fetch *f = l->f;

	http_exchange_stop(&l->x);
	l->state = lane_at(l) == l->end ? LANE_DONE : LANE_IDLE;
	f->done++;
	if (++f->calm < CALM_LANES || f->allowed >= f->most)
		return;
	f->calm = 0;
	f->allowed = 2 * f->allowed < f->most ? 2 * f->allowed : f->most;
}

static void flow(struct lane *l)
{
	if (lane_at(l) != l->seen) {
		l->seen = lane_at(l);
		l->failures = l->odd = 0;
		if (is_head(l))
			l->f->troubled = false;
	}
	if (lane_at(l) == l->body_end)
		done_note(l);
	else if (l->x.over)
		broken(l);
	else if (l->x.paused && l->f->wire.multiplexed && !is_head(l)) {
		/* With libcurl, a paused stream would stall the other streams. */
		http_exchange_stop(&l->x);
		l->state = LANE_IDLE;
		l->waits = true;
	}
}

/* True if the server seems to serve one connection at a time and leave the others waiting. Streams share
 * one; on a slow link they wait for what it has been given of the others. */
static bool is_stuck(const struct lane *l, int64_t now)
{
	const struct fetch *f = l->f;

	return !f->wire.multiplexed && l->asked_among > 1 && f->done > l->asked_after &&
	       now - l->asked_ms > STUCK_MS + (int64_t)(f->link.figures.rtt_us / 125);
}

static void unstick(struct lane *l)
{
	http_exchange_stop(&l->x);
	l->state = LANE_IDLE;
	l->f->troubled = true;
	l->f->allowed = 1;
	l->f->calm = 0;
}

bool lane_go_on(struct lane *l, int64_t now)
{
	enum lane_state before = l->state;

	if (l->state == LANE_ASKED && (l->x.begun || l->x.over))
		judge(l);
	else if (l->state == LANE_ASKED && is_stuck(l, now))
		unstick(l);
	if (l->state == LANE_FLOWING)
		flow(l);
	return l->state != before || (l->state == LANE_ASKED && l->x.over);
}
