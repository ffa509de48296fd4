/* SPDX-License-Identifier: MIT */
/*
 * Requests are few: the end of the object once, which holds the ZIP's directory; a
 * window for what is small; one request for each announced run. A server without ranges
 * sends the whole of it, once.
 */
#include "bundle_source.h"

#include "prefetch.h"
#include "io.h"
#include "report.h"
#include "spool_file.h"

#include <string.h>

#define PIECE_BYTES ((size_t)1 << 20)
/* The ZIP's directory, and often more of what is small. */
#define TAIL_BYTES (66 * 1024)
#define WINDOW_BYTES (16 * 1024)

struct window {
	uint8_t *data;
	uint64_t offset;
	size_t len;
};

struct source_http {
	struct bundle_source source;
	struct remote *remote;
	const char *url;
	struct window tail, window;
	struct prefetch soon;
	uint64_t pos, end;	/* of the run at hand */
	struct spool_file spool;	/* the whole of it, if the server has no ranges */
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

	if (remote_read(h->remote, buf, len, &got, err) < 0)
		return -1;
	h->pos += got;
	if (got < len)
		return err_set(err, EX_DATAERR, "%s ends early", h->url);
	return 0;
}

/* The current run continues; skip the bytes in between. */
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

static int window_fill(struct source_http *h, uint64_t offset, struct err *err)
{
	uint64_t left = h->source.size - offset;
	size_t len = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;

	h->window.len = 0;
	remote_range(h->remote, offset, len);
	h->pos = offset;
	h->end = offset + len;
	if (read_exact(h, h->window.data, len, err) < 0)
		return -1;
	h->window.offset = offset;
	h->window.len = len;
	return 0;
}

/* 1: they were fetched with others that are read soon. */
static int soon_read(struct source_http *h, void *buf, size_t len, uint64_t offset, struct err *err)
{
	struct prefetched *part = prefetch_find(&h->soon, offset, len);

	if (!part)
		return 0;
	if (!part->data) {
		h->pos = h->end = 0;
		if (prefetch_load(&h->soon, h->remote, h->url, err) < 0)
			return -1;
	}
	prefetch_take(&h->soon, part, buf, len, offset);
	return 1;
}

static int http_read(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
		       struct err *err)
{
	struct source_http *h = (struct source_http *)source;
	int r;

	if (offset > source->size || len > source->size - offset)
		return err_set(err, EX_DATAERR, "%s ends early", h->url);
	if (offset >= h->pos && offset < h->end && len <= h->end - offset)
		return run_read(h, buf, len, offset, err);
	r = soon_read(h, buf, len, offset, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	if (window_take(&h->tail, buf, len, offset) || window_take(&h->window, buf, len, offset))
		return 0;
	if (len > WINDOW_BYTES) {
		source->run(source, offset, len);
		return run_read(h, buf, len, offset, err);
	}
	if (window_fill(h, offset, err) < 0)
		return -1;
	(void)window_take(&h->window, buf, len, offset);
	return 0;
}

static void http_run(struct bundle_source *source, uint64_t offset, uint64_t len)
{
	struct source_http *h = (struct source_http *)source;

	/* The rest of the one that is under way. */
	if (offset >= h->pos && offset < h->end && offset + len == h->end)
		return;
	remote_range(h->remote, offset, len);
	h->pos = offset;
	h->end = offset + len;
}

static void http_ahead(struct bundle_source *source, uint64_t offset, uint64_t len)
{
	remote_ahead(((struct source_http *)source)->remote, offset, len);
}

/* What is in the end of the object already is not asked for again. */
static void http_need(struct bundle_source *source, const struct source_range *ranges, size_t count)
{
	struct source_http *h = (struct source_http *)source;
	struct http_link_figures link;

	remote_figures(h->remote, &link);
	while (count > 0 && ranges[count - 1].offset >= h->tail.offset && h->tail.len > 0)
		count--;
	prefetch_add(&h->soon, ranges, count, http_link_gap(&link));
}

static void http_link(const struct bundle_source *source, struct http_link_figures *ret_figures)
{
	remote_figures(((const struct source_http *)source)->remote, ret_figures);
}

static uint64_t http_fetched(const struct bundle_source *source, unsigned *ret_requests)
{
	const struct source_http *h = (const struct source_http *)source;

	*ret_requests = remote_requests(h->remote);
	return remote_received(h->remote);
}

static void http_anew(struct bundle_source *source)
{
	struct source_http *h = (struct source_http *)source;

	remote_anew(h->remote);
	h->tail.len = h->window.len = 0;
	prefetch_clear(&h->soon);
	h->pos = h->end = 0;
}

static const char *http_doubt(const struct bundle_source *source)
{
	return remote_doubt(((const struct source_http *)source)->remote);
}

static void http_close(struct bundle_source *source)
{
	struct source_http *h = (struct source_http *)source;

	remote_close(h->remote);
	spool_file_close(&h->spool);
	prefetch_clear(&h->soon);
	free(h->tail.data);
	free(h->window.data);
	free(h);
}

/* --- a server without ranges ------------------------------------------------ */

static int spooled_read(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
			struct err *err)
{
	const struct source_http *h = (struct source_http *)source;

