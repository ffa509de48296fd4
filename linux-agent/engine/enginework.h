/* SPDX-License-Identifier: MIT */
/* What the files of the engine share; no one else includes it. */
#pragma once

#include "engine.h"
#include "plan.h"
#include "chunk_decode.h"
#include "pool.h"

#define NOWHERE UINT32_MAX
/* So many chunks of a payload may come wrong from the network: that is its fault, or a cache's. More
 * than these are wrong where the bundle is. */
#define WORK_AGAIN_MAX 8

/* What a task does. */
enum work_how {
	WORK_KEEP,		/* is the chunk in the target? */
	WORK_FIND,		/* is it in the running slot? */
	WORK_COPY,		/* write it from there */
	WORK_FULL, WORK_BASE, WORK_BLOCKS,
	WORK_SCAN,		/* which wanted blocks are in a held place, at task->at? */
	WORK_CHECK,		/* read back */
};

/* One chunk, and what it takes to make it. */
struct task {
	uint32_t chunk;
	int how;
	size_t frame_len;
	uint64_t at;
	uint8_t *frame, *out, *aux;	/* struct engine has how long; aligned to 4096 */
	struct chunk_decode *code;
	struct unpack *unpack;	/* frame and aux are its; NULL: no frames come */
};

/* The BASE layout. */
struct delta_base {
	const struct payload_base *entry;	/* NULL: not taken */
	int held;				/* which place holds the base */
	struct baseindex index;
	struct zipentry frames;
	size_t prefix_max;			/* the longest prefix of a wanted chunk */
};

/* The BLOCKS layout. */
struct delta_blocks {
	bool taken;
	struct blockindex index;	/* ids: while they are looked for only */
	struct zipentry frames;
	struct chunkdict *dict;
	uint32_t *table;	/* of wanted blocks by id, the first of each; NOWHERE: free.
				 * While they are looked for only */
	uint32_t table_size;
	uint32_t *from;		/* of each block: where it is taken from, or NOWHERE; while
				 * they are looked for, of those in the table: where one is */
};

/* delta.c: from engine_prepare() on. */
struct delta {
	int scanned;		/* the place WORK_SCAN reads */
	struct delta_base base;
	struct delta_blocks blocks;
};

/* enginefetch.c: how far the fetching is. */
struct fetching {
	int layout;			/* of their order */
	struct plan_range *ranges;	/* that the layout wants, in the order of the chunks */
	size_t count, room, next;	/* next: to be fetched */
	bool open;			/* the ranges are there */
	size_t sent;			/* those before it are of runs that were named */
	unsigned since;			/* runs that began since the rest was planned */
	uint32_t chunk;			/* to be looked at next */
};

/* enginecheck.c: reading back, from engine_write() to engine_check(). The image is cut
 * into parts that are flushed and read back while others are made. */
struct readback {
	uint64_t *marks;	/* XXH3 of what is read back of each chunk written */
	int file;		/* -1: not open */
	uint32_t each, count;	/* chunks of one part; how many parts. None: count is 0 */
	uint32_t *left;		/* of each: chunks not written yet */
	uint8_t *flushed;	/* of each: may be read back */
	uint32_t next;		/* the chunk to be read back next; the fetching thread's */
};

enum chunk_state { CHUNK_TODO, CHUNK_MADE, CHUNK_CHECKED };

struct engine {
	struct engine_job job;
	const struct engine_options *options;
	struct engine_stats *stats;
	struct chunkindex index;
	struct zipentry frames;
	uint8_t *how;		/* enum plan_how of each chunk: the plan */
	uint8_t *state;		/* enum chunk_state of each */
	uint8_t *first;		/* the chunk that engine_prepare() has made, */
	uint32_t first_chunk;	/* and which it is; NOWHERE: none */
	uint32_t again;		/* chunks that came wrong and are left for another try */
	struct delta delta;
	struct fetching fetching;
	struct readback back;
	const struct engine_target *target;
	bool shows_progress;
	bool lack_told;
	/* While something is at work. */
	int files[HELD_COUNT];	/* of job.held, opened to read; -1: not there */
	struct pool *pool;
	size_t frame_room, aux_room;	/* of each task */
};

