/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include "util.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define IGNORED_MAX (64 * 1024)

int64_t transfer_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

bool transfer_cancelled(const struct transfer *t)
{
	return t->options->cancel && *t->options->cancel;
}

long transfer_status(const struct transfer *t)
{
	long status = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* Keeps the words of the status line, without what a terminal would obey. */
static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
	struct transfer *t = ctx;
	size_t len = size * count, n = 0;
	const char *p = line;

	if (len < 5 || memcmp(line, "HTTP/", 5) != 0)
		return len;
	for (int words = 0; words < 2 && p < line + len; p++)
		words += *p == ' ';
	for (; p < line + len && n + 1 < sizeof t->reason; p++)
		if (*p >= 0x20 && *p < 0x7f)
			t->reason[n++] = *p;
	t->reason[n] = 0;
	return len;
}

/* libcurl tells where a redirect leads only once its body was read. */
static size_t body_ignore(struct transfer *t, long status, size_t len)
{
	t->ignored += len;
	return status >= 300 && status < 400 && t->ignored <= IGNORED_MAX ? len : 0;
}

/* Only the body of a success goes to the file; a body that will be too large is
 * refused at its first byte where the server told its length. */
static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct transfer *t = ctx;
	size_t len = size * count;
	long status = transfer_status(t);
	curl_off_t total = 0;

	if (status != 200 && status != 0)
		return body_ignore(t, status, len);
	(void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
	if (len > t->max_bytes - t->done || (total > 0 && (uint64_t)total > t->max_bytes)) {
		t->too_large = true;
		return 0;
	}
	if (pwrite_full(t->fd, data, len, (off_t)t->done) < 0) {
		t->write_errno = errno;
		return 0;
	}
	t->done += len;
	if (t->options->progress)
		t->options->progress(t->options->ctx, t->done, total > 0 ? (uint64_t)total : 0);
	return len;
}

/* libcurl's own redirects would allow http -> https -> http, so they are off and
 * each hop is a transfer of its own; see fetch.c. */
static CURL *easy_new(struct transfer *t)
{
	const struct fetch_options *o = t->options;
	CURL *easy = curl_easy_init();

	if (!easy)
		return NULL;
	if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https,file") != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_USERAGENT, "slotctl/" SLOTBOOT_VERSION) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_text) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT,
			     (long)or_default(o->connect_timeout_s, 30)) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
			     (long)or_default(o->stall_timeout_s, 60)) != CURLE_OK) {
		curl_easy_cleanup(easy);
		return NULL;
	}
	return easy;
}

int transfer_begin(struct transfer *t, struct err *err)
{
	static const struct httpopts defaults = { .redirects = HTTPOPTS_REDIRECTS };

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, EX_SOFTWARE, "failed to start libcurl");
	t->easy = easy_new(t);
	t->multi = curl_multi_init();
	if (!t->easy || !t->multi)
		return err_set(err, EX_SOFTWARE, "failed to set up libcurl");
	if (httpopts_open(t->options->http ? t->options->http : &defaults, &t->http, err) < 0)
		return -1;
	return httpopts_apply(t->easy, &t->http, err);
}

void transfer_end(struct transfer *t)
{
	curl_easy_cleanup(t->easy);
	httpopts_close(&t->http);
	(void)curl_multi_cleanup(t->multi);
	curl_global_cleanup();
}

/* To the end of the transfer, or to a cancellation or the deadline: those leave
 * *ret_code alone. */
static CURLMcode multi_run(struct transfer *t, CURLcode *ret_code)
{
	int running = 1, left;
	const CURLMsg *msg;

	while (running && !transfer_cancelled(t) && transfer_now_ms() < t->deadline_ms) {
		CURLMcode code = curl_multi_perform(t->multi, &running);

		if (code == CURLM_OK && running)
			code = curl_multi_poll(t->multi, NULL, 0, TICK_MS, NULL);
		if (code != CURLM_OK)
			return code;
	}
	msg = running ? NULL : curl_multi_info_read(t->multi, &left);
	if (msg && msg->msg == CURLMSG_DONE)
		*ret_code = msg->data.result;
	return CURLM_OK;
}

int transfer_run(struct transfer *t, const char *url, CURLcode *ret_code, struct err *err)
{
	CURLcode code = CURLE_ABORTED_BY_CALLBACK;
	CURLMcode multi;

	t->done = t->ignored = 0;
	t->reason[0] = t->curl_text[0] = 0;
	if (ftruncate(t->fd, 0) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to empty the file for %s", t->url);
	if (httpopts_apply_url(t->easy, &t->http, t->url, url, err) < 0)
		return -1;
	if (curl_easy_setopt(t->easy, CURLOPT_URL, url) != CURLE_OK)
		return err_set(err, EX_SOFTWARE, "failed to fetch %s: out of memory", t->url);
	multi = curl_multi_add_handle(t->multi, t->easy);
	if (multi == CURLM_OK) {
		multi = multi_run(t, &code);
		(void)curl_multi_remove_handle(t->multi, t->easy);
	}
	if (multi != CURLM_OK)
		return err_set(err, EX_SOFTWARE, "failed to fetch %s: %s", t->url,
			       curl_multi_strerror(multi));
	*ret_code = code;
	return 0;
}
