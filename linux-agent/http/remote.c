/* SPDX-License-Identifier: MIT */
#include "remote_proto.h"

#include "clock.h"
#include "gate.h"
#include "io.h"
#include "out.h"

#include <string.h>

/* The process ends a transfer at the deadline itself. If it hangs, it is killed this much later. */
#define GRACE_MS 3000
#define DEADLINE_S 3600
/* No deadline leaves room for more. */
#define RETRIES_MAX 100000

struct remote {
	struct fetch *fetch;	/* used if SANDBOX_NO; otherwise: */
	const char *url;
	struct fetch_options options;
	struct child child, gate;
	int64_t deadline_ms;
	unsigned retries;
	bool broken;		/* nothing more may be asked of it */

	/* collected for the next read */
	struct remote_ask next;

	/* as of the last answer */
	bool has_ranges;
	struct http_link_figures link;
	uint64_t size, received;
	unsigned requests;
	char doubt[256];
};

static int failed(struct remote *r, int exit, const char *cause, struct err *err)
{
	r->broken = true;
	return err_set(err, exit, "failed to fetch %s: %s", r->url, cause);
}

static int nonsense(struct remote *r, struct err *err)
{
	return failed(r, EX_SOFTWARE, "the process that reads from the server said something else than "
		      "was asked; it was ended", err);
}

static int ended(struct remote *r, struct err *err)
{
	char fate[80], cause[160];

	child_fate(&r->child, fate, sizeof fate);
	(void)snprintf(cause, sizeof cause, "the process that reads from the server %s", fate);
	return failed(r, EX_SOFTWARE, cause, err);
}

/* Limits the figures to plausible values: an hour, a terabyte per second, the most requests there
 * can be. */
static void figures_bound(struct http_link_figures *f)
{
	if (f->rtt_us > 3600 * 1000000ull)
		f->rtt_us = 3600 * 1000000ull;
	if (f->rate > 1000000000000ull)
		f->rate = 1000000000000ull;
	if (f->parallel < 1 || f->parallel > FETCH_AHEAD_MAX)
		f->parallel = f->parallel < 1 ? 1 : FETCH_AHEAD_MAX;
}

bool remote_answer_check(struct remote_answer *answer, uint32_t want)
{
	struct remote_answer *a = answer;

	a->text[sizeof a->text - 1] = 0;
	a->doubt[sizeof a->doubt - 1] = 0;
	out_clean(a->text, sizeof a->text);
	out_clean(a->doubt, sizeof a->doubt);
	figures_bound(&a->link);
	switch ((enum remote_word)a->word) {
	case REMOTE_READY:
	case REMOTE_RETRYING:
		return true;
	case REMOTE_FAILED:
		return a->exit >= EX__BASE && a->exit <= EX__MAX && a->text[0];
	case REMOTE_DONE:
		/* An object with ranges has a size, which no part of it exceeds. */
		return a->got <= want && a->has_ranges <= 1 &&
		       (!a->has_ranges || (a->size != UINT64_MAX && a->got <= a->size));
	}
	return false;
}

/* Waits for the next answer, and passes retries on to the caller's callback. */
static int hear(struct remote *r, uint32_t want, struct remote_answer *answer, struct err *err)
{
	const struct fetch_options *o = &r->options;

	for (;;) {
		enum child_word word;

		if (o->cancel && *o->cancel)
			return failed(r, EX_TEMPFAIL, "cancelled by a signal", err);
		word = child_hear(&r->child, answer, sizeof *answer);
		if (word == CHILD_ENDED && o->cancel && *o->cancel)
			continue;
		if (word == CHILD_ENDED)
			return ended(r, err);
		if (word == CHILD_WAITS && clock_ms(CLOCK_MONOTONIC) < r->deadline_ms)
			continue;
		if (word == CHILD_WAITS)
			return failed(r, EX_UNAVAILABLE, "the process that reads from the server "
				      "does not answer", err);
		if (word == CHILD_NONSENSE || !remote_answer_check(answer, want))
			return nonsense(r, err);
		if (answer->word != REMOTE_RETRYING)
			return 0;
		if (++r->retries > RETRIES_MAX)
			return nonsense(r, err);
		if (o->retrying)
			o->retrying(o->ctx, answer->text, answer->wait_ms);
	}
}

