/* SPDX-License-Identifier: MIT */
#include "fetch.h"

#include "http_try.h"
#include "io.h"

#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define BACKOFF_MAX_MS 60000
#define DEFAULT_BACKOFF_MS 1000
#define DEFAULT_DEADLINE_S 3600

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

/* first * 2^(failures - 1), at most a minute, of which the upper half is left to
 * chance, so that a fleet does not come back all at once. */
static unsigned backoff_ms(const struct fetch *f)
{
	unsigned failures = f->failures;
	uint64_t wait = f->options.backoff_ms ? f->options.backoff_ms : DEFAULT_BACKOFF_MS;
	uint32_t chance;

	while (--failures > 0 && wait < BACKOFF_MAX_MS)
		wait *= 2;
	if (wait > BACKOFF_MAX_MS)
		wait = BACKOFF_MAX_MS;
	if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0)
		chance = (uint32_t)http_exchange_now_ms(&f->t);	/* early in boot */
	return (unsigned)(wait - chance % (wait / 2 + 1));
}

static int pause_for(const struct fetch *f, unsigned wait_ms, struct err *err)
{
	int64_t end = http_exchange_now_ms(&f->t) + wait_ms, left;

	while ((left = end - http_exchange_now_ms(&f->t)) > 0 && !http_exchange_cancelled(&f->t))
		http_exchange_sleep_ms(&f->t, left < TICK_MS ? (unsigned)left : TICK_MS);
	if (http_exchange_cancelled(&f->t))
		return http_try_failed(f, EX_TEMPFAIL, "cancelled by a signal", err);
	return 0;
}

/* Waits before the next try; fails where no time is left for one. */
static int wait_to_retry(struct fetch *f, struct err *err)
{
	const struct fetch_options *o = f->t.options;
	unsigned wait = backoff_ms(f);
	int64_t now = http_exchange_now_ms(&f->t), left = f->t.deadline_ms - now;
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
		enum outcome outcome = http_try_once(f, err);

		f->flowing = outcome == OUTCOME_DONE;
		if (f->flowing)
			return 0;
		if (outcome == OUTCOME_FINAL)
			return -1;
		if (outcome == OUTCOME_ANEW)
			continue;
		f->failures++;
		if (wait_to_retry(f, err) < 0)
			return -1;
	}
}

/* The body ended before body_end. */
static int body_broken(struct fetch *f, struct err *err)
{
	struct http_exchange *t = &f->t;
	enum outcome outcome = OUTCOME_AGAIN;

	f->flowing = false;
	if (http_exchange_cancelled(t))
		return http_try_failed(f, EX_TEMPFAIL, "cancelled by a signal", err);
	if (t->code == CURLE_OK && f->body_end == UINT64_MAX) {
		f->object.size = f->end = f->pos;	/* its length was not told: now it is */
		return 0;
	}
	if (t->code == CURLE_OK)
		(void)snprintf(f->why, sizeof f->why, "the body ended early");
	else if (t->code == CURLE_ABORTED_BY_CALLBACK)
		(void)snprintf(f->why, sizeof f->why, "the transfer did not end in time");
	else
		outcome = http_try_error(f, t->code, err);
	/* A drip brings bytes, but no end. */
	f->slow = t->code == CURLE_OPERATION_TIMEDOUT ? f->slow + 1 : 0;
	f->failures += f->slow > 0 ? f->slow : 1;
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
		got = http_exchange_read(&f->t, (uint8_t *)buf + done, n);
		done += got;
		f->pos += got;
		if (got > 0) {
			f->failures = f->odd = 0;
			f->t.fresh = false;
		}
		if (f->pos == f->body_end) {
			http_exchange_stop(&f->t);
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
	http_exchange_stop(&fetch->t);
	fetch->flowing = false;
	fetch->pos = offset;
	fetch->end = offset + len;
}

void fetch_anew(struct fetch *fetch)
{
	fetch_range(fetch, 0, 0);
	fetch->t.fresh = true;
}

bool fetch_has_ranges(const struct fetch *fetch)
{
	return !fetch->whole;
}

uint64_t fetch_size(const struct fetch *fetch)
{
	return fetch->object.size;
}

const char *fetch_doubt(const struct fetch *fetch)
{
	return fetch->doubt;
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
	f->object.size = UINT64_MAX;
	f->t.options = &f->options;
	f->start_ms = http_exchange_now_ms(&f->t);
	f->t.url = url;
	f->t.over = true;
	if (f->options.deadline_s == 0)
		f->options.deadline_s = DEFAULT_DEADLINE_S;
	f->t.deadline_ms = f->start_ms + (int64_t)f->options.deadline_s * 1000;
	if (http_exchange_begin(&f->t, err) < 0) {
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
	http_exchange_end(&fetch->t);
	free(fetch->next);
	free(fetch);
}

void fetch_closep(struct fetch **fetch)
{
	fetch_close(*fetch);
}
