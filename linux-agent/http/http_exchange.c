/* SPDX-License-Identifier: MIT */
#include "http_exchange.h"

#include "clock.h"
#include "gate.h"
#include "io.h"

#include <poll.h>
#include <string.h>

#define IGNORED_MAX (64 * 1024)
#define HEADERS_MAX (300 * 1024)
#define BUFFER_BYTES (256 * 1024L)

int64_t http_exchange_now_ms(const struct http_exchange *t)
{
	const struct fetch_clock *clock = t->options->clock;

	return clock ? clock->now_ms(clock->ctx) : clock_ms(CLOCK_MONOTONIC);
}

void http_exchange_sleep_ms(const struct http_exchange *t, unsigned ms)
{
	const struct fetch_clock *clock = t->options->clock;

	if (clock)
		clock->sleep_ms(clock->ctx, ms);
	else
		(void)poll(NULL, 0, (int)ms);
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

bool http_exchange_cancelled(const struct http_exchange *t)
{
	return t->options->cancel && *t->options->cancel;
}

bool http_exchange_is_flooded(const struct http_exchange *t)
{
	return t->headers > HEADERS_MAX;
}

static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
	struct http_exchange *t = ctx;

	/* libcurl limits headers, but keeps trailers as long as they come. */
	t->headers += size * count;
	if (http_exchange_is_flooded(t))
		return 0;
	http_answer_header(&t->answer, line, size * count);
	return size * count;
}

/* libcurl tells where a redirect leads only once its body was read. */
static size_t body_ignore(struct http_exchange *t, size_t len)
{
	t->ignored += len;
	return t->answer.status >= 300 && t->answer.status < 400 && t->ignored <= IGNORED_MAX
		? len : 0;
}

/* Into the reader's buffer; the rest of this piece waits in the spill, and while
 * that holds something libcurl holds the next piece. */
static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct http_exchange *t = ctx;
	size_t len = size * count, n = len < t->room ? len : t->room;

	if (t->answer.status != 200 && t->answer.status != 206)
		return body_ignore(t, len);
	if (t->spill_len > 0 || len - n > sizeof t->spill)
		return CURL_WRITEFUNC_PAUSE;
	if (n > 0)
		memcpy(t->buf, data, n);
	t->buf = n > 0 ? t->buf + n : t->buf;
	t->room -= n;
	memcpy(t->spill, data + n, len - n);
	t->spill_at = 0;
	t->spill_len = len - n;
	return len;
}

/* libcurl's own redirects would allow http -> https -> http, so they are off and
 * each hop is a transfer of its own; see fetch.c. */
static CURL *easy_new(struct http_exchange *t)
{
	const struct fetch_options *o = t->options;
	CURL *easy = curl_easy_init();

	if (!easy)
		return NULL;
	if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_USERAGENT, "slotctl/" SLOTBOOT_VERSION) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_text) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT,
			     (long)or_default(o->connect_timeout_s, 30)) != CURLE_OK) {
		curl_easy_cleanup(easy);
		return NULL;
	}
	return easy;
}

int http_exchange_begin(struct http_exchange *t, struct err *err)
{
	static const struct http_options defaults = { .redirects = HTTPOPTS_REDIRECTS };

	const struct http_options *http = t->options->http ? t->options->http : &defaults;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, EX_SOFTWARE, "failed to start libcurl");
	t->easy = easy_new(t);
	t->multi = curl_multi_init();
	if (!t->easy || !t->multi)
		return err_set(err, EX_SOFTWARE, "failed to set up libcurl");
	if (t->options->gate && gate_take(t->options->gate, t->easy) != CURLE_OK)
		return err_set(err, EX_SOFTWARE, "failed to set up libcurl");
	t->http.files_end = t->options->gate != NULL;
	if (http_options_check_url(http, t->url, err) < 0 || http_options_open(http, &t->http, err) < 0)
		return -1;
	return http_options_apply(t->easy, &t->http, err);
}

void http_exchange_end(struct http_exchange *t)
{
	http_exchange_stop(t);
	curl_easy_cleanup(t->easy);
	http_options_close(&t->http);
	if (t->options->gate)
		gate_leave(t->options->gate);
	(void)curl_multi_cleanup(t->multi);
	curl_global_cleanup();
}

/* Runs libcurl until the buffer is full, or (without one) something came, or the
 * exchange is over, cancelled or out of time. */
static void pump(struct http_exchange *t)
{
	bool reading = t->room > 0;
	int running = 1, left;
	const CURLMsg *msg;

	while (!t->over && (reading ? t->room > 0 : t->spill_len == 0)) {
		CURLMcode code;

		if (http_exchange_cancelled(t) || http_exchange_now_ms(t) >= t->deadline_ms) {
			t->over = true;
			t->code = CURLE_ABORTED_BY_CALLBACK;
			return;
		}
		code = curl_multi_perform(t->multi, &running);
		msg = curl_multi_info_read(t->multi, &left);
		if (code != CURLM_OK || (msg && msg->msg == CURLMSG_DONE)) {
			t->over = true;
			t->code = code != CURLM_OK ? CURLE_FAILED_INIT : msg->data.result;
		} else if (reading ? t->room > 0 : t->spill_len == 0) {
			(void)curl_multi_poll(t->multi, NULL, 0, TICK_MS, NULL);
		}
	}
}

int http_exchange_start(struct http_exchange *t, const char *url, const char *range, struct err *err)
{
	http_exchange_stop(t);
	t->answer = (struct http_answer){ 0 };
	t->over = false;
	t->headers = t->ignored = t->spill_at = t->spill_len = 0;
	t->curl_text[0] = 0;
	if (http_options_apply_url(t->easy, &t->http, t->url, url, err) < 0)
		return -1;
	if (t->options->gate) {
		t->code = gate_lead(t->options->gate, t->easy, url, t->http.options, t->curl_text);
		t->over = t->code != CURLE_OK;
		if (t->over)
			return 0;
	}
	if (curl_easy_setopt(t->easy, CURLOPT_URL, url) != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_RANGE, range) != CURLE_OK ||
	    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, (long)t->fresh) != CURLE_OK ||
	    curl_multi_add_handle(t->multi, t->easy) != CURLM_OK)
		return err_set(err, EX_SOFTWARE, "failed to fetch %s: out of memory", t->url);
	t->active = true;
	pump(t);
	return 0;
}

static size_t spill_take(struct http_exchange *t, void *buf, size_t len)
{
	size_t n = len < t->spill_len ? len : t->spill_len;

	memcpy(buf, t->spill + t->spill_at, n);
	t->spill_at += n;
	t->spill_len -= n;
	return n;
}

size_t http_exchange_read(struct http_exchange *t, void *buf, size_t len)
{
	size_t n = spill_take(t, buf, len);

	if (n < len && t->active && !t->over) {
		t->buf = (uint8_t *)buf + n;
		t->room = len - n;
		if (curl_easy_pause(t->easy, CURLPAUSE_CONT) == CURLE_OK)
			pump(t);
		n = len - t->room;
		t->room = 0;
	}
	t->received += n;
	return n;
}

void http_exchange_stop(struct http_exchange *t)
{
	int running;

	if (!t->active)
		return;
	/* The end of a body that was read whole may not have been noticed yet. */
	if (!t->over && t->spill_len == 0)
		(void)curl_multi_perform(t->multi, &running);
	(void)curl_multi_remove_handle(t->multi, t->easy);
	t->active = false;
	t->over = true;
}