/* Waits for the answer to a read; returns 0 and the number of bytes. */
static int taken(struct remote *r, uint32_t want, uint32_t *ret_got, struct err *err)
{
	struct remote_answer a;

	if (hear(r, want, &a, err) < 0)
		return -1;
	r->received = a.received;
	r->requests = a.requests;
	r->link = a.link;
	memcpy(r->doubt, a.doubt, sizeof r->doubt);
	r->size = a.size;
	if (a.word == REMOTE_FAILED)
		return err_set(err, a.exit, "%s", a.text);
	if (a.word != REMOTE_DONE)
		return nonsense(r, err);
	r->has_ranges = a.has_ranges;
	*ret_got = a.got;
	return 0;
}

static int ask(struct remote *r, enum remote_kind kind, uint32_t half, uint32_t want, struct err *err)
{
	if (r->broken)
		return failed(r, EX_SOFTWARE, "the process that reads from the server was ended", err);
	r->next.kind = kind;
	r->next.half = half;
	r->next.want = want;
	/* If the process has ended, hear() will report it. */
	(void)child_tell(r->child.channel, &r->next, sizeof r->next);
	r->next.flags = r->next.ahead_count = 0;
	return 0;
}

int remote_tail(struct remote *remote, void *buf, size_t len, size_t *ret_len, struct err *err)
{
	struct remote *r = remote;
	uint32_t got, want = (uint32_t)len;

	if (r->fetch)
		return fetch_tail(r->fetch, buf, len, ret_len, err);
	if (len > REMOTE_HALF_BYTES)
		return err_set(err, EX_SOFTWARE, "failed to fetch %s: %zu bytes at its end", r->url, len);
	if (ask(r, REMOTE_TAIL, 0, want, err) < 0 || taken(r, want, &got, err) < 0)
		return -1;
	memcpy(buf, r->child.area, got);
	*ret_len = got;
	return 0;
}

static uint32_t piece(size_t left)
{
	return (uint32_t)(left < REMOTE_HALF_BYTES ? left : REMOTE_HALF_BYTES);
}

/* One half of the shared memory is filled while the other is copied. */
int remote_read(struct remote *remote, void *buf, size_t len, size_t *ret_len, struct err *err)
{
	struct remote *r = remote;
	uint32_t half = 0, want = piece(len), next, got, unused;
	size_t done = 0, left = len - want;

	if (r->fetch)
		return fetch_read(r->fetch, buf, len, ret_len, err);
	if (ask(r, REMOTE_READ, half, want, err) < 0)
		return -1;
	for (; want > 0; want = next, half ^= 1) {
		next = piece(left);
		left -= next;
		r->next.flags = next > 0 ? REMOTE_NEXT : 0;
		if (next > 0 && ask(r, REMOTE_READ, half ^ 1, next, err) < 0)
			return -1;
		if (taken(r, want, &got, err) < 0) {
			if (next > 0 && !r->broken)
				(void)taken(r, next, &unused, NULL);
			return -1;
		}
		memcpy((uint8_t *)buf + done, r->child.area + half * REMOTE_HALF_BYTES, got);
		done += got;
		if (got < want)
			left = 0;
	}
	*ret_len = done;
	return 0;
}

bool remote_has_ranges(const struct remote *remote)
{
	return remote->fetch ? fetch_has_ranges(remote->fetch) : remote->has_ranges;
}

uint64_t remote_size(const struct remote *remote)
{
	return remote->fetch ? fetch_size(remote->fetch) : remote->size;
}

void remote_range(struct remote *remote, uint64_t offset, uint64_t len)
{
	if (remote->fetch) {
		fetch_range(remote->fetch, offset, len);
		return;
	}
	remote->next.flags |= REMOTE_RANGE;
	remote->next.offset = offset;
	remote->next.len = len;
	remote->next.ahead_count = 0;
}

void remote_ahead(struct remote *remote, uint64_t offset, uint64_t len)
{
	struct remote_ask *next = &remote->next;

	if (remote->fetch) {
		fetch_ahead(remote->fetch, offset, len);
	} else if (next->ahead_count < FETCH_AHEAD_MAX) {
		next->ahead[next->ahead_count].offset = offset;
		next->ahead[next->ahead_count++].len = len;
	}
}

void remote_anew(struct remote *remote)
{
	if (remote->fetch) {
		fetch_anew(remote->fetch);
		return;
	}
	remote->next.flags = REMOTE_ANEW;
	remote->next.ahead_count = 0;
}

const char *remote_doubt(const struct remote *remote)
{
	return remote->fetch ? fetch_doubt(remote->fetch) : remote->doubt;
}

