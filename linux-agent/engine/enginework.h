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
	WORK_COPY,		/* is it in the running slot? then write it */
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
	uint8_t *frame, *out, *aux;	/* struct work has how long; aligned to 4096 */
	struct chunk_decode *code;
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

/* The image, cut into parts that are flushed and read back while others are made. */
struct segments {
	uint32_t each, count;	/* chunks of one; how many. None: count is 0 */
	uint32_t *left;		/* of each: chunks not dealt with yet */
	uint8_t *flushed;	/* of each: may be read back */
	uint32_t next;		/* the chunk to be read back next; the fetching thread's */
};

struct work {
	struct engine_job *job;
	const struct engine_options *options;
	struct engine_stats *stats;
	struct pool *pool;
	int files[HELD_COUNT];	/* of job->held, opened to read; -1: not there */
	struct segments segments;
	uint32_t again;		/* chunks that came wrong and are left for another try */
	int check_file;
	const char *check_path;
	size_t frame_room, aux_room;	/* of each task */
	bool begun;		/* the first write was announced */
	int scanned;		/* the place WORK_SCAN reads */
	struct delta_base base;
	struct delta_blocks blocks;
};

/* enginework.c: one task, in any thread. */
int work_task_open(void *ctx, void *task, struct err *err);
void work_task_clear(void *task);
int work_run(void *ctx, void *task, struct err *err);
uint64_t work_now(void);
void work_spend(struct work *w, enum engine_stage stage, uint64_t since);
size_t work_chunk_bytes(const struct work *w);
/* len bytes at offset, in whole blocks: buf has room for the last one. How many there
 * are, fewer than len where the file ends; -1 with errno. */
int64_t work_read(const struct disk *disk, int file, void *buf, size_t len, uint64_t offset);
/* All len bytes at offset; false: not there, or not to be read. */
bool work_held_read(struct work *w, int file, void *buf, size_t len, uint64_t offset);

/* engine.c: a task to be filled; -1: cancelled, or a task failed. */
int work_take(struct work *w, struct task **ret_task, struct err *err);
int work_pool_open(struct work *w, size_t frame_room, size_t aux_room, struct err *err);
int work_pool_close(struct work *w, int so_far, struct err *err);

/* enginecheck.c: reading back, beside the work and after it. */
int segments_open(struct work *w, struct err *err);
void segments_close(struct work *w);
/* In the thread that dealt with the chunk. */
int segments_dealt(struct work *w, uint32_t chunk, struct err *err);
/* In the fetching thread: puts one chunk in to be read back, if one is ready. */
int segments_check(struct work *w, struct err *err);
int check_run(struct work *w, struct task *t, struct err *err);
/* What a chunk that was written must read back as. */
uint64_t check_mark(const struct engine_job *job, const uint8_t *chunk, size_t len);

/* delta.c: chooses a layout for every wanted chunk; job->how. */
int delta_plan(struct work *w, struct err *err);
void delta_clear(struct work *w);
/* What the blocks take now, in bytes. */
size_t delta_memory(const struct work *w);
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
