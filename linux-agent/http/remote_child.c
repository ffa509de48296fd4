/* SPDX-License-Identifier: MIT */
/* The process that fetches. It opens the files it needs, drops its privileges, and only then
 * contacts a server. */
#include "remote_proto.h"

#include "gate.h"
#include "io.h"

#include <string.h>

struct talk {
	int channel;
	uint8_t *area;
	struct fetch *fetch;
	bool over;		/* the last read failed, or reached the end */
};

static void texts_copy(char *to, size_t room, const char *from)
{
	(void)snprintf(to, room, "%s", from);
}

static bool tell(const struct talk *t, struct remote_answer *answer)
{
	return child_tell(t->channel, answer, sizeof *answer);
}

static bool tell_failed(const struct talk *t, const struct err *err)
{
	struct remote_answer answer = { .word = REMOTE_FAILED, .exit = err->exit };

	texts_copy(answer.text, sizeof answer.text, err->text);
	return tell(t, &answer);
}

static void on_retry(void *ctx, const char *why, unsigned wait_ms)
{
	struct remote_answer answer = { .word = REMOTE_RETRYING, .wait_ms = wait_ms };

	texts_copy(answer.text, sizeof answer.text, why);
	(void)tell(ctx, &answer);
}

static int ask_do(struct talk *t, const struct remote_ask *ask, size_t *ret_got, struct err *err)
{
	uint8_t *to = t->area + (ask->half & 1) * REMOTE_HALF_BYTES;
	size_t want = ask->want < REMOTE_HALF_BYTES ? ask->want : REMOTE_HALF_BYTES;
	int r;

	if (ask->flags & REMOTE_NEXT && t->over)
		return 0;
	if (ask->flags & REMOTE_ANEW)
		fetch_anew(t->fetch);
	if (ask->flags & REMOTE_RANGE)
		fetch_range(t->fetch, ask->offset, ask->len);
	for (uint32_t i = 0; i < ask->ahead_count && i < FETCH_AHEAD_MAX; i++)
		fetch_ahead(t->fetch, ask->ahead[i].offset, ask->ahead[i].len);
	if (ask->kind == REMOTE_TAIL)
		return fetch_tail(t->fetch, to, want, ret_got, err);
	r = fetch_read(t->fetch, to, want, ret_got, err);
	t->over = r < 0 || *ret_got < want;
	return r;
}

static bool serve(struct talk *t, const struct remote_ask *ask)
{
	struct remote_answer answer = { .word = REMOTE_DONE };
	struct err err = { 0 };
	size_t got = 0;

	if (ask_do(t, ask, &got, &err) < 0) {
		answer = (struct remote_answer){ .word = REMOTE_FAILED, .exit = err.exit };
		texts_copy(answer.text, sizeof answer.text, err.text);
	}
	answer.got = (uint32_t)got;
	answer.has_ranges = fetch_has_ranges(t->fetch);
	answer.size = fetch_size(t->fetch);
	answer.received = fetch_received(t->fetch);
	answer.requests = fetch_requests(t->fetch);
	fetch_figures(t->fetch, &answer.link);
	texts_copy(answer.doubt, sizeof answer.doubt, fetch_doubt(t->fetch));
	return tell(t, &answer);
}

void remote_child(void *job, int channel, uint8_t *area)
{
	struct remote_job *j = job;
	struct talk t = { .channel = channel, .area = area };
	struct gate gate = { .channel = channel + 1 };
	struct remote_answer ready = { .word = REMOTE_READY };
	struct remote_ask ask;
	struct err err = { 0 };

	j->options.cancel = NULL;	/* the parent kills this process */
	j->options.retrying = on_retry;
	j->options.ctx = &t;
	j->options.gate = &gate;
	if (fetch_open(j->url, &j->options, &t.fetch, &err) < 0 ||
	    cage_enter(CAGE_FETCH, ready.text, &err) < 0) {
		(void)tell_failed(&t, &err);
		return;
	}
	if (!tell(&t, &ready))
		return;
	while (child_asked(channel, &ask, sizeof ask) && serve(&t, &ask))
		fetch_idle(t.fetch, channel);
}
