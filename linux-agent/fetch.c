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
#define DEFAULT_MAX_BYTES ((uint64_t)64 << 30)

enum outcome {
	OUTCOME_DONE,
	OUTCOME_AGAIN,		/* worth another try; why says what happened */
	OUTCOME_REDIRECTED,	/* next has the URL */
	OUTCOME_FINAL,		/* err is filled */
};

/* All tries of one fetch. */
struct fetch {
	struct transfer t;
	int64_t start_ms;
	unsigned failures;
	char *next;
	char why[512];
};

static bool has_prefix(const char *s, const char *prefix)
{
	return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

bool fetch_is_url(const char *where)
{
	return has_prefix(where, "http://") || has_prefix(where, "https://") ||
	       has_prefix(where, "file://");
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
	if (t->write_errno) {
		(void)err_errno(err, EX_IOERR, t->write_errno,
				"failed to store what was fetched from %s", t->url);
		return OUTCOME_FINAL;
	}
	if (t->too_large) {
		(void)err_set(err, EX_DATAERR,
			      "failed to fetch %s: it is larger than the %llu bytes allowed",
			      t->url, (unsigned long long)t->max_bytes);
		return OUTCOME_FINAL;
	}
	if (code == CURLE_FILE_COULDNT_READ_FILE)
		return final(f, EX_NOINPUT, f->why, err);
	return error_is_transient(code) ? OUTCOME_AGAIN : final(f, EX_UNAVAILABLE, f->why, err);
}

static enum outcome status_judge(struct fetch *f, long status, struct err *err)
{
	(void)snprintf(f->why, sizeof f->why, "the server answered %ld%s%s", status,
		       *f->t.reason ? " " : "", f->t.reason);
	if (status == 200)
		return OUTCOME_DONE;
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

static enum outcome hop_judge(struct fetch *f, CURLcode code, const char *url, int hop,
			      struct err *err)
{
	long status = transfer_status(&f->t);
	const char *to = NULL;

	if (transfer_cancelled(&f->t))
		return final(f, EX_TEMPFAIL, "cancelled by a signal", err);
	if (code == CURLE_ABORTED_BY_CALLBACK) {
		(void)snprintf(f->why, sizeof f->why, "the transfer did not end in time");
		return OUTCOME_AGAIN;
	}
	if (code == CURLE_OK && status == 0)
		return OUTCOME_DONE;	/* file:// */
	/* A body that is not wanted breaks off with a write error: the status says more. */
	if (code != CURLE_OK && (code != CURLE_WRITE_ERROR || status == 200 || status == 0))
		return error_judge(f, code, err);
	(void)curl_easy_getinfo(f->t.easy, CURLINFO_REDIRECT_URL, &to);
	return to ? redirect_judge(f, url, to, hop, err) : status_judge(f, status, err);
}

/* One try: the URL and the redirects it leads through. libcurl's own redirects
 * would allow http -> https -> http, so each hop is an exchange of its own. */
static enum outcome try_once(struct fetch *f, struct err *err)
{
	_cleanup_free_ char *url = strdup(f->t.url);
	enum outcome outcome = OUTCOME_REDIRECTED;

	if (!url)
		return final(f, EX_SOFTWARE, "out of memory", err);
	for (int hop = 0; outcome == OUTCOME_REDIRECTED; hop++) {
		CURLcode code;

		if (transfer_run(&f->t, url, &code, err) < 0)
			return OUTCOME_FINAL;
		outcome = hop_judge(f, code, url, hop, err);
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

static int tries_run(struct fetch *f, struct err *err)
{
	for (;;) {
		enum outcome outcome = try_once(f, err);

		if (outcome == OUTCOME_DONE)
			return 0;
		if (outcome == OUTCOME_FINAL)
			return -1;
		f->failures++;
		if (wait_to_retry(f, err) < 0)
			return -1;
	}
}

int fetch_to_fd(const char *url, const struct fetch_options *options, int fd,
		uint64_t *ret_len, struct err *err)
{
	static const struct fetch_options defaults;
	const struct fetch_options *o = options ? options : &defaults;
	unsigned deadline_s = o->deadline_s ? o->deadline_s : DEFAULT_DEADLINE_S;
	struct fetch f = { .start_ms = transfer_now_ms() };
	int r;

	f.t.options = o;
	f.t.url = url;
	f.t.fd = fd;
	f.t.deadline_ms = f.start_ms + (int64_t)deadline_s * 1000;
	f.t.max_bytes = o->max_bytes ? o->max_bytes : DEFAULT_MAX_BYTES;
	r = transfer_begin(&f.t, err);
	if (r == 0)
		r = tries_run(&f, err);
	transfer_end(&f.t);
	free(f.next);
	if (r == 0)
		*ret_len = f.t.done;
	return r;
}
