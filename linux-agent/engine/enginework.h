/* SPDX-License-Identifier: MIT */
/* What the files of the engine share; no other file includes this. */
#pragma once

#include "engine.h"
#include "plan.h"
#include "chunk_decode.h"
#include "digest.h"
#include "pool.h"

#define NOWHERE UINT32_MAX
/* A few chunks of a payload may arrive wrong because of the network or a cache. If more than this
 * do, the bundle on the server is at fault. */
#define WORK_AGAIN_MAX 8

/* What a task does. */
enum work_how {
	WORK_KEEP,		/* check whether the target holds the chunk */
	WORK_FIND,		/* check whether the running slot does */
	WORK_COPY,		/* copy it from the running slot */
	WORK_FULL, WORK_BASE, WORK_BLOCKS,
	WORK_SCAN,		/* look for wanted blocks in a held place, at task->at */
	WORK_CHECK,		/* read the chunk back */
};

/* One chunk, and the buffers to make it. */
struct task {
	uint32_t chunk;
	int how;
	size_t frame_len;
	size_t held;		/* bytes of the chunk that a slot gave */
	uint64_t at;
	uint8_t *frame, *out, *aux;	/* sizes are in struct engine; aligned to 4096 */
	EVP_MD_CTX *md;
	struct unpack *unpack;	/* owns frame and aux; NULL: the tasks decode no frames */
};

/* The BASE layout. */
struct delta_base {
	const struct payload_base *entry;	/* NULL: not used */
	int held;				/* which place holds the base */
	struct baseindex index;
	struct zipentry frames;
	size_t prefix_max;			/* the longest prefix of a wanted chunk */
};

/* The BLOCKS layout. */
struct delta_blocks {
	struct blockindex index;	/* ids: only during the search */
	uint32_t *table;	/* the first wanted block of each id; NOWHERE: free. Only during the
				 * search */
	uint32_t table_size;
	unsigned place_log;	/* places are multiples of so many bytes */
	uint32_t *from;		/* where each block is copied from, or NOWHERE; during the search,
				 * only for the blocks in the table */
};

/* delta.c: used from engine_prepare() on. */
struct delta {
	int scanned;		/* the place that WORK_SCAN reads */
	struct delta_base base;
	struct delta_blocks blocks;
};

/* enginefetch.c: the progress of fetching. */
struct fetching {
	int layout;			/* index of the current layout */
	struct plan_range *ranges;	/* ranges that the layout wants, in the order of chunks */
	size_t count, room, next;	/* next: the one to fetch */
	bool open;			/* the ranges are filled in */
	size_t sent;			/* the ranges before it belong to announced runs */
	unsigned since;			/* runs begun since the last planning */
	uint32_t chunk;			/* the chunk to look at next */
};

/* enginecheck.c: reading back, from engine_write() to engine_check(). The image is divided into
 * parts, which are flushed and read back while others are made. */
struct readback {
	uint64_t *marks;	/* for each chunk written, the XXH3 of what is read back of it */
	int file;		/* -1: not open */
	uint32_t each, count;	/* chunks in a part; number of parts, 0 if there are none */
	uint32_t *left;		/* for each part: chunks not written yet */
	uint8_t *flushed;	/* for each part: may be read back */
	uint32_t next;		/* the chunk to read back next; used by the fetching thread only */
};

enum chunk_state { CHUNK_TODO, CHUNK_MADE, CHUNK_CHECKED };

struct engine {
	struct engine_job job;
	const struct engine_options *options;
	struct engine_stats *stats;
	struct chunkindex index;
	struct zipentry frames;
	struct chunkdict *dict;	/* of all frames but a base's */
	uint8_t *how;		/* the plan: enum plan_how of each chunk */
	uint8_t *state;		/* enum chunk_state of each */
	uint8_t *first;		/* the chunk made by engine_prepare(), */
	uint32_t first_chunk;	/* and its number; NOWHERE: none */
	uint32_t again;		/* chunks that arrived wrong and are to be fetched again */
	struct delta delta;
	struct fetching fetching;
	struct readback back;
	const struct engine_target *target;
	bool shows_progress;
	bool lack_told;
	/* Set while tasks run. */
	int files[HELD_COUNT];	/* of job.held, open for reading; -1: not there */
	struct pool *pool;
	size_t frame_room, aux_room;	/* for each task */
};

