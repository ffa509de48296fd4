/* SPDX-License-Identifier: MIT */
#include "unpack_proto.h"

#include "chunk_decode.h"
#include "clock.h"
#include "io.h"

#include <string.h>

enum { PAGE = 4096 };
/* A chunk takes milliseconds. */
#define HANG_MS 120000
#define ROOM_BYTES ((size_t)2 << 20)

static size_t pages(size_t len)
{
	return (len + PAGE - 1) / PAGE * PAGE;
}

void unpack_place(struct unpack *u, uint8_t *memory)
{
	const struct unpack_options *o = &u->options;

	u->frames = o->frames ? memory : NULL;
	u->prefix = o->prefix ? memory + pages(o->frames) : NULL;
	u->out = memory + pages(o->frames) + pages(o->prefix);
}

/* Untouched memory costs nothing, and a process with more room can be reused more often. */
static void rooms_round(struct unpack_options *o)
{
	if (o->sandbox == SANDBOX_NO)
		return;
	o->frames = o->frames < ROOM_BYTES ? ROOM_BYTES : o->frames;
	o->out = o->out < ROOM_BYTES ? ROOM_BYTES : o->out;
}

static size_t rooms_bytes(const struct unpack_options *o)
{
	return pages(o->frames) + pages(o->prefix) + (o->sandbox == SANDBOX_NO ? 0 : pages(o->out));
}

static bool part_decode(struct unpack *u, const struct unpack_ask *ask, const struct unpack_part *p,
			uint8_t *out)
{
	const uint8_t *frame = u->frames + p->frame;

	if (ask->prefix_len != UNPACK_NO_PREFIX)
		return chunk_decode_prefix(u->here, u->prefix, ask->prefix_len, frame, p->frame_len,
					   out + p->at, p->len);
	if (p->blocks)
		return chunk_decode_blocks(u->here, ask->dict, frame, p->frame_len, out + p->at, p->len);
	return chunk_decode_dict(u->here, ask->dict, frame, p->frame_len, out + p->at, p->len);
}

bool unpack_parts(struct unpack *u, const struct unpack_ask *ask, uint8_t *out)
{
	for (size_t i = 0; i < ask->count; i++)
		if (!part_decode(u, ask, &ask->parts[i], out))
			return false;
	return true;
}

static int start(struct unpack *u, char lack[static CAGE_LACK_BYTES], struct err *err)
{
	const struct child_job job = { .run = unpack_child, .ctx = u, .keep = -1,
				       .area_bytes = rooms_bytes(&u->options) };

	if (child_start(&u->child, &job, err) < 0)
		return -1;
	unpack_place(u, u->child.area);
	if (child_greeted(&u->child, "a process that unpacks", lack, err) < 0)
		return -1;
	return cage_judge(u->options.sandbox, lack, err);
}

/* --- those that are idle ------------------------------------------------------------ */

enum { IDLE_MAX = 64 };

struct unpackers {
	struct unpack *first;
	unsigned count;
};

struct unpackers *unpackers_new(void)
{
	return calloc(1, sizeof(struct unpackers));
}

static void unpack_end(struct unpack *u)
{
	child_stop(&u->child);
	chunk_decode_free(u->here);
	free(u->memory);
	free(u);
}

void unpackers_free(struct unpackers *idle)
{
	while (idle && idle->first) {
		struct unpack *u = idle->first;

		idle->first = u->next;
		unpack_end(u);
	}
	free(idle);
}

/* A process with enough room. One with a dictionary belongs to that dictionary and is not
 * kept. */
static struct unpack *idle_take(const struct unpack_options *o)
{
	struct unpack **at = o->idle && !o->dict ? &o->idle->first : NULL;

	for (; at && *at; at = &(*at)->next) {
		struct unpack *u = *at;

		if (u->options.sandbox != o->sandbox || u->options.frames < o->frames ||
		    u->options.prefix < o->prefix || u->options.out < o->out)
			continue;
		*at = u->next;
		o->idle->count--;
		u->options.cancel = o->cancel;
		return u;
	}
	return NULL;
}

