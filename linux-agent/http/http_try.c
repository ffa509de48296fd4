/* SPDX-License-Identifier: MIT */
#include "http_try.h"

#include "io.h"

#include <openssl/x509_vfy.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* This many answers in a row that a cache, or one of several servers, got wrong are final. */
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
	return err_set(err, exit, "failed to fetch %s: %s", f->wire.url, cause);
}

static enum outcome final(struct lane *l, int exit, const char *cause)
{
	(void)http_try_failed(l->f, exit, cause, &l->err);
	return OUTCOME_FINAL;
}

static const char *error_text(const struct http_exchange *x, CURLcode code)
{
	const char *text = http_options_explain(x->wire->http.options, code);

	if (http_exchange_is_flooded(x))
		return "the server sends headers or trailers without end";
	if (text)
		return text;
	return *x->curl_text ? x->curl_text : curl_easy_strerror(code);
}

/* True if a certificate is expired or not yet valid; the cause may be this machine's clock. */
static bool dates_are_wrong(const struct http_exchange *x, CURLcode code)
{
	long server = 0, proxy = 0;

	if (code != CURLE_PEER_FAILED_VERIFICATION)
		return false;
	(void)curl_easy_getinfo(x->easy, CURLINFO_SSL_VERIFYRESULT, &server);
	(void)curl_easy_getinfo(x->easy, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxy);
	return server == X509_V_ERR_CERT_NOT_YET_VALID || server == X509_V_ERR_CERT_HAS_EXPIRED ||
	       proxy == X509_V_ERR_CERT_NOT_YET_VALID || proxy == X509_V_ERR_CERT_HAS_EXPIRED;
}

/* What to add to the message in that case; otherwise "". */
static const char *clock_doubt(const struct http_exchange *x, CURLcode code, char text[80])
{
	time_t now = time(NULL);
	struct tm tm;

	text[0] = 0;
	if (dates_are_wrong(x, code) && gmtime_r(&now, &tm))
		(void)strftime(text, 80, "; is this machine's clock right? It says %Y-%m-%d "
			       "%H:%M UTC", &tm);
	return text;
}

/* The status with which a proxy refused CONNECT, which libcurl reports as a broken connection; 0:
 * it did not refuse. */
static long proxy_refused(struct lane *l)
{
	const struct http_exchange *x = &l->x;
	const char *host = NULL;
	long status = 0, port = 0;

	(void)curl_easy_getinfo(x->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	(void)curl_easy_getinfo(x->easy, CURLINFO_PRIMARY_IP, &host);
	(void)curl_easy_getinfo(x->easy, CURLINFO_PRIMARY_PORT, &port);
	if (status < 300)
		return 0;
	(void)snprintf(l->why, sizeof l->why, "the proxy %s port %ld answered %ld%s%s to CONNECT",
		       host ? host : "", port, status, *x->answer.reason ? " " : "",
		       x->answer.reason);
	return status;
}

enum outcome http_try_error(struct lane *l, CURLcode code)
{
	const struct http_exchange *x = &l->x;
	long os_errno = 0, refused = proxy_refused(l);
	char doubt[80];

	if (refused)
		return fetch_status_is_transient(refused)
			? OUTCOME_AGAIN : final(l, EX_UNAVAILABLE, l->why);
	(void)curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &os_errno);
	if (code == CURLE_COULDNT_CONNECT && os_errno)
		(void)snprintf(l->why, sizeof l->why, "%s", strerror((int)os_errno));
	else
		(void)snprintf(l->why, sizeof l->why, "%s%s", error_text(x, code),
			       clock_doubt(x, code, doubt));
	return error_is_transient(code) ? OUTCOME_AGAIN : final(l, EX_UNAVAILABLE, l->why);
}

static enum outcome status_judge(struct lane *l, long status)
{
	const char *reason = l->x.answer.reason;

	(void)snprintf(l->why, sizeof l->why, "the %s answered %ld%s%s",
		       status == 407 ? "proxy" : "server", status, *reason ? " " : "", reason);
	return fetch_status_is_transient(status) ? OUTCOME_AGAIN : final(l, EX_UNAVAILABLE, l->why);
}

static bool redirect_allowed(const char *from, const char *to)
{
	if (has_prefix(to, "https://"))
		return has_prefix(from, "http://") || has_prefix(from, "https://");
	return has_prefix(from, "http://") && has_prefix(to, "http://");
}

static enum outcome redirect_judge(struct lane *l, const char *to)
{
	const char *url = l->f->wire.url;
	unsigned most = l->f->wire.http.options->redirects;

	if (!redirect_allowed(l->url ? l->url : url, to)) {
		(void)err_set(&l->err, EX_UNAVAILABLE, "failed to fetch %s: the server redirects to "
			      "%s, which is not allowed from %s", url, to, l->url ? l->url : url);
		return OUTCOME_FINAL;
	}
	if (l->hop >= most) {
		(void)err_set(&l->err, EX_UNAVAILABLE, "failed to fetch %s: too many redirects "
			      "(more than %u)", url, most);
		return OUTCOME_FINAL;
	}
	free(l->next);
	l->next = strdup(to);
	return l->next ? OUTCOME_REDIRECTED : final(l, EX_SOFTWARE, "out of memory");
}

/* The answer does not match the request. The next one may: a cache, or one of several servers, may
 * have been at fault. */
static enum outcome odd(struct lane *l, const char *what)
{
	char doubt[sizeof l->f->doubt] = "";

	(void)object_is_doubtful(&l->f->object, &l->x.answer, doubt, sizeof doubt);
	(void)snprintf(l->why, sizeof l->why, "%s%s%s", what, *doubt ? "; " : "", doubt);
	if (++l->odd < ODD_MAX)
		return OUTCOME_AGAIN;
	(void)err_set(&l->err, EX_UNAVAILABLE, "failed to fetch %s: %u times in a row %s",
		      l->f->wire.url, l->odd, l->why);
	return OUTCOME_FINAL;
}

