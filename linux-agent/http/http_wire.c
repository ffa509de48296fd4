/* SPDX-License-Identifier: MIT */
/* What exchanges share: libcurl's connections, the options, the rate limit. */
#include "http_exchange.h"

#include "clock.h"
#include "gate.h"
#include "io.h"

#include <poll.h>

int64_t http_wire_now_ms(const struct http_wire *w)
{
	const struct fetch_clock *clock = w->options->clock;

	return clock ? clock->now_ms(clock->ctx) : clock_ms(CLOCK_MONOTONIC);
}

void http_wire_sleep_ms(const struct http_wire *w, unsigned ms)
{
	const struct fetch_clock *clock = w->options->clock;

	if (clock)
		clock->sleep_ms(clock->ctx, ms);
	else
		(void)poll(NULL, 0, (int)ms);
}

bool http_wire_cancelled(const struct http_wire *w)
{
	return w->options->cancel && *w->options->cancel;
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

/* libcurl's own redirects would allow http -> https -> http. They are off, and each hop is a
 * transfer of its own; see http_try.c. */
static CURL *like_new(const struct fetch_options *o)
{
	CURL *easy = curl_easy_init();

	if (!easy)
		return NULL;
	if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_USERAGENT, "slotctl/" SLOTBOOT_VERSION) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT,
			     (long)or_default(o->connect_timeout_s, 30)) != CURLE_OK) {
		curl_easy_cleanup(easy);
		return NULL;
	}
	return easy;
}

int http_wire_open(struct http_wire *w, struct err *err)
{
	static const struct http_options defaults = { .redirects = HTTPOPTS_REDIRECTS };

	const struct http_options *http = w->options->http ? w->options->http : &defaults;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, EX_SOFTWARE, "failed to start libcurl");
	w->like = like_new(w->options);
	w->multi = curl_multi_init();
	if (!w->like || !w->multi)
		return err_set(err, EX_SOFTWARE, "failed to set up libcurl");
	if (w->options->gate && gate_take(w->options->gate, w->like) != CURLE_OK)
		return err_set(err, EX_SOFTWARE, "failed to set up libcurl");
	w->http.files_end = w->options->gate != NULL;
	if (http_options_check_url(http, w->url, err) < 0 || http_options_open(http, &w->http, err) < 0)
		return -1;
	return http_options_apply(w->like, &w->http, err);
}

void http_wire_close(struct http_wire *w)
{
	curl_easy_cleanup(w->like);
	http_options_close(&w->http);
	(void)curl_multi_cleanup(w->multi);
	curl_global_cleanup();
}

void http_wire_renew(struct http_wire *w)
{
	CURLM *multi = curl_multi_init();

	if (!multi)
		return;
	(void)curl_multi_cleanup(w->multi);
	w->multi = multi;
}

/* --- the pace ------------------------------------------------------------------ */

/* How long to pause until all exchanges together are within the rate limit again. */
static unsigned pace_ms(struct http_wire *w)
{
	uint64_t rate = w->http.options->rate_limit, paid;
	int64_t now;

	if (rate == 0)
		return 0;
	now = http_wire_now_ms(w);
	paid = rate * (uint64_t)(now - w->debt_ms) / 1000;
	w->debt -= paid < w->debt ? paid : w->debt;
	w->debt_ms = now;
	return (unsigned)(w->debt * 1000 / rate);
}

/* --- libcurl's work ------------------------------------------------------------ */

static void over_note(struct http_wire *w, CURL *easy, CURLcode code)
{
	struct http_exchange *x = NULL;

	if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &x) != CURLE_OK || !x || x->over)
		return;
	x->over = true;
	x->code = code;
	if (!x->paused)
		w->running--;
}

void http_wire_work(struct http_wire *w)
{
	const CURLMsg *msg;
	int running, left;

	if (pace_ms(w) > 0)
		return;
	(void)curl_multi_perform(w->multi, &running);
	while ((msg = curl_multi_info_read(w->multi, &left)))
		if (msg->msg == CURLMSG_DONE)
			over_note(w, msg->easy_handle, msg->data.result);
}

void http_wire_wait(struct http_wire *w, int fd)
{
	struct curl_waitfd also = { .fd = fd, .events = CURL_WAIT_POLLIN };
	struct pollfd alone = { .fd = fd, .events = POLLIN };
	unsigned pause = pace_ms(w);

	if (pause > 0)
		(void)poll(&alone, 1, (int)(pause < TICK_MS ? pause : TICK_MS));
	else
		(void)curl_multi_poll(w->multi, &also, fd >= 0, TICK_MS, NULL);
}
