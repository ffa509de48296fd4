/* SPDX-License-Identifier: MIT */
#include "fetch.h"

#include "http_try.h"
#include "io.h"

#include <poll.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_DEADLINE_S 3600

static bool has_prefix(const char *s, const char *prefix)
{
	return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

bool fetch_is_url(const char *where)
{
	return has_prefix(where, "http://") || has_prefix(where, "https://");
}

bool fetch_status_is_transient(long status)
{
	return status == 408 || status == 425 || status == 429 || status == 500 ||
	       (status >= 502 && status <= 504) || (status >= 520 && status <= 599);
}

/* Advances the lanes; -1 if the head lane has failed. */
static int step(struct fetch *f, struct err *err)
{
	struct lane *head = lanes_at(f, 0);

	if (head->state == LANE_FAILED) {
		if (err)
			*err = head->err;
		head->told = true;
		return -1;
	}
	if (http_wire_cancelled(&f->wire))
		return http_try_failed(f, EX_TEMPFAIL, "cancelled by a signal", err);
	lanes_work(f, -1, true);
	return 0;
}

/* Reads at least one byte, unless the lane has ended. */
static int head_read(struct fetch *f, uint8_t *buf, size_t len, size_t *ret_n, struct err *err)
{
	struct lane *head = lanes_at(f, 0);
	size_t n;

	while ((n = http_exchange_take(&head->x, buf, len)) == 0 && head->state != LANE_DONE)
		if (step(f, err) < 0)
			return -1;
	head->pos += n;
	*ret_n = n;
	return 0;
}

int fetch_read(struct fetch *fetch, void *buf, size_t len, size_t *ret_len, struct err *err)
{
	struct fetch *f = fetch;
	size_t done = 0, n = 1;

	if (f->count > 0 && lanes_at(f, 0)->told) {
		lanes_at(f, 0)->told = false;
		lanes_at(f, 0)->state = LANE_IDLE;	/* the caller asked for another try */
	}
	while (f->count > 0 && done < len && n > 0 && lanes_at(f, 0)->pos < lanes_at(f, 0)->end) {
		if (head_read(f, (uint8_t *)buf + done, len - done, &n, err) < 0)
			return -1;
		done += n;
	}
	*ret_len = done;
	return 0;
}

int fetch_tail(struct fetch *fetch, void *buf, size_t len, size_t *ret_len, struct err *err)
{
	lanes_drop(fetch);
	fetch->tail = len;
	(void)lanes_push(fetch, 0, 0);
	while (!lanes_at(fetch, 0)->taken)
		if (step(fetch, err) < 0)
			return -1;
	if (fetch->whole) {
		*ret_len = 0;
		return 0;
	}
	return fetch_read(fetch, buf, len, ret_len, err);
}

static bool is_range(const struct lane *l, uint64_t offset, uint64_t len)
{
	return l->pos == offset && l->end - l->pos == len;
}

void fetch_range(struct fetch *fetch, uint64_t offset, uint64_t len)
{
	unsigned place = 0;

	while (place < fetch->count && !is_range(lanes_at(fetch, place), offset, len))
		place++;
	if (place == fetch->count) {
		lanes_drop(fetch);
		(void)lanes_push(fetch, offset, offset + len);
		return;
	}
	while (place-- > 0)
		lanes_pop(fetch);
}

void fetch_ahead(struct fetch *fetch, uint64_t offset, uint64_t len)
{
	for (unsigned i = 0; i < fetch->count; i++)
		if (is_range(lanes_at(fetch, i), offset, len))
			return;
	(void)lanes_push(fetch, offset, offset + len);
}

static bool is_readable(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };

	return poll(&in, 1, 0) != 0;
}

void fetch_idle(struct fetch *fetch, int fd)
{
	if (fetch->count == 0)
		return;
	do {
		lanes_work(fetch, fd, false);
	} while (fetch->wire.running > 0 && !is_readable(fd));
}

void fetch_anew(struct fetch *fetch)
{
	lanes_drop(fetch);
	http_wire_renew(&fetch->wire);
}

bool fetch_has_ranges(const struct fetch *fetch)
{
	return !fetch->whole;
}

uint64_t fetch_size(const struct fetch *fetch)
{
	return fetch->object.size;
}

const char *fetch_doubt(const struct fetch *fetch)
{
	return fetch->doubt;
}

uint64_t fetch_received(const struct fetch *fetch)
{
	return fetch->wire.received;
}

unsigned fetch_requests(const struct fetch *fetch)
{
	return fetch->requests;
}

void fetch_figures(const struct fetch *fetch, struct http_link_figures *ret_figures)
{
	*ret_figures = fetch->link.figures;
	ret_figures->parallel = fetch->allowed;
}

int fetch_open(const char *url, const struct fetch_options *options, struct fetch **ret_fetch,
	       struct err *err)
{
	struct fetch *f = calloc(1, sizeof *f);

	if (!f)
		return err_set(err, EX_SOFTWARE, "failed to fetch %s: out of memory", url);
	if (options)
		f->options = *options;
	f->object.size = UINT64_MAX;
	f->wire.options = &f->options;
	f->wire.url = url;
	f->allowed = 1;		/* until the first answer */
	f->start_ms = http_wire_now_ms(&f->wire);
	if (f->options.deadline_s == 0)
		f->options.deadline_s = DEFAULT_DEADLINE_S;
	f->deadline_ms = f->start_ms + (int64_t)f->options.deadline_s * 1000;
	if (http_wire_open(&f->wire, err) < 0) {
		fetch_close(f);
		return -1;
	}
	*ret_fetch = f;
	return 0;
}

void fetch_close(struct fetch *fetch)
{
	if (!fetch)
		return;
	lanes_drop(fetch);
	for (size_t i = 0; i < LANES; i++)
		http_exchange_close(&fetch->lanes[i].x);
	http_wire_close(&fetch->wire);
	free(fetch);
}

void fetch_closep(struct fetch **fetch)
{
	fetch_close(*fetch);
}