/* For 206: true if it is the requested range, or the beginning of it. */
static bool range_is_right(const struct lane *l)
{
	const struct http_answer *a = &l->x.answer;
	const struct fetch *f = l->f;

	if (f->whole)
		return false;
	if (f->sizing)
		return a->ranged && a->first == 0 && a->last == 0;
	if (!a->ranged || (a->total != UINT64_MAX && a->last >= a->total))
		return false;
	if (f->tail)
		return a->total != UINT64_MAX && a->last == a->total - 1 &&
		       a->last - a->first + 1 == (f->tail < a->total ? f->tail : a->total);
	return a->first == lane_at(l) && a->last < l->end;
}

/* Now that the size is known, the end of the object can be requested by an ordinary range. Without
 * a size, the whole object is requested. */
static enum outcome size_accept(struct lane *l)
{
	const struct http_answer *a = &l->x.answer;
	struct fetch *f = l->f;

	f->sizing = false;
	f->whole = a->total == UINT64_MAX;
	if (f->whole)
		return OUTCOME_ANEW;
	object_learn(&f->object, a, a->total);
	l->pos = f->tail < a->total ? a->total - f->tail : 0;
	l->end = a->total;
	f->tail = 0;
	return OUTCOME_ANEW;
}

static enum outcome partial_accept(struct lane *l, curl_off_t length)
{
	const struct http_answer *a = &l->x.answer;
	struct fetch *f = l->f;
	char why[128];

	if (a->ranged && !object_has_size(&f->object, a->total, why, sizeof why))
		return odd(l, why);
	if (!range_is_right(l))
		return odd(l, "the server answered with another range than was asked for");
	if (length >= 0 && (uint64_t)length != a->last - a->first + 1)
		return odd(l, "the server sends a body of another length than the range it names");
	if (f->sizing)
		return size_accept(l);
	if (!f->object.known)
		object_learn(&f->object, a, a->total);
	if (f->tail) {
		l->pos = a->first;
		l->end = a->total;
		f->tail = 0;
	}
	l->body_end = a->last + 1;
	l->x.left = l->body_end - lane_at(l);
	return OUTCOME_DONE;
}

/* True while the server may still support ranges, but maybe not suffix ranges. */
static bool tail_is_unknown(const struct fetch *f)
{
	return f->tail && !f->sizing && !f->whole;
}

/* For 200: the whole object from its start. What was read before is received again and skipped. */
static enum outcome whole_accept(struct lane *l, curl_off_t length)
{
	const struct http_answer *a = &l->x.answer;
	uint64_t size = length >= 0 ? (uint64_t)length : UINT64_MAX;
	struct fetch *f = l->f;
	char why[128];

	if (f->object.known && !f->whole)
		return odd(l, "the server answered a request for a range with the whole of it");
	if (!object_has_size(&f->object, size, why, sizeof why))
		return odd(l, why);
	/* The tail of an object this short is the whole object. */
	if (tail_is_unknown(f) && (length < 0 || size > f->tail)) {
		f->sizing = true;
		return OUTCOME_ANEW;
	}
	if (!f->object.known) {
		object_learn(&f->object, a, size);
		f->whole = true;
		f->tail = 0;
		l->pos = 0;
		l->end = size;
	}
	l->body_end = size;
	l->x.skip = lane_at(l);
	l->x.left = size == UINT64_MAX ? size : size - lane_at(l);
	return OUTCOME_DONE;
}

static enum outcome body_accept(struct lane *l, curl_off_t length)
{
	struct fetch *f = l->f;
	enum outcome outcome = l->x.answer.status == 206 ? partial_accept(l, length)
							 : whole_accept(l, length);

	if (outcome == OUTCOME_DONE)
		(void)object_is_doubtful(&f->object, &l->x.answer, f->doubt, sizeof f->doubt);
	return outcome;
}

enum outcome http_try_judge(struct lane *l)
{
	const struct http_exchange *x = &l->x;
	long status = x->answer.status;
	bool wanted = status == 200 || status == 206;
	const char *to = NULL;
	curl_off_t length = -1;

	if (x->over && x->code == CURLE_ABORTED_BY_CALLBACK) {
		(void)snprintf(l->why, sizeof l->why, "the transfer did not end in time");
		return OUTCOME_AGAIN;
	}
	/* Ending an unwanted body is a write error for libcurl; the status says more. */
	if (x->over && x->code != CURLE_OK &&
	    (x->code != CURLE_WRITE_ERROR || wanted || status == 0))
		return http_try_error(l, x->code);
	(void)curl_easy_getinfo(x->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (wanted)
		return body_accept(l, length);
	if (status == 416 && x->answer.unsatisfied && x->answer.total == 0)
		return final(l, EX_DATAERR, "it is empty");
	if (tail_is_unknown(l->f) && (status == 400 || status == 416 || status == 501)) {
		l->f->sizing = true;
		return OUTCOME_ANEW;
	}
	(void)curl_easy_getinfo(x->easy, CURLINFO_REDIRECT_URL, &to);
	return to ? redirect_judge(l, to) : status_judge(l, status);
}

const char *http_try_range(const struct lane *l, char text[static 64])
{
	const struct fetch *f = l->f;

	if (f->whole)
		return NULL;
	if (f->sizing)
		return "0-0";
	if (f->tail)
		(void)snprintf(text, 64, "-%zu", f->tail);
	else
		(void)snprintf(text, 64, "%llu-%llu", (unsigned long long)lane_at(l),
			       (unsigned long long)l->end - 1);
	return text;
}
