/* SPDX-License-Identifier: MIT */
#include "http_exchange.h"

#include "gate.h"
#include "io.h"

#include <string.h>

#define IGNORED_MAX (64 * 1024)
#define HEADERS_MAX (300 * 1024)
/* How much libcurl reads at once: from a connection of its own, and from one of many streams. */
#define BUFFER_BYTES (256 * 1024L)
#define BUFFER_BYTES_STREAM (32 * 1024L)

bool http_exchange_is_flooded(const struct http_exchange *x)
{
	return x->headers > HEADERS_MAX;
}

static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
	struct http_exchange *x = ctx;

	/* libcurl limits the size of headers, but not that of trailers. */
	x->headers += size * count;
	if (http_exchange_is_flooded(x))
		return 0;
	http_answer_header(&x->answer, line, size * count);
	return size * count;
}

/* Skips the body of a redirect: libcurl reports the target only after it was read. */
static size_t body_ignore(struct http_exchange *x, size_t len)
{
	x->ignored += len;
	return x->answer.status >= 300 && x->answer.status < 400 && x->ignored <= IGNORED_MAX
		? len : 0;
}

static void ring_put(struct http_exchange *x, const uint8_t *data, size_t len)
{
	size_t at = (x->ring_at + x->ring_len) % x->ring_room;
	size_t n = len < x->ring_room - at ? len : x->ring_room - at;

	memcpy(x->ring + at, data, n);
	memcpy(x->ring, data + n, len - n);
	x->ring_len += len;
}

/* Puts the body into the ring. If a piece does not fit, libcurl keeps it and delivers it again.
 * Drops what lies beyond the wanted end. */
static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct http_exchange *x = ctx;
	size_t len = size * count, skip, n;

	if (x->answer.status != 200 && x->answer.status != 206)
		return body_ignore(x, len);
	if (!x->begun) {
		x->begun = true;
		if (!x->accept(x->ctx))
			return 0;
	}
	skip = len < x->skip ? len : (size_t)x->skip;
	n = len - skip < x->left ? len - skip : (size_t)x->left;
	if (n > x->ring_room - x->ring_len) {
		x->paused = true;
		x->wire->running--;
		return CURL_WRITEFUNC_PAUSE;
	}
	ring_put(x, (const uint8_t *)data + skip, n);
	x->skip -= skip;
	x->left -= n;
	x->wire->received += n;
	x->wire->debt += n;
	return len;
}

static int handle_fill(struct http_exchange *x)
{
	return curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->curl_text) == CURLE_OK &&
	       curl_easy_setopt(x->easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	       curl_easy_setopt(x->easy, CURLOPT_HEADERDATA, x) == CURLE_OK &&
	       curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	       curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x) == CURLE_OK &&
	       curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x) == CURLE_OK &&
	       curl_easy_setopt(x->easy, CURLOPT_BUFFERSIZE, x->wire->multiplexed
				? BUFFER_BYTES_STREAM : BUFFER_BYTES) == CURLE_OK ? 0 : -1;
}

int http_exchange_open(struct http_exchange *x, struct http_wire *wire, size_t room, struct err *err)
{
	x->wire = wire;
	x->over = true;
	if (!x->easy) {
		x->easy = curl_easy_duphandle(wire->like);
		if (!x->easy || handle_fill(x) < 0)
			return err_set(err, EX_SOFTWARE, "failed to set up libcurl: out of memory");
	}
	x->ring = malloc(room);
	x->ring_room = room;
	x->ring_at = x->ring_len = 0;
	return x->ring ? 0 : err_set(err, EX_SOFTWARE, "failed to fetch %s: out of memory", wire->url);
}

void http_exchange_clear(struct http_exchange *x)
{
	http_exchange_stop(x);
	free(x->ring);
	x->ring = NULL;
	x->ring_room = x->ring_at = x->ring_len = 0;
}

void http_exchange_close(struct http_exchange *x)
{
	http_exchange_clear(x);
	curl_easy_cleanup(x->easy);
	x->easy = NULL;
	curl_slist_free_all(x->names);
	x->names = NULL;
}

/* Has the gate resolve the names that libcurl will need; false if it cannot. */
static bool gate_led(struct http_exchange *x, const char *url)
{
	struct http_wire *w = x->wire;

	if (!w->options->gate)
		return true;
	x->code = gate_lead(w->options->gate, x->easy, url, w->http.options, &x->names, x->curl_text);
	x->over = x->code != CURLE_OK;
	return !x->over;
}

int http_exchange_start(struct http_exchange *x, const char *url, const char *range, struct err *err)
{
	struct http_wire *w = x->wire;

	http_exchange_stop(x);
	x->answer = (struct http_answer){ 0 };
	x->over = x->begun = x->paused = false;
	x->headers = x->ignored = x->skip = x->left = 0;
	x->curl_text[0] = 0;
	if (http_options_apply_url(x->easy, &w->http, w->url, url, err) < 0)
		return -1;
	if (!gate_led(x, url))
		return 0;
	if (curl_easy_setopt(x->easy, CURLOPT_URL, url) != CURLE_OK ||
	    curl_easy_setopt(x->easy, CURLOPT_RANGE, range) != CURLE_OK ||
	    curl_easy_setopt(x->easy, CURLOPT_PIPEWAIT, (long)w->multiplexed) != CURLE_OK ||
	    curl_multi_add_handle(w->multi, x->easy) != CURLM_OK)
		return err_set(err, EX_SOFTWARE, "failed to fetch %s: out of memory", w->url);
	x->active = true;
	w->running++;
	return 0;
}

/* Resumes only when half the ring is free, so that libcurl is not paused for every piece. */
static void resume(struct http_exchange *x)
{
	if (!x->paused || x->over || x->ring_len > x->ring_room / 2)
		return;
	x->paused = false;
	x->wire->running++;
	(void)curl_easy_pause(x->easy, CURLPAUSE_CONT);
}

size_t http_exchange_take(struct http_exchange *x, void *buf, size_t len)
{
	size_t n = len < x->ring_len ? len : x->ring_len;
	size_t first = n < x->ring_room - x->ring_at ? n : x->ring_room - x->ring_at;

	if (n == 0)
		return 0;
	memcpy(buf, x->ring + x->ring_at, first);
	memcpy((uint8_t *)buf + first, x->ring, n - first);
	x->ring_at = (x->ring_at + n) % x->ring_room;
	x->ring_len -= n;
	resume(x);
	return n;
}

void http_exchange_stop(struct http_exchange *x)
{
	if (!x->active)
		return;
	/* libcurl may not have noticed yet that the body is complete. */
	if (!x->over && !x->paused && x->left == 0)
		http_wire_work(x->wire);
	if (!x->over && !x->paused)
		x->wire->running--;
	(void)curl_multi_remove_handle(x->wire->multi, x->easy);
	x->active = false;
	x->over = true;
}
