/* SPDX-License-Identifier: MIT */
/*
 * A fixed number of tasks, each with its own buffers, worked off by threads. The
 * caller fills a task and puts it in; when all are busy, taking one waits: that
 * bounds memory. Without threads a task runs in pool_put(), so that everything
 * happens in one order (the crash simulator).
 */
#pragma once

#include "chunk_decode.h"

struct task {
	uint32_t chunk;
	int how;		/* the caller's */
	size_t frame_len;
	uint64_t at;		/* the caller's */
	uint8_t *frame;		/* frame_room bytes */
	uint8_t *out;		/* out_room bytes, aligned to 4096 */
	uint8_t *aux;		/* aux_room bytes, aligned to 4096 */
	struct chunk_decode *code;
	struct task *next;
};

typedef int pool_run_fn(void *ctx, struct task *task, struct err *err);

struct pool_options {
	unsigned threads;	/* 0: none */
	unsigned tasks;		/* at least 1 */
	size_t frame_room, out_room, aux_room;
	pool_run_fn *run;	/* from several threads at once */
	void *ctx;
};

struct pool;

/* EX_SOFTWARE: out of memory, no thread to be had. */
int pool_open(const struct pool_options *options, struct pool **ret_pool, struct err *err);
/* Waits for what is in work. */
void pool_close(struct pool *pool);
void pool_closep(struct pool **pool);

/* A task nobody works on; NULL once a run failed (pool_drain() says how). */
struct task *pool_take(struct pool *pool);
/* To be run by a thread, or here and now. */
void pool_put(struct pool *pool, struct task *task);
void pool_put_here(struct pool *pool, struct task *task);
/* Not to be run. */
void pool_give_back(struct pool *pool, struct task *task);

/* Waits until all are done; -1 and the error of the first run that failed. */
int pool_drain(struct pool *pool, struct err *err);