static bool idle_give(struct unpack *u)
{
	struct unpackers *idle = u->options.idle;

	if (!idle || idle->count == IDLE_MAX || u->options.dict || u->here || u->child.pid == 0 ||
	    u->why.exit)
		return false;
	u->next = idle->first;
	idle->first = u;
	idle->count++;
	return true;
}

/* --- asking it -------------------------------------------------------------------- */

static bool trouble(struct unpack *u, int exit, const char *what)
{
	return err_set(&u->why, exit, "%s", what) == 0;
}

static bool ended(struct unpack *u)
{
	char fate[80], text[120];

	child_fate(&u->child, fate, sizeof fate);
	(void)snprintf(text, sizeof text, "the process that unpacks %s", fate);
	return trouble(u, EX_SOFTWARE, text);
}

static bool heard(struct unpack *u, uint8_t *ret_good)
{
	int64_t until = clock_ms(CLOCK_MONOTONIC) + HANG_MS;

	for (;;) {
		enum child_word word = child_hear(&u->child, ret_good, sizeof *ret_good);

		if (word == CHILD_SAID)
			return true;
		if (u->options.cancel && *u->options.cancel)
			return trouble(u, EX_TEMPFAIL, "cancelled by a signal");
		if (word == CHILD_ENDED)
			return ended(u);
		if (word == CHILD_NONSENSE)
			return trouble(u, EX_SOFTWARE, "the process that unpacks said something else than "
				       "was asked");
		if (clock_ms(CLOCK_MONOTONIC) >= until)
			return trouble(u, EX_SOFTWARE, "the process that unpacks does not answer");
	}
}

bool unpack_run(struct unpack *unpack, const struct chunkdict *dict, uint32_t prefix_len,
		const struct unpack_part *parts, size_t count, uint8_t *out)
{
	struct unpack *u = unpack;
	struct unpack_ask ask = { .dict = dict, .prefix_len = prefix_len, .count = (uint32_t)count };
	uint8_t good = 0;

	memcpy(ask.parts, parts, count * sizeof *parts);
	if (u->here)
		return unpack_parts(u, &ask, out);
	if (u->why.exit)
		return false;
	(void)child_tell(u->child.channel, &ask, sizeof ask);
	if (!heard(u, &good) || good != 1)
		return false;
	/* An attacker in the child could change it from now on. */
	for (size_t i = 0; i < count; i++)
		memcpy(out + parts[i].at, u->out + parts[i].at, parts[i].len);
	return true;
}

int unpack_check(const struct unpack *unpack, struct err *err)
{
	return unpack->why.exit ? err_set(err, unpack->why.exit, "%s", unpack->why.text) : 0;
}

uint8_t *unpack_frames(struct unpack *unpack)
{
	return unpack->frames;
}

uint8_t *unpack_prefix(struct unpack *unpack)
{
	return unpack->prefix;
}

static int here(struct unpack *u, struct err *err)
{
	size_t len = rooms_bytes(&u->options);

	u->here = chunk_decode_new();
	u->memory = len > 0 ? aligned_alloc(PAGE, len) : NULL;
	if (!u->here || (len > 0 && !u->memory))
		return err_set(err, EX_SOFTWARE, "failed to start working: out of memory");
	unpack_place(u, u->memory);
	return 0;
}

int unpack_open(const struct unpack_options *options, struct unpack **ret_unpack,
		char lack[static CAGE_LACK_BYTES], struct err *err)
{
	struct unpack *u = idle_take(options);

	lack[0] = 0;
	if (u) {
		*ret_unpack = u;
		return 0;
	}
	u = calloc(1, sizeof *u);
	if (!u)
		return err_set(err, EX_SOFTWARE, "failed to start working: out of memory");
	u->options = *options;
	u->child.channel = -1;
	rooms_round(&u->options);
	if ((options->sandbox == SANDBOX_NO ? here(u, err) : start(u, lack, err)) < 0) {
		unpack_close(u);
		return -1;
	}
	*ret_unpack = u;
	return 0;
}

void unpack_close(struct unpack *unpack)
{
	if (unpack && !idle_give(unpack))
		unpack_end(unpack);
}