/* enginework.c: one task, in any thread. */
int work_task_open(void *ctx, void *task, struct err *err);
void work_task_clear(void *task);
int work_run(void *ctx, void *task, struct err *err);
/* As reading and writing past the page cache want it. NULL: out of memory, or len is 0. */
uint8_t *work_buffer_new(size_t len);
/* Writes a chunk that is right. */
int work_store(struct engine *e, uint32_t chunk, const uint8_t *data, struct err *err);
uint64_t work_now(void);
void work_spend(struct engine *e, enum engine_stage stage, uint64_t since);
size_t work_chunk_bytes(const struct engine *e);
/* len bytes at offset, in whole blocks: buf has room for the last one. How many there
 * are, fewer than len where the file ends; -1 with errno. */
int64_t work_read(const struct disk *disk, int file, void *buf, size_t len, uint64_t offset);
/* All len bytes at offset; false: not there, or not to be read. */
bool work_held_read(struct engine *e, int file, void *buf, size_t len, uint64_t offset);

/* engine.c: a task to be filled; -1: cancelled, or a task failed. */
int work_take(struct engine *e, struct task **ret_task, struct err *err);
int work_pool_open(struct engine *e, unsigned threads, size_t frame_room, size_t aux_room,
		   struct err *err);
int work_pool_close(struct engine *e, int so_far, struct err *err);
/* Chunks that are to come this way and are not made. */
uint32_t work_count(const struct engine *e, enum plan_how how);
int work_no_memory(struct err *err);

/* enginefetch.c: the frames of wanted chunks, layout by layout. */
int fetching_pool_open(struct engine *e, unsigned threads, struct err *err);
/* Makes and keeps the first chunk that has to be fetched. */
int fetching_first(struct engine *e, struct err *err);
/* Puts in all that are left, and waits for them. */
int fetching_rest(struct engine *e, struct err *err);
/* Makes every chunk that has to be fetched. The plan stays, but for what a delta did not yield. */
int fetching_verify(struct engine *e, struct err *err);
/* Begins again with what is not made. */
void fetching_reset(struct engine *e);
/* What all wanted chunks come to, as the link is seen now. */
int fetching_sum(struct engine *e, struct plan_sum *ret_sum, struct err *err);

/* enginecheck.c: reading back, beside the work and after it. */
int readback_open(struct engine *e, struct err *err);
/* No more beside the work. */
void readback_close(struct engine *e);
/* In the thread that wrote the chunk. */
int readback_written(struct engine *e, uint32_t chunk, struct err *err);
/* In the fetching thread: puts one chunk in to be read back, if one is ready. */
int readback_put(struct engine *e, struct err *err);
int readback_run(struct engine *e, struct task *t, struct err *err);
/* What a chunk that was written must read back as. */
uint64_t readback_mark(const struct engine *e, const uint8_t *chunk, size_t len);

/* delta.c: chooses a layout for every wanted chunk; e->how. */
int delta_plan(struct engine *e, struct err *err);
void delta_clear(struct engine *e);
/* What the blocks take now, in bytes. */
size_t delta_memory(const struct engine *e);
/* The table of wanted blocks: the one with this id, or NOWHERE. */
uint32_t delta_block_find(const struct delta_blocks *b, uint64_t id);
/* Places: block number and which place. No block from PLACES_END on has one, so that
 * none is NOWHERE: whole chunks of any size, just below 8 TiB. */
#define PLACES_END ((uint64_t)0x7ffff800 * BLOCK_BYTES)

static inline uint32_t place_make(int held, uint64_t block)
{
	return (uint32_t)held << 31 | (uint32_t)block;
}

static inline int place_held(uint32_t place)
{
	return (int)(place >> 31);
}

static inline uint64_t place_block(uint32_t place)
{
	return place & 0x7fffffff;
}
