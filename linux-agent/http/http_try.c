/* SPDX-License-Identifier: MIT */
#include "http_try.h"

#include "io.h"

#include <openssl/x509_vfy.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* So often in a row the next answer may put right what a cache, or one of several servers, did. */
#define ODD_MAX 5

static bool has_prefix(const char *s, const char *prefix)
{
	return strncasecmp(s, prefix, strlen(prefix)) == 0;
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

int http_try_failed(const struct fetch *f, int exit, const char *cause, struct err *err)
{
	return err_set(err, exit, "failed to fetch %s: %s", f->t.url, cause);
}

static enum outcome final(const struct fetch *f, int exit, const char *cause, struct err *err)
{
	(void)http_try_failed(f, exit, cause, err);
	return OUTCOME_FINAL;
}

static const char *error_text(const struct http_exchange *t, CURLcode code)
{
	const char *text = http_options_explain(t->http.options, code);

	if (http_exchange_is_flooded(t))
		return "the server sends headers or trailers without end";
	if (text)
		return text;
	return *t->curl_text ? t->curl_text : curl_easy_strerror(code);
}

/* A certificate is out of its dates; it may be the clock that is. */
static bool dates_are_wrong(const struct http_exchange *t, CURLcode code)
{
	long server = 0, proxy = 0;

	if (code != CURLE_PEER_FAILED_VERIFICATION)
		return false;
	(void)curl_easy_getinfo(t->easy, CURLINFO_SSL_VERIFYRESULT, &server);
	(void)curl_easy_getinfo(t->easy, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxy);
	return server == X509_V_ERR_CERT_NOT_YET_VALID || server == X509_V_ERR_CERT_HAS_EXPIRED ||
	       proxy == X509_V_ERR_CERT_NOT_YET_VALID || proxy == X509_V_ERR_CERT_HAS_EXPIRED;
}

/* What to add to a message then; "" else. */
static const char *clock_doubt(const struct http_exchange *t, CURLcode code, char text[80])
{
	time_t now = time(NULL);
	struct tm tm;

	text[0] = 0;
	if (dates_are_wrong(t, code) && gmtime_r(&now, &tm))
		(void)strftime(text, 80, "; is this machine's clock right? It says %Y-%m-%d "
			       "%H:%M UTC", &tm);
	return text;
}

/* What a proxy answered to CONNECT, which libcurl tells as a broken connection; 0: nothing bad. */
static long proxy_refused(struct fetch *f)
{
	const struct http_exchange *t = &f->t;
	const char *host = NULL;
	long status = 0, port = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	(void)curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &host);
	(void)curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_PORT, &port);
	if (status < 300)
		return 0;
	(void)snprintf(f->why, sizeof f->why, "the proxy %s port %ld answered %ld%s%s to CONNECT",
		       host ? host : "", port, status, *t->answer.reason ? " " : "",
		       t->answer.reason);
	return status;
}

/* What a transfer that libcurl ended with an error means. */
enum outcome http_try_error(struct fetch *f, CURLcode code, struct err *err)
{
	const struct http_exchange *t = &f->t;
	long os_errno = 0, refused = proxy_refused(f);
	char doubt[80];

	if (refused)
		return fetch_status_is_transient(refused)
			? OUTCOME_AGAIN : final(f, EX_UNAVAILABLE, f->why, err);
	(void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
	if (code == CURLE_COULDNT_CONNECT && os_errno)
		(void)snprintf(f->why, sizeof f->why, "%s", strerror((int)os_errno));
	else
		(void)snprintf(f->why, sizeof f->why, "%s%s", error_text(t, code),
			       clock_doubt(t, code, doubt));
	return error_is_transient(code) ? OUTCOME_AGAIN : final(f, EX_UNAVAILABLE, f->why, err);
}

static enum outcome status_judge(struct fetch *f, long status, struct err *err)
{
	(void)snprintf(f->why, sizeof f->why, "the %s answered %ld%s%s",
		       status == 407 ? "proxy" : "server", status, *f->t.answer.reason ? " " : "", f->t.answer.reason);
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
	if (hop >= (int)f->t.http.options->redirects) {
		(void)err_set(err, EX_UNAVAILABLE, "failed to fetch %s: too many redirects "
			      "(more than %u)", f->t.url, f->t.http.options->redirects);
		return OUTCOME_FINAL;
	}
	free(f->next);
	f->next = strdup(to);
	return f->next ? OUTCOME_REDIRECTED : final(f, EX_SOFTWARE, "out of memory", err);
}

/* Not an answer to what was asked. The next one may be: it came from a cache that missed, or from
 * one of several servers. */
static enum outcome odd(struct fetch *f, const char *what, struct err *err)
{
	char doubt[sizeof f->doubt] = "";

	(void)object_is_doubtful(&f->object, &f->t.answer, doubt, sizeof doubt);
	(void)snprintf(f->why, sizeof f->why, "%s%s%s", what, *doubt ? "; " : "", doubt);
	if (++f->odd < ODD_MAX)
		return OUTCOME_AGAIN;
	(void)err_set(err, EX_UNAVAILABLE, "failed to fetch %s: %u times in a row %s", f->t.url,
		      f->odd, f->why);
	return OUTCOME_FINAL;
}

/* 206: exactly what was asked for, or its beginning. */
static bool range_is_right(const struct fetch *f, const struct http_answer *a)
{
	if (f->whole)
		return false;
	if (f->sizing)
		return a->ranged && a->first == 0 && a->last == 0;
	if (!a->ranged || (a->total != UINT64_MAX && a->last >= a->total))
		return false;
	if (f->tail)
		return a->total != UINT64_MAX && a->last == a->total - 1 &&
		       a->last - a->first + 1 == (f->tail < a->total ? f->tail : a->total);
	return a->first == f->pos && a->last < f->end;
}

/* The size is known now, and the end of the object can be asked for as any other range; else all
 * of it. */
static enum outcome size_accept(struct fetch *f)
{
	const struct http_answer *a = &f->t.answer;