/* enginework.c: one task, in any thread. */
int work_task_open(void *ctx, void *task, struct err *err);
void work_task_clear(void *task);
int work_run(void *ctx, void *task, struct err *err);
/* A buffer aligned for reads and writes past the page cache. NULL: out of memory, or len is 0. */
uint8_t *work_buffer_new(size_t len);
/* Writes a chunk that was verified. */
int work_store(struct engine *e, uint32_t chunk, const uint8_t *data, struct err *err);
void work_spend(struct engine *e, enum engine_stage stage, uint64_t since);
size_t work_chunk_bytes(const struct engine *e);
/* Reads len bytes at offset, in whole blocks: buf must have room for the last one. Returns how many
 * there were, fewer than len at the end of the file; -1 with errno. */
int64_t work_read(const struct disk *disk, int file, void *buf, size_t len, uint64_t offset);
/* Reads exactly len bytes at offset; false if it cannot. */
bool work_held_read(struct engine *e, int file, void *buf, size_t len, uint64_t offset);

/* engine.c: takes a task to be filled; -1 if cancelled, or if a task failed. */
int work_take(struct engine *e, struct task **ret_task, struct err *err);
int work_pool_open(struct engine *e, unsigned threads, size_t frame_room, size_t aux_room,
		   struct err *err);
int work_pool_close(struct engine *e, int so_far, struct err *err);
/* Number of chunks planned in this way and not made yet. */
uint32_t work_count(const struct engine *e, enum plan_how how);
int work_no_memory(struct err *err);

/* enginefetch.c: fetches the frames of wanted chunks, layout by layout. */
int fetching_pool_open(struct engine *e, unsigned threads, struct err *err);
/* Makes and keeps the first chunk that must be fetched. */
int fetching_first(struct engine *e, struct err *err);
/* Fetches all that are left, and waits until they are made. */
int fetching_rest(struct engine *e, struct err *err);
/* Makes every chunk that must be fetched, without writing. Changes the plan only for chunks that a
 * delta failed to make. */
int fetching_verify(struct engine *e, struct err *err);
/* Starts over with the chunks not made yet. */
void fetching_reset(struct engine *e);
/* The bytes and requests that all wanted chunks take, given what is known of the link. */
int fetching_sum(struct engine *e, struct plan_sum *ret_sum, struct err *err);

/* enginecheck.c: reading back, during the work and afterwards. */
int readback_open(struct engine *e, struct err *err);
/* Ends reading back during the work. */
void readback_close(struct engine *e);
/* Called by the thread that wrote the chunk. */
int readback_written(struct engine *e, uint32_t chunk, struct err *err);
/* Called by the fetching thread: starts reading back one chunk, if one is ready. */
int readback_put(struct engine *e, struct err *err);
int readback_run(struct engine *e, struct task *t, struct err *err);
/* The value that a written chunk must read back as. */
uint64_t readback_mark(const struct engine *e, const uint8_t *chunk, size_t len);

/* delta.c: chooses a layout for every wanted chunk and stores it in e->how. */
int delta_plan(struct engine *e, struct err *err);
void delta_clear(struct engine *e);
/* Bytes of memory that the blocks take now. */
size_t delta_memory(const struct engine *e);
/* Finds the wanted block with this id in the table, or NOWHERE. */
uint32_t delta_block_find(const struct delta_blocks *b, uint64_t id);
/* What may be moved in a UKI: its sections, which begin at any multiple of this. */
#define SECTION_LOG 9

/* A place combines an offset, in units of 1 << place_log, and the slot. Offsets from place_end() on
 * have none, so that no place equals NOWHERE; it is a whole number of chunks of any size, just
 * below 8 TiB, in a UKI 1 TiB. */
static inline uint64_t place_end(const struct delta_blocks *b)
{
	return (uint64_t)0x7fffc000 << b->place_log;
}

static inline uint32_t place_make(const struct delta_blocks *b, int held, uint64_t offset)
{
	return (uint32_t)held << 31 | (uint32_t)(offset >> b->place_log);
}

static inline int place_held(uint32_t place)
{
	return (int)(place >> 31);
}

static inline uint64_t place_offset(const struct delta_blocks *b, uint32_t place)
{
	return (uint64_t)(place & 0x7fffffff) << b->place_log;
}