	if (offset > source->size || len > source->size - offset)
		return err_set(err, EX_DATAERR, "%s ends early", h->url);
	return spool_file_read(&h->spool, buf, len, offset, err);
}

static void spooling_tell(const struct source_http *h, struct report *report)
{
	uint64_t size = remote_size(h->remote);

	if (report && size == UINT64_MAX)
		report_step(report, "spool", "the server has no ranges: fetching the whole bundle, whose "
			    "size it does not tell, into %s", h->spool.directory);
	else if (report)
		report_step(report, "spool", "the server has no ranges: fetching the whole bundle "
			    "(%llu bytes) into %s", (unsigned long long)size, h->spool.directory);
}

/* If the server does not state the size, the body may be endless: check the free space
 * each time. */
static int spool_fill(struct source_http *h, uint8_t *piece, struct report *report, struct err *err)
{
	uint64_t size = remote_size(h->remote), at = 0;
	size_t got;

	do {
		if (remote_read(h->remote, piece, PIECE_BYTES, &got, err) < 0 ||
		    (size == UINT64_MAX && spool_file_room(&h->spool, got, err) < 0) ||
		    spool_file_write(&h->spool, piece, got, at, err) < 0)
			return -1;
		at += got;
		if (report) {
			report_amounts(report, at, 0);
			report_progress(report, at, size == UINT64_MAX ? 0 : size);
		}
	} while (got == PIECE_BYTES);
	h->source.size = at;
	return 0;
}

static int http_spool(struct source_http *h, const struct bundle_source_options *options,
		      struct err *err)
{
	_cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
	uint64_t size = remote_size(h->remote);

	if (!piece)
		return err_set(err, EX_SOFTWARE, "failed to spool %s: out of memory", h->url);
	h->spool.directory = options->spool;
	h->spool.otherwise = "serve the bundle with byte ranges, which take no room";
	h->source.remote = false;
	h->source.read = spooled_read;
	spooling_tell(h, options->report);
	if (spool_file_open(&h->spool, err) < 0 ||
	    (size != UINT64_MAX && spool_file_room(&h->spool, size, err) < 0))
		return -1;
	return spool_fill(h, piece, options->report, err);
}

/* --- opening it ------------------------------------------------------------ */

static int http_begin(struct source_http *h, const struct bundle_source_options *options,
		      struct err *err)
{
	h->tail.data = malloc(TAIL_BYTES);
	h->window.data = malloc(WINDOW_BYTES);
	if (!h->tail.data || !h->window.data)
		return err_set(err, EX_SOFTWARE, "failed to read %s: out of memory", h->url);
	if (remote_tail(h->remote, h->tail.data, TAIL_BYTES, &h->tail.len, err) < 0)
		return -1;
	if (!remote_has_ranges(h->remote))
		return http_spool(h, options, err);
	h->source.size = remote_size(h->remote);
	h->source.run = http_run;
	h->source.ahead = http_ahead;
	h->source.need = http_need;
	h->source.anew = http_anew;
	h->tail.offset = h->source.size - h->tail.len;
	return 0;
}

int bundle_source_http_open(const char *url, const struct bundle_source_options *options,
			    struct bundle_source **ret_source, struct err *err)
{
	struct source_http *h = calloc(1, sizeof *h);

	if (!h)
		return err_set(err, EX_SOFTWARE, "failed to read %s: out of memory", url);
	h->url = url;
	h->spool.fd = -1;
	h->source = (struct bundle_source){ .remote = true, .read = http_read, .link = http_link,
					    .fetched = http_fetched, .doubt = http_doubt,
					    .close = http_close };
	if (remote_open(url, options->fetch, &h->remote, err) < 0 || http_begin(h, options, err) < 0) {
		http_close(&h->source);
		return -1;
	}
	*ret_source = &h->source;
	return 0;
}