	f->sizing = false;
	f->whole = a->total == UINT64_MAX;
	if (f->whole)
		return OUTCOME_ANEW;
	object_learn(&f->object, a, a->total);
	f->pos = f->tail < a->total ? a->total - f->tail : 0;
	f->end = a->total;
	f->tail = 0;
	return OUTCOME_ANEW;
}

static enum outcome partial_accept(struct fetch *f, curl_off_t length, struct err *err)
{
	const struct http_answer *a = &f->t.answer;
	char why[128];

	if (a->ranged && !object_has_size(&f->object, a->total, why, sizeof why))
		return odd(f, why, err);
	if (!range_is_right(f, a))
		return odd(f, "the server answered with another range than was asked for", err);
	if (length >= 0 && (uint64_t)length != a->last - a->first + 1)
		return odd(f, "the server sends a body of another length than the range it names",
			   err);
	if (f->sizing)
		return size_accept(f);
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

/* Whether the server may have ranges, though not of so many bytes at the end. */
static bool tail_is_unknown(const struct fetch *f)
{
	return f->tail && !f->sizing && !f->whole;
}

/* What was read already is read again. */
static enum outcome skip_to(struct fetch *f, uint64_t left)
{
	uint8_t drop[4096];

	while (left > 0) {
		size_t n = left < sizeof drop ? (size_t)left : sizeof drop;

		if (http_exchange_read(&f->t, drop, n) < n) {
			(void)snprintf(f->why, sizeof f->why, "the body ended early");
			return OUTCOME_AGAIN;
		}
		left -= n;
	}
	return OUTCOME_DONE;
}

/* 200: the whole object, from its start. */
static enum outcome whole_accept(struct fetch *f, curl_off_t length, struct err *err)
{
	const struct http_answer *a = &f->t.answer;
	uint64_t size = length >= 0 ? (uint64_t)length : UINT64_MAX;
	char why[128];

	if (f->object.known && !f->whole)
		return odd(f, "the server answered a request for a range with the whole of it",
			   err);
	if (!object_has_size(&f->object, size, why, sizeof why))
		return odd(f, why, err);
	/* Of an object that short the tail is the whole of it. */
	if (tail_is_unknown(f) && (length < 0 || size > f->tail)) {
		f->sizing = true;
		return OUTCOME_ANEW;
	}
	if (!f->object.known) {
		object_learn(&f->object, a, size);
		f->whole = true;
		f->tail = 0;
		f->pos = 0;
		f->end = size;
	}
	f->body_end = size;
	return skip_to(f, f->pos);
}

static enum outcome body_accept(struct fetch *f, curl_off_t length, struct err *err)
{
	const struct http_answer *a = &f->t.answer;
	enum outcome outcome = a->status == 206 ? partial_accept(f, length, err)
						: whole_accept(f, length, err);

	if (outcome == OUTCOME_DONE)
		(void)object_is_doubtful(&f->object, a, f->doubt, sizeof f->doubt);
	return outcome;
}

static enum outcome hop_judge(struct fetch *f, const char *url, int hop, struct err *err)
{
	struct http_exchange *t = &f->t;
	long status = t->answer.status;
	bool wanted = status == 200 || status == 206;
	const char *to = NULL;
	curl_off_t length = -1;

	if (http_exchange_cancelled(t))
		return final(f, EX_TEMPFAIL, "cancelled by a signal", err);
	if (t->over && t->code == CURLE_ABORTED_BY_CALLBACK) {
		(void)snprintf(f->why, sizeof f->why, "the transfer did not end in time");
		return OUTCOME_AGAIN;
	}
	/* A body that is not wanted breaks off with a write error: the status says more. */
	if (t->over && t->code != CURLE_OK && t->spill_len == 0 &&
	    (t->code != CURLE_WRITE_ERROR || wanted || status == 0))
		return http_try_error(f, t->code, err);
	(void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (wanted)
		return body_accept(f, length, err);
	if (status == 416 && t->answer.unsatisfied && t->answer.total == 0)
		return final(f, EX_DATAERR, "it is empty", err);
	if (tail_is_unknown(f) && (status == 400 || status == 416 || status == 501)) {
		f->sizing = true;
		return OUTCOME_ANEW;
	}
	(void)curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
	return to ? redirect_judge(f, url, to, hop, err) : status_judge(f, status, err);
}

static const char *range_text(const struct fetch *f, char text[64])
{
	if (f->whole)
		return NULL;
	if (f->sizing)
		return "0-0";
	if (f->tail)
		(void)snprintf(text, 64, "-%zu", f->tail);
	else
		(void)snprintf(text, 64, "%llu-%llu", (unsigned long long)f->pos,
			       (unsigned long long)f->end - 1);
	return text;
}

/* One try: the URL and the redirects it leads through. libcurl's own redirects
 * would allow http -> https -> http, so each hop is an exchange of its own. */
enum outcome http_try_once(struct fetch *f, struct err *err)
{
	_cleanup_free_ char *url = strdup(f->t.url);
	enum outcome outcome = OUTCOME_REDIRECTED;
	char range[64];

	if (!url)
		return final(f, EX_SOFTWARE, "out of memory", err);
	for (int hop = 0; outcome == OUTCOME_REDIRECTED; hop++) {
		f->requests++;
		if (http_exchange_start(&f->t, url, range_text(f, range), err) < 0)
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
