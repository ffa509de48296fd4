/* SPDX-License-Identifier: MIT */
#include "fetchtry.h"

#include "util.h"

#include <string.h>
#include <strings.h>

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

int fetchtry_failed(const struct fetch *f, int exit, const char *cause, struct err *err)
{
	return err_set(err, exit, "failed to fetch %s: %s", f->t.url, cause);
}

static enum outcome final(const struct fetch *f, int exit, const char *cause, struct err *err)
{
	(void)fetchtry_failed(f, exit, cause, err);
	return OUTCOME_FINAL;
}

static const char *error_text(const struct transfer *t, CURLcode code)
{
	const char *text = httpopts_explain(t->http.options, code);

	if (transfer_is_flooded(t))
		return "the server sends headers or trailers without end";
	if (text)
		return text;
	return *t->curl_text ? t->curl_text : curl_easy_strerror(code);
}

/* What a transfer that libcurl ended with an error means. */
enum outcome fetchtry_error(struct fetch *f, CURLcode code, struct err *err)
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
		return fetchtry_error(f, t->code, err);
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
enum outcome fetchtry_once(struct fetch *f, struct err *err)
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
