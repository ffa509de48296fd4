/* SPDX-License-Identifier: MIT */
/*
 * Requests are few: the end of the object once, which holds the ZIP's directory; a
 * window for what is small; one request for each announced run.
 */
#include "bundle_source.h"

#include "fetch.h"
#include "io.h"

#include <string.h>

/* libzip looks for the directory in the last 64 KiB and 22 bytes. */
#define TAIL_BYTES (66 * 1024)
#define WINDOW_BYTES (16 * 1024)
/* It begins a little earlier: after the data of an entry its header is looked at. */
#define WINDOW_BEFORE 256

struct window {
	uint8_t *data;
	uint64_t offset;
	size_t len;
};

struct source_http {
	struct bundle_source source;
	struct fetch *fetch;
	const char *url;
	struct window tail, window;
	uint64_t pos, end;	/* of the run at hand; forward: of the whole */
};

static bool window_take(const struct window *w, void *buf, size_t len, uint64_t offset)
{
	if (offset < w->offset || offset - w->offset > w->len ||
	    len > w->len - (offset - w->offset))
		return false;
	memcpy(buf, w->data + (offset - w->offset), len);
	return true;
}

static int read_exact(struct source_http *h, void *buf, size_t len, struct err *err)
{
	size_t got;

	if (fetch_read(h->fetch, buf, len, &got, err) < 0)
		return -1;
	h->pos += got;
	if (got < len)
		return err_set(err, EX_DATAERR, "%s ends early", h->url);
	return 0;
}

/* The run goes on; what lies between is dropped. */
static int run_read(struct source_http *h, void *buf, size_t len, uint64_t offset,
		    struct err *err)
{
	uint8_t drop[4096];

	while (h->pos < offset) {
		uint64_t gap = offset - h->pos;

		if (read_exact(h, drop, gap < sizeof drop ? (size_t)gap : sizeof drop, err) < 0)
			return -1;
	}
	return read_exact(h, buf, len, err);
}

static int forward_read(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
			struct err *err)
{
	struct source_http *h = (struct source_http *)source;

	if (offset < h->pos)
		return err_set(err, EX_UNAVAILABLE, "failed to read %s: the server has no ranges, "
			       "and an earlier part of it is needed again", h->url);
	return run_read(h, buf, len, offset, err);
}

static int window_fill(struct source_http *h, uint64_t wanted, struct err *err)
{
	uint64_t offset = wanted < WINDOW_BEFORE ? 0 : wanted - WINDOW_BEFORE;
	uint64_t left = h->source.size - offset;
	size_t len = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;

	h->window.len = 0;
	fetch_range(h->fetch, offset, len);
	h->pos = offset;
	h->end = offset + len;
	if (read_exact(h, h->window.data, len, err) < 0)
		return -1;
	h->window.offset = offset;
	h->window.len = len;
	return 0;
}

static int ranges_read(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
		       struct err *err)
{
	struct source_http *h = (struct source_http *)source;

	if (offset > source->size || len > source->size - offset)
		return err_set(err, EX_DATAERR, "%s ends early", h->url);
	if (offset >= h->pos && offset < h->end && len <= h->end - offset)
		return run_read(h, buf, len, offset, err);
	if (window_take(&h->tail, buf, len, offset) || window_take(&h->window, buf, len, offset))
		return 0;
	if (len > WINDOW_BYTES - WINDOW_BEFORE) {
		source->run(source, offset, len);
		return run_read(h, buf, len, offset, err);
	}
	if (window_fill(h, offset, err) < 0)
		return -1;
	(void)window_take(&h->window, buf, len, offset);
	return 0;
}

static void ranges_run(struct bundle_source *source, uint64_t offset, uint64_t len)
{
	struct source_http *h = (struct source_http *)source;

	fetch_range(h->fetch, offset, len);
	h->pos = offset;
	h->end = offset + len;
}

static uint64_t http_fetched(const struct bundle_source *source, unsigned *ret_requests)
{
	const struct source_http *h = (const struct source_http *)source;

	*ret_requests = fetch_requests(h->fetch);
	return fetch_received(h->fetch);
}

static void ranges_anew(struct bundle_source *source)
{
	struct source_http *h = (struct source_http *)source;

	fetch_anew(h->fetch);
	h->tail.len = h->window.len = 0;
	h->pos = h->end = 0;
}

static const char *http_doubt(const struct bundle_source *source)
{
	return fetch_doubt(((const struct source_http *)source)->fetch);
}

static void http_close(struct bundle_source *source)
{
	struct source_http *h = (struct source_http *)source;

	fetch_close(h->fetch);
	free(h->tail.data);
	free(h->window.data);
	free(h);
}

static int http_begin(struct source_http *h, struct err *err)
{
	struct bundle_source *s = &h->source;

	h->tail.data = malloc(TAIL_BYTES);
	h->window.data = malloc(WINDOW_BYTES);
	if (!h->tail.data || !h->window.data)
		return err_set(err, EX_SOFTWARE, "failed to read %s: out of memory", h->url);
	if (fetch_tail(h->fetch, h->tail.data, TAIL_BYTES, &h->tail.len, err) < 0)
		return -1;
	s->size = fetch_size(h->fetch);
	s->forward = !fetch_has_ranges(h->fetch);
	s->read = s->forward ? forward_read : ranges_read;
	s->run = s->forward ? NULL : ranges_run;
	s->anew = s->forward ? NULL : ranges_anew;
	h->tail.offset = s->forward ? 0 : s->size - h->tail.len;
	return 0;
}

int bundle_source_http_open(const char *url, const struct fetch_options *options,
			    struct bundle_source **ret_source, struct err *err)
{
	struct source_http *h = calloc(1, sizeof *h);

	if (!h)
		return err_set(err, EX_SOFTWARE, "failed to read %s: out of memory", url);
	h->url = url;
	h->source = (struct bundle_source){ .remote = true, .fetched = http_fetched,
				     .doubt = http_doubt, .close = http_close };
	if (fetch_open(url, options, &h->fetch, err) < 0 || http_begin(h, err) < 0) {
		http_close(&h->source);
		return -1;
	}
	*ret_source = &h->source;
	return 0;
}
