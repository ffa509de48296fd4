/* SPDX-License-Identifier: MIT */
#include "fetch.h"

#include "transfer.h"
#include "util.h"

#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define BACKOFF_MAX_MS 60000
#define DEFAULT_BACKOFF_MS 1000
#define DEFAULT_DEADLINE_S 3600

enum outcome {
	OUTCOME_DONE,		/* a body is to be read */
	OUTCOME_AGAIN,		/* worth another try; why says what happened */
	OUTCOME_REDIRECTED,	/* next has the URL */
	OUTCOME_FINAL,		/* err is filled */
};

struct fetch {
	struct fetch_options options;
	struct transfer t;
	int64_t start_ms;
	unsigned failures;	/* since the last byte that arrived */
	unsigned requests;
	char *next;
	char why[512];

	struct object object;
	bool whole;		/* the server has no ranges */

	/* what is read */
	size_t tail;		/* so many bytes at the end are asked for; 0: pos to end */
	uint64_t pos, end;	/* the next byte, and the one after the last */
	bool flowing;		/* the answer's body is at pos */
	uint64_t body_end;	/* UINT64_MAX: not told */
};

static bool has_prefix(const char *s, const char *prefix)
{
	return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

bool fetch_is_url(const char *where)
{
	return has_prefix(where, "http://") || has_prefix(where, "https://");
}

bool fetch_status_is_transient(long status)
{
	return status == 408 || status == 425 || status == 429 || status == 500 ||
	       (status >= 502 && status <= 504) || (status >= 520 && status <= 599);
}

static bool error_is_transient(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_PARTIAL_FILE:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

static int failed(const struct fetch *f, int exit, const char *cause, struct err *err)
{
	return err_set(err, exit, "failed to fetch %s: %s", f->t.url, cause);
}

static enum outcome final(const struct fetch *f, int exit, const char *cause, struct err *err)
{
	(void)failed(f, exit, cause, err);
	return OUTCOME_FINAL;
}

static const char *error_text(const struct transfer *t, CURLcode code)
{
	const char *text = httpopts_explain(t->http.options, code);

	if (text)
		return text;
	return *t->curl_text ? t->curl_text : curl_easy_strerror(code);
}

/* What a transfer that libcurl ended with an error means. */
static enum outcome error_judge(struct fetch *f, CURLcode code, struct err *err)
{
	const struct transfer *t = &f->t;
	long os_errno = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
	if (code == CURLE_COULDNT_CONNECT && os_errno)
		(void)snprintf(f->why, sizeof f->why, "%s", strerror((int)os_errno));
	else
		(void)snprintf(f->why, sizeof f->why, "%s", error_text(t, code));
	return error_is_transient(code) ? OUTCOME_AGAIN : final(f, EX_UNAVAILABLE, f->why, err);
}

static enum outcome status_judge(struct fetch *f, long status, struct err *err)
{
	(void)snprintf(f->why, sizeof f->why, "the server answered %ld%s%s", status,
		       *f->t.answer.reason ? " " : "", f->t.answer.reason);
	if (fetch_status_is_transient(status))
		return OUTCOME_AGAIN;
	return final(f, EX_UNAVAILABLE, f->why, err);
}

static bool redirect_allowed(const char *from, const char *to)
{
	if (has_prefix(to, "https://"))
		return has_prefix(from, "http://") || has_prefix(from, "https://");
	return has_prefix(from, "http://") && has_prefix(to, "http://");
}

static enum outcome redirect_judge(struct fetch *f, const char *from, const char *to, int hop,
				   struct err *err)
{
	if (!redirect_allowed(from, to)) {
		(void)err_set(err, EX_UNAVAILABLE, "failed to fetch %s: the server redirects to "
			      "%s, which is not allowed from %s", f->t.url, to, from);
		return OUTCOME_FINAL;
	}
	if (hop >= (int)f->t.http.options->redirects)
		return err_set(err, EX_UNAVAILABLE, "failed to fetch %s: too many redirects "
			       "(more than %u)", f->t.url, f->t.http.options->redirects),
		       OUTCOME_FINAL;
	free(f->next);
	f->next = strdup(to);
	return f->next ? OUTCOME_REDIRECTED : final(f, EX_SOFTWARE, "out of memory", err);
}

/* 206: exactly what was asked for, or its beginning. */
static bool range_is_right(const struct fetch *f, const struct answer *a)
{
	if (!a->ranged || (a->total != UINT64_MAX && a->last >= a->total))
		return false;
	if (f->tail)
		return a->total != UINT64_MAX && a->last == a->total - 1 &&
		       a->last - a->first + 1 == (f->tail < a->total ? f->tail : a->total);
	return !f->whole && a->first == f->pos && a->last < f->end;
}

static enum outcome partial_accept(struct fetch *f, curl_off_t length, struct err *err)
{
	const struct answer *a = &f->t.answer;

	if (f->object.known && a->ranged && !object_is_same(&f->object, a, a->total, f->why, sizeof f->why))
		return final(f, EX_UNAVAILABLE, f->why, err);
	if (!range_is_right(f, a))
		return final(f, EX_UNAVAILABLE, "the server answered with another range than "
			     "was asked for", err);
	if (length >= 0 && (uint64_t)length != a->last - a->first + 1)
		return final(f, EX_UNAVAILABLE, "the server sends a body of another length than "
			     "the range it names", err);
	if (!f->object.known)
		object_learn(&f->object, a, a->total);
	if (f->tail) {
		f->pos = a->first;
		f->end = a->total;
		f->tail = 0;
	}
	f->body_end = a->last + 1;
	return OUTCOME_DONE;
}

/* 200: the whole object, from its start; what was read already is read again. */
static enum outcome whole_accept(struct fetch *f, curl_off_t length, struct err *err)
{
	const struct answer *a = &f->t.answer;
	uint64_t size = length >= 0 ? (uint64_t)length : UINT64_MAX, skip = f->pos;
	uint8_t drop[4096];

	if (f->object.known && !object_is_same(&f->object, a, size, f->why, sizeof f->why))
		return final(f, EX_UNAVAILABLE, f->why, err);
	if (f->object.known && !f->whole)
		return final(f, EX_UNAVAILABLE, "the server answered a request for a range with "
			     "the whole of it, having answered with ranges before", err);
	if (!f->object.known) {
		object_learn(&f->object, a, size);
		f->whole = true;
		f->tail = 0;
		f->pos = skip = 0;
		f->end = size;
	}
	f->body_end = size;
	while (skip > 0) {
		size_t n = skip < sizeof drop ? (size_t)skip : sizeof drop;

		if (transfer_read(&f->t, drop, n) < n) {
			(void)snprintf(f->why, sizeof f->why, "the body ended early");
			return OUTCOME_AGAIN;
		}
		skip -= n;
	}
	return OUTCOME_DONE;
}

static enum outcome hop_judge(struct fetch *f, const char *url, int hop, struct err *err)
{
	struct transfer *t = &f->t;
	long status = t->answer.status;
	bool wanted = status == 200 || status == 206;
	const char *to = NULL;
	curl_off_t length = -1;

	if (transfer_cancelled(t))
		return final(f, EX_TEMPFAIL, "cancelled by a signal", err);
	if (t->over && t->code == CURLE_ABORTED_BY_CALLBACK) {
		(void)snprintf(f->why, sizeof f->why, "the transfer did not end in time");
		return OUTCOME_AGAIN;
	}
	/* A body that is not wanted breaks off with a write error: the status says more. */
	if (t->over && t->code != CURLE_OK && t->spill_len == 0 &&
	    (t->code != CURLE_WRITE_ERROR || wanted || status == 0))
		return error_judge(f, t->code, err);
	(void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (wanted)
		return status == 206 ? partial_accept(f, length, err)
				     : whole_accept(f, length, err);
	if (status == 416 && t->answer.unsatisfied && t->answer.total == 0)
		return final(f, EX_DATAERR, "it is empty", err);
	(void)curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
	return to ? redirect_judge(f, url, to, hop, err) : status_judge(f, status, err);
}

static const char *range_text(const struct fetch *f, char text[64])
{
	if (f->whole)
		return NULL;
	if (f->tail)
		(void)snprintf(text, 64, "-%zu", f->tail);
	else
		(void)snprintf(text, 64, "%llu-%llu", (unsigned long long)f->pos,
			       (unsigned long long)f->end - 1);
	return text;
}

/* One try: the URL and the redirects it leads through. libcurl's own redirects
 * would allow http -> https -> http, so each hop is an exchange of its own. */
static enum outcome try_once(struct fetch *f, struct err *err)
{
	_cleanup_free_ char *url = strdup(f->t.url);
	enum outcome outcome = OUTCOME_REDIRECTED;
	char range[64];

	if (!url)
		return final(f, EX_SOFTWARE, "out of memory", err);
	for (int hop = 0; outcome == OUTCOME_REDIRECTED; hop++) {
		f->requests++;
		if (transfer_start(&f->t, url, range_text(f, range), err) < 0)
			return OUTCOME_FINAL;
		outcome = hop_judge(f, url, hop, err);
		if (outcome == OUTCOME_REDIRECTED) {
			free(url);
			url = f->next;
			f->next = NULL;
		}
	}
	return outcome;
}

/* first * 2^(failures - 1), at most a minute, of which the upper half is left to
 * chance, so that a fleet does not come back all at once. */
static unsigned backoff_ms(unsigned first, unsigned failures)
{
	uint64_t wait = first;
	uint32_t chance;

	while (--failures > 0 && wait < BACKOFF_MAX_MS)
		wait *= 2;
	if (wait > BACKOFF_MAX_MS)
		wait = BACKOFF_MAX_MS;
	if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0)
		chance = (uint32_t)transfer_now_ms();	/* early in boot */
	return (unsigned)(wait - chance % (wait / 2 + 1));
}

static int pause_for(const struct fetch *f, unsigned wait_ms, struct err *err)
{
	int64_t end = transfer_now_ms() + wait_ms, left;

	while ((left = end - transfer_now_ms()) > 0 && !transfer_cancelled(&f->t))
		(void)poll(NULL, 0, left < TICK_MS ? (int)left : TICK_MS);
	if (transfer_cancelled(&f->t))
		return failed(f, EX_TEMPFAIL, "cancelled by a signal", err);
	return 0;
}

/* Waits before the next try; fails where no time is left for one. */
static int wait_to_retry(struct fetch *f, struct err *err)
{
	const struct fetch_options *o = f->t.options;
	unsigned wait = backoff_ms(o->backoff_ms ? o->backoff_ms : DEFAULT_BACKOFF_MS,
				   f->failures);
	int64_t now = transfer_now_ms(), left = f->t.deadline_ms - now;
	curl_off_t asked_s = 0;

	(void)curl_easy_getinfo(f->t.easy, CURLINFO_RETRY_AFTER, &asked_s);
	if (left <= wait || asked_s > left / 1000)
		return err_set(err, EX_UNAVAILABLE,
			       "failed to fetch %s: gave up after %u %s in %lld s: %s", f->t.url,
			       f->failures, f->failures == 1 ? "try" : "tries",
			       (long long)(now - f->start_ms + 500) / 1000, f->why);
	if (asked_s * 1000 > wait)
		wait = (unsigned)asked_s * 1000;
	if (o->retrying)
		o->retrying(o->ctx, f->why, wait);
	return pause_for(f, wait, err);
}

/* Until the body at pos flows. */
static int body_open(struct fetch *f, struct err *err)
{
	for (;;) {
		enum outcome outcome = try_once(f, err);

		f->flowing = outcome == OUTCOME_DONE;
		if (f->flowing)
			return 0;
		if (outcome == OUTCOME_FINAL)
			return -1;
		f->failures++;
		if (wait_to_retry(f, err) < 0)
			return -1;
	}
}

/* The body ended before body_end. */
static int body_broken(struct fetch *f, struct err *err)
{
	struct transfer *t = &f->t;
	enum outcome outcome = OUTCOME_AGAIN;

	f->flowing = false;
	if (transfer_cancelled(t))
		return failed(f, EX_TEMPFAIL, "cancelled by a signal", err);
	if (t->code == CURLE_OK && f->body_end == UINT64_MAX) {
		f->object.size = f->end = f->pos;	/* its length was not told: now it is */
		return 0;
	}
	if (t->code == CURLE_OK)
		(void)snprintf(f->why, sizeof f->why, "the body ended early");
	else if (t->code == CURLE_ABORTED_BY_CALLBACK)
		(void)snprintf(f->why, sizeof f->why, "the transfer did not end in time");
	else
		outcome = error_judge(f, t->code, err);
	f->failures++;
	return outcome == OUTCOME_FINAL ? -1 : wait_to_retry(f, err);
}

int fetch_read(struct fetch *fetch, void *buf, size_t len, size_t *ret_len, struct err *err)
{
	struct fetch *f = fetch;
	size_t done = 0;

	while (done < len && (f->tail || f->pos < f->end)) {
		size_t n = len - done, got;

		if (!f->flowing && body_open(f, err) < 0)
			return -1;
		if (n > f->body_end - f->pos)
			n = (size_t)(f->body_end - f->pos);
		got = transfer_read(&f->t, (uint8_t *)buf + done, n);
		done += got;
		f->pos += got;
		f->failures = got > 0 ? 0 : f->failures;
		if (f->pos == f->body_end) {
			transfer_stop(&f->t);
			f->flowing = false;
		} else if (got < n && body_broken(f, err) < 0) {
			return -1;
		}
	}
	*ret_len = done;
	return 0;
}

int fetch_tail(struct fetch *fetch, void *buf, size_t len, size_t *ret_len, struct err *err)
{
	fetch->tail = len;
	if (body_open(fetch, err) < 0)
		return -1;
	if (fetch->whole) {
		*ret_len = 0;
		return 0;
	}
	return fetch_read(fetch, buf, len, ret_len, err);
}

void fetch_range(struct fetch *fetch, uint64_t offset, uint64_t len)
{
	if (fetch->flowing && fetch->pos == offset && fetch->end == offset + len)
		return;
	transfer_stop(&fetch->t);
	fetch->flowing = false;
	fetch->pos = offset;
	fetch->end = offset + len;
}

bool fetch_has_ranges(const struct fetch *fetch)
{
	return !fetch->whole;
}

uint64_t fetch_size(const struct fetch *fetch)
{
	return fetch->object.size;
}

uint64_t fetch_received(const struct fetch *fetch)
{
	return fetch->t.received;
}

unsigned fetch_requests(const struct fetch *fetch)
{
	return fetch->requests;
}

int fetch_open(const char *url, const struct fetch_options *options, struct fetch **ret_fetch,
	       struct err *err)
{
	struct fetch *f = calloc(1, sizeof *f);

	if (!f)
		return err_set(err, EX_SOFTWARE, "failed to fetch %s: out of memory", url);
	if (options)
		f->options = *options;
	f->start_ms = transfer_now_ms();
	f->object.size = UINT64_MAX;
	f->t.options = &f->options;
	f->t.url = url;
	f->t.over = true;
	if (f->options.deadline_s == 0)
		f->options.deadline_s = DEFAULT_DEADLINE_S;
	f->t.deadline_ms = f->start_ms + (int64_t)f->options.deadline_s * 1000;
	if (transfer_begin(&f->t, err) < 0) {
		fetch_close(f);
		return -1;
	}
	*ret_fetch = f;
	return 0;
}

void fetch_close(struct fetch *fetch)
{
	if (!fetch)
		return;
	transfer_end(&fetch->t);
	free(fetch->next);
	free(fetch);
}

void fetch_closep(struct fetch **fetch)
{
	fetch_close(*fetch);
}
