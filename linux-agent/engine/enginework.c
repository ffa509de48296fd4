/* SPDX-License-Identifier: MIT */
/* One chunk is made and written, or looked at; runs in any thread. */
#include "enginework.h"

#include "clock.h"
#include "unpack.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { ALIGN = 4096 };

static void add(uint64_t *sum, uint64_t n)
{
	(void)__atomic_add_fetch(sum, n, __ATOMIC_RELAXED);
}

void work_spend(struct engine *e, enum engine_stage stage, uint64_t since)
{
	add(&e->stats->ns[stage], clock_monotonic_ns() - since);
}

size_t work_chunk_bytes(const struct engine *e)
{
	return (size_t)1 << e->index.chunk_log;
}

uint8_t *work_buffer_new(size_t len)
{
	return len > 0 ? aligned_alloc(ALIGN, (len + ALIGN - 1) / ALIGN * ALIGN) : NULL;
}

static int unpack_start(struct engine *e, struct task *t, struct err *err)
{
	const struct engine_options *o = e->options;
	const struct unpack_options options = {
		.sandbox = o->sandbox, .frames = e->frame_room, .prefix = e->aux_room,
		.out = work_chunk_bytes(e), .cancel = o->cancel,
		.dict = e->dict, .idle = o->unpackers,
	};
	char lack[CAGE_LACK_BYTES];

	if (unpack_open(&options, &t->unpack, lack, err) < 0)
		return -1;
	t->frame = unpack_frames(t->unpack);
	t->aux = unpack_prefix(t->unpack);
	if (*lack && o->lacking && !e->lack_told)
		o->lacking(o->ctx, lack);
	e->lack_told |= *lack != 0;
	return 0;
}

int work_task_open(void *ctx, void *arg, struct err *err)
{
	struct engine *e = ctx;
	struct task *t = arg;

	t->out = work_buffer_new(work_chunk_bytes(e) + ALIGN);
	t->md = EVP_MD_CTX_new();
	if (!t->out || !t->md)
		return err_set(err, EX_SOFTWARE, "failed to start working: out of memory");
	return e->frame_room ? unpack_start(e, t, err) : 0;
}

void work_task_clear(void *arg)
{
	struct task *t = arg;

	free(t->out);
	unpack_close(t->unpack);
	EVP_MD_CTX_free(t->md);
}

static uint64_t chunk_offset(const struct engine *e, uint32_t i)
{
	return (uint64_t)i << e->index.chunk_log;
}

