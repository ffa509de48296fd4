/* SPDX-License-Identifier: MIT */
/* What is requested when: the head at once, the lanes behind it as far as the server tolerates and
 * the buffers allow. */
#include "http_try.h"

#include "clock.h"

#include <stdlib.h>

/* Bytes that arrive within a round trip, while that is not known. */
#define ROUND_TRIP_BYTES (64 * 1024)

/* --- the ring of lanes ----------------------------------------------------------- */

struct lane *lanes_at(struct fetch *f, unsigned place)
{
	return &f->lanes[(f->first + place) % LANES];
}

static void lane_clear(struct lane *l)
{
	http_exchange_clear(&l->x);
	free(l->url);
	free(l->next);
	l->url = l->next = NULL;
}

struct lane *lanes_push(struct fetch *f, uint64_t offset, uint64_t end)
{
	struct lane *l = lanes_at(f, f->count);
	struct http_exchange x = l->x;

	if (f->count == LANES)
		return NULL;
	*l = (struct lane){ .f = f, .x = x, .pos = offset, .end = end, .seen = offset };
	f->count++;
	return l;
}

void lanes_pop(struct fetch *f)
{
	lane_clear(lanes_at(f, 0));
	f->first = (f->first + 1) % LANES;
	f->count--;
}

void lanes_drop(struct fetch *f)
{
	while (f->count > 0)
		lanes_pop(f);
}

static bool is_active(const struct lane *l)
{
	return l->state == LANE_ASKED || l->state == LANE_FLOWING;
}

/* --- starting what may be started --------------------------------------------------- */

/* Bytes still to be received in the lanes before place. */
static uint64_t left_before(struct fetch *f, unsigned place)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < place; i++)
		left += lanes_at(f, i)->end - lane_at(lanes_at(f, i));
	return left;
}

/* True if its buffer fits; or, for a range too long to buffer, if it is nearly its turn. */
static bool has_room(struct fetch *f, unsigned place)
{
	const struct http_link_figures *link = &f->link.figures;
	uint64_t trip = link->rate / 1000 * link->rtt_us / 1000, held = 0;

	if (lanes_at(f, place)->end - lanes_at(f, place)->pos > LANE_BYTES)
		return left_before(f, place) <= (trip > ROUND_TRIP_BYTES ? trip : ROUND_TRIP_BYTES);
	for (unsigned i = 1; i <= place; i++)
		held += lane_room(lanes_at(f, i));
	return held <= LANES_BYTES;
}

static bool may_start(struct fetch *f, unsigned place, unsigned active, int64_t now)
{
	const struct lane *l = lanes_at(f, place);

	if (now < l->ready_ms || active >= f->allowed)
		return false;
	return place == 0 || (!f->troubled && !l->waits && f->object.known && !f->whole && !f->tail &&
			      has_room(f, place));
}

static bool start(struct fetch *f, int64_t now)
{
	unsigned active = 0;
	bool any = false;

	/* A paused lane does not count against an idle head, because only the head's progress
	 * resumes it. */
	for (unsigned i = 0; i < f->count; i++)
		active += is_active(lanes_at(f, i)) &&
			  (!lanes_at(f, i)->x.paused || lanes_at(f, 0)->state != LANE_IDLE);
	for (unsigned i = 0; i < f->count; i++) {
		struct lane *l = lanes_at(f, i);

		if (l->state != LANE_IDLE)
			continue;
		if (!may_start(f, i, active, now))
			break;
		lane_ask(l, now);
		active++;
		any = true;
	}
	return any;
}

static bool advance(struct fetch *f, int64_t now)
{
	bool any = false;

	for (unsigned i = 0; i < f->count; i++)
		any |= lane_go_on(lanes_at(f, i), now);
	return start(f, now) || any;
}

/* --- time ---------------------------------------------------------------------------- */

/* The deadline ends every transfer, and the head's pause. */
static void deadline_note(struct fetch *f)
{
	struct lane *head = lanes_at(f, 0);

	for (unsigned i = 0; i < f->count; i++) {
		struct http_exchange *x = &lanes_at(f, i)->x;

		if (!is_active(lanes_at(f, i)) || x->over)
			continue;
		f->wire.running -= !x->paused;
		x->over = true;
		x->code = CURLE_ABORTED_BY_CALLBACK;
	}
	if (head->state == LANE_IDLE)
		lane_late(head);
}

/* With nothing in flight, sleeps until the head may be requested. */
static void pause_end(struct fetch *f, int64_t now)
{
	int64_t left = lanes_at(f, 0)->ready_ms - now;

	if (lanes_at(f, 0)->state == LANE_IDLE && left > 0)
		http_wire_sleep_ms(&f->wire, left < TICK_MS ? (unsigned)left : TICK_MS);
}

static bool flows(struct fetch *f)
{
	for (unsigned i = 0; i < f->count; i++)
		if (lanes_at(f, i)->state == LANE_FLOWING && !lanes_at(f, i)->x.paused)
			return true;
	return false;
}

void lanes_work(struct fetch *f, int fd, bool waited)
{
	uint64_t start_ns = clock_monotonic_ns(), came = f->wire.received;
	int64_t now = http_wire_now_ms(&f->wire);
	bool flow_before = flows(f);

	if (now >= f->deadline_ms)
		deadline_note(f);
	http_wire_work(&f->wire);
	if (!advance(f, now) && f->wire.received == came) {
		if (f->wire.running > 0)
			http_wire_wait(&f->wire, fd);
		else if (waited)
			pause_end(f, now);
	}
	http_link_worked(&f->link, (clock_monotonic_ns() - start_ns) / 1000,
			 f->wire.received - came, flow_before, waited);
}