uint64_t remote_received(const struct remote *remote)
{
	return remote->fetch ? fetch_received(remote->fetch) : remote->received;
}

unsigned remote_requests(const struct remote *remote)
{
	return remote->fetch ? fetch_requests(remote->fetch) : remote->requests;
}

void remote_figures(const struct remote *remote, struct http_link_figures *ret_figures)
{
	if (remote->fetch)
		fetch_figures(remote->fetch, ret_figures);
	else
		*ret_figures = remote->link;
}

/* --- opening it ------------------------------------------------------------- */

/* Reports what the cage lacks, or fails because of it, as options->sandbox says. */
static int lack_judge(const struct fetch_options *o, const char *lack, struct err *err)
{
	char text[CAGE_LACK_BYTES + 80];

	if (!*lack)
		return 0;
	if (cage_judge(o->sandbox, lack, err) < 0)
		return -1;
	(void)snprintf(text, sizeof text, "what reads from the server has no full sandbox: %s", lack);
	if (o->lacking)
		o->lacking(o->ctx, text);
	return 0;
}

static int processes_start(struct remote *r, void (*run)(void *job, int channel, uint8_t *area),
			   struct err *err)
{
	static const struct http_options defaults = { .redirects = HTTPOPTS_REDIRECTS };
	struct remote_job job = { .url = r->url, .options = r->options };
	struct child_job fetching = { .run = run, .ctx = &job, .area_bytes = 2 * REMOTE_HALF_BYTES };
	char lack[CAGE_LACK_BYTES] = "";
	struct remote_answer ready;

	if (gate_start(r->url, r->options.http ? r->options.http : &defaults, &r->gate, lack, err) < 0)
		return -1;
	fetching.keep = r->gate.channel;
	if (child_start(&r->child, &fetching, err) < 0)
		return -1;
	(void)close(r->gate.channel);
	r->gate.channel = -1;
	if (hear(r, 0, &ready, err) < 0)
		return -1;
	if (ready.word == REMOTE_FAILED)
		return err_set(err, ready.exit, "%s", ready.text);
	if (ready.word != REMOTE_READY)
		return nonsense(r, err);
	return lack_judge(&r->options, *ready.text ? ready.text : lack, err);
}

int remote_open_child(const char *url, const struct fetch_options *options,
		      void (*run)(void *job, int channel, uint8_t *area), struct remote **ret_remote,
		      struct err *err)
{
	struct remote *r = calloc(1, sizeof *r);
	unsigned deadline_s = options && options->deadline_s ? options->deadline_s : DEADLINE_S;

	if (!r)
		return err_set(err, EX_SOFTWARE, "failed to fetch %s: out of memory", url);
	r->url = url;
	if (options)
		r->options = *options;
	r->size = UINT64_MAX;
	r->link.parallel = 1;
	r->child.channel = r->gate.channel = -1;
	r->deadline_ms = clock_ms(CLOCK_MONOTONIC) + (int64_t)deadline_s * 1000 + GRACE_MS;
	if (processes_start(r, run, err) < 0) {
		remote_close(r);
		return -1;
	}
	*ret_remote = r;
	return 0;
}

static int open_here(const char *url, const struct fetch_options *options,
		     struct remote **ret_remote, struct err *err)
{
	struct remote *r = calloc(1, sizeof *r);

	if (!r)
		return err_set(err, EX_SOFTWARE, "failed to fetch %s: out of memory", url);
	r->child.channel = r->gate.channel = -1;
	if (fetch_open(url, options, &r->fetch, err) < 0) {
		remote_close(r);
		return -1;
	}
	*ret_remote = r;
	return 0;
}

int remote_open(const char *url, const struct fetch_options *options, struct remote **ret_remote,
		struct err *err)
{
	if (!options || options->sandbox == SANDBOX_NO)
		return open_here(url, options, ret_remote, err);
	if (!options->http || !http_options_has_token(options->http))
		return remote_open_child(url, options, remote_child, ret_remote, err);
	if (lack_judge(options, "the client's key is on a PKCS#11 token, whose library needs rights",
		       err) < 0)
		return -1;
	return open_here(url, options, ret_remote, err);
}

void remote_close(struct remote *remote)
{
	if (!remote)
		return;
	fetch_close(remote->fetch);
	child_stop(&remote->child);
	child_stop(&remote->gate);
	free(remote);
}