/* Requests whole pages, as reading past the page cache requires. */
int64_t work_read(const struct disk *disk, int file, void *buf, size_t len, uint64_t offset)
{
	size_t room = (len + ALIGN - 1) / ALIGN * ALIGN, done = 0;

	while (done < len) {
		int64_t n = disk->read(disk->ctx, file, (uint8_t *)buf + done, room - done,
				       offset + done);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

bool work_held_read(struct engine *e, int file, void *buf, size_t len, uint64_t offset)
{
	uint64_t start = clock_monotonic_ns();
	bool is_read = file >= 0 &&
		       work_read(e->job.disk, file, buf, len, offset) >= (int64_t)len;

	work_spend(e, STAGE_READ, start);
	return is_read;
}

static bool chunk_is_right(struct engine *e, const struct task *t)
{
	uint64_t start = clock_monotonic_ns();
	bool is = digest_is(t->md, t->out, chunkindex_length(&e->index, t->chunk),
			    e->index.chunks[t->chunk].sha256);

	work_spend(e, STAGE_HASH, start);
	return is;
}

int work_store(struct engine *e, uint32_t chunk, const uint8_t *data, struct err *err)
{
	const struct engine_target *target = e->target;
	size_t len = chunkindex_length(&e->index, chunk);
	uint64_t start = clock_monotonic_ns();

	if (target->write(target->ctx, data, len, chunk_offset(e, chunk), err) < 0)
		return -1;
	work_spend(e, STAGE_WRITE, start);
	e->back.marks[chunk] = readback_mark(e, data, len);
	return readback_written(e, chunk, err);
}

static int chunk_made(struct engine *e, const struct task *t, struct err *err)
{
	e->state[t->chunk] = CHUNK_MADE;
	add(&e->stats->done, chunkindex_length(&e->index, t->chunk));
	return work_store(e, t->chunk, t->out, err);
}

static bool held_is_right(struct engine *e, struct task *t, int held)
{
	return work_held_read(e, e->files[held], t->out, chunkindex_length(&e->index, t->chunk),
			      chunk_offset(e, t->chunk)) && chunk_is_right(e, t);
}

static int keep(struct engine *e, struct task *t)
{
	size_t len = chunkindex_length(&e->index, t->chunk);

	if (!held_is_right(e, t, HELD_TARGET))
		return 0;
	e->how[t->chunk] = PLAN_KEPT;
	add(&e->stats->kept, len);
	add(&e->stats->done, len);
	return 0;
}

static int find(struct engine *e, struct task *t)
{
	if (held_is_right(e, t, HELD_RUNNING))
		e->how[t->chunk] = PLAN_COPIED;
	return 0;
}

static int copy(struct engine *e, struct task *t, struct err *err)
{
	if (!held_is_right(e, t, HELD_RUNNING)) {
		e->how[t->chunk] = PLAN_FULL;
		return 0;
	}
	add(&e->stats->copied, chunkindex_length(&e->index, t->chunk));
	return chunk_made(e, t, err);
}

static bool parts_decode(struct engine *e, struct task *t, uint32_t prefix,
			 const struct unpack_part *parts, size_t count)
{
	uint64_t start = clock_monotonic_ns();
	bool decoded = unpack_run(t->unpack, e->dict, prefix, parts, count, t->out);

	work_spend(e, STAGE_DECODE, start);
	return decoded;
}

/* All frames of the chunk are there. With a prefix, those of a base: one, and no dictionary. */
static bool frames_decode(struct engine *e, struct task *t, uint32_t prefix)
{
	const struct unpack_part part = {
		.frame_len = (uint32_t)t->frame_len, .len = chunkindex_length(&e->index, t->chunk),
		.blocks = prefix == UNPACK_NO_PREFIX && e->index.chunks[t->chunk].blocks,
	};

	return parts_decode(e, t, prefix, &part, 1);
}

static int full(struct engine *e, struct task *t, struct err *err)
{
	bool decoded = frames_decode(e, t, UNPACK_NO_PREFIX);

	if (decoded && chunk_is_right(e, t))
		return chunk_made(e, t, err);
	if (unpack_check(t->unpack, err) < 0)
		return -1;
	/* The chunk stays PLAN_FULL, to be fetched again; see enginefetch.c. */
	if (bundle_source(e->job.bundle)->anew &&
	    __atomic_add_fetch(&e->again, 1, __ATOMIC_RELAXED) <= WORK_AGAIN_MAX)
		return 0;
	(void)chunk_decode_damaged(e->job.payload->file, t->chunk, err);
	return bundle_prefix(e->job.bundle, err);
}

/* Reads the base's regions into t->aux, one after the other. */
static bool prefix_read(struct engine *e, struct task *t, const struct base_chunk *c,
			size_t *ret_len)
{
	int file = e->files[e->delta.base.held];
	size_t at = 0;

	for (uint32_t i = 0; i < c->region_count; i++) {
		const struct base_region *r = &c->regions[i];
		uint64_t start = r->offset / ALIGN * ALIGN;
		size_t skip = (size_t)(r->offset - start);
		uint8_t *to = t->aux + (at + ALIGN - 1) / ALIGN * ALIGN;

		if (!work_held_read(e, file, to, skip + r->length, start))
			return false;
		memmove(t->aux + at, to + skip, r->length);
		at += r->length;
	}
	*ret_len = at;
	return true;
}

static bool base_make(struct engine *e, struct task *t)
{
	const struct base_chunk *c = &e->delta.base.index.chunks[t->chunk];
	size_t len = chunkindex_length(&e->index, t->chunk), prefix = 0;

	if (!prefix_read(e, t, c, &prefix))
		return false;
	t->held = prefix > 0 && c->frame < len ? len - c->frame : 0;
	if (c->frame != 0 || prefix != len)
		return frames_decode(e, t, (uint32_t)prefix);
	memcpy(t->out, t->aux, len);
	return true;
}

/* Number of blocks, from first on, that are also consecutive where they are held. */
static uint32_t blocks_together(const struct delta_blocks *b, uint32_t first, uint32_t end)
{
	uint32_t n = 1, step = (uint32_t)BLOCK_BYTES >> b->place_log;

	while (first + n < end && b->from[first + n] == b->from[first] + n * step)
		n++;
	return n;
}

/* Reads bytes from any offset to buf, which has room for a block more. */
static bool held_read_at(struct engine *e, int file, uint8_t *buf, size_t len, uint64_t offset)
{
	size_t skip = (size_t)(offset % ALIGN);

	if (!work_held_read(e, file, buf, skip + len, offset - skip))
		return false;
	if (skip > 0)
		memmove(buf, buf + skip, len);
	return true;
}

static bool blocks_make(struct engine *e, struct task *t)
{
	const struct delta_blocks *b = &e->delta.blocks;
	uint32_t per_chunk = (uint32_t)(work_chunk_bytes(e) / BLOCK_BYTES), n;
	uint32_t first = t->chunk * per_chunk, end = first + per_chunk;
	size_t len = chunkindex_length(&e->index, t->chunk), used = 0, count = 0;
	struct unpack_part parts[UNPACK_PARTS_MAX];

	t->held = 0;
	if (end > b->index.count)
		end = b->index.count;
	for (uint32_t i = first; i < end; i += n) {
		size_t at = (size_t)(i - first) * BLOCK_BYTES, room = len - at;
		size_t frame = b->index.lengths[i];

		n = 1;
		if (b->from[i] != NOWHERE) {
			n = blocks_together(b, i, end);
			room = room < (size_t)n * BLOCK_BYTES ? room : (size_t)n * BLOCK_BYTES;
			if (!held_read_at(e, e->files[place_held(b->from[i])], t->out + at, room,
					  place_offset(b, b->from[i])))
				return false;
			t->held += room;
			continue;
		}
		parts[count++] = (struct unpack_part){
			.frame = (uint32_t)used, .frame_len = (uint32_t)frame, .at = (uint32_t)at,
			.len = (uint32_t)(room < BLOCK_BYTES ? room : BLOCK_BYTES),
		};
		used += frame;
		if (count < UNPACK_PARTS_MAX)
			continue;
		if (!parts_decode(e, t, UNPACK_NO_PREFIX, parts, count))
			return false;
		count = 0;
	}
	return count == 0 || parts_decode(e, t, UNPACK_NO_PREFIX, parts, count);
}

/* If a delta fails to make the chunk, it is fetched from FULL. */
static int delta(struct engine *e, struct task *t, bool made, struct err *err)
{
	if (made && chunk_is_right(e, t)) {
		add(&e->stats->rebuilt, t->held);
		return chunk_made(e, t, err);
	}
	if (unpack_check(t->unpack, err) < 0)
		return -1;
	e->how[t->chunk] = PLAN_FULL;
	(void)__atomic_add_fetch(&e->stats->wrong, 1, __ATOMIC_RELAXED);
	return 0;
}

static int scan(struct engine *e, struct task *t)
{
	struct delta_blocks *b = &e->delta.blocks;
	uint64_t size = e->job.held[e->delta.scanned].size, start;
	size_t len = work_chunk_bytes(e), step = (size_t)1 << b->place_log;

	len = size - t->at < len ? (size_t)(size - t->at) : len;
	if (len < BLOCK_BYTES || !work_held_read(e, e->files[e->delta.scanned], t->out, len, t->at))
		return 0;
	start = clock_monotonic_ns();
	for (size_t at = 0; at + BLOCK_BYTES <= len; at += step) {
		uint64_t id = blockindex_id(t->out + at, BLOCK_BYTES, b->index.id_bytes);
		uint32_t i = delta_block_find(b, id), none = NOWHERE;

		/* If it is found twice, either place will do. */
		if (i != NOWHERE)
			(void)__atomic_compare_exchange_n(
				&b->from[i], &none,
				place_make(b, e->delta.scanned, t->at + at), false,
				__ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
	work_spend(e, STAGE_HASH, start);
	return 0;
}

int work_run(void *ctx, void *arg, struct err *err)
{
	struct task *task = arg;
	struct engine *e = ctx;

	switch ((enum work_how)task->how) {
	case WORK_KEEP:
		return keep(e, task);
	case WORK_FIND:
		return find(e, task);
	case WORK_COPY:
		return copy(e, task, err);
	case WORK_FULL:
		return full(e, task, err);
	case WORK_BASE:
		return delta(e, task, base_make(e, task), err);
	case WORK_BLOCKS:
		return delta(e, task, blocks_make(e, task), err);
	case WORK_SCAN:
		return scan(e, task);
	case WORK_CHECK:
		return readback_run(e, task, err);
	}
	return 0;
}
