/* SPDX-License-Identifier: MIT */
/*
 * From a bundle to a slot, chunk by chunk:
 *
 *   1. chunks that the target holds in their place are kept, chunks that the running
 *      slot holds in the same place are copied (looked for only where it can be so)
 *   2. for the rest plan.h chooses the layout with the fewest bytes to fetch
 *   3. one thread fetches, the others decode, hash and write; every flush_every bytes
 *      they flush, and read back what was flushed beside what goes on
 *
 * A chunk's SHA-256 is seen right before it is written, whatever it was made from. A
 * chunk that BLOCKS or BASE do not yield is fetched again from FULL, and one that came
 * wrong from a web server is fetched anew, a few times. Of an image by reference step 1
 * must find every chunk, in either place. Memory does not
 * depend on the payload's size, but for its index and, in a delta, that of its blocks.
 */
#pragma once

#include "bundle.h"
#include "disk.h"

enum engine_stage {
	STAGE_FETCH, STAGE_READ, STAGE_DECODE, STAGE_HASH, STAGE_WRITE, STAGE_SYNC,
	STAGE_CHECK, STAGE_COUNT
};

/* Sums over all payloads. */
struct engine_stats {
	uint64_t size, done;		/* bytes of payloads: in all; dealt with */
	uint64_t kept, copied, rebuilt;	/* of them: in place; from the running slot; with
					 * help of what a slot holds */
	uint32_t wrong;			/* chunks that a delta did not yield */
	uint64_t ns[STAGE_COUNT];	/* of all threads together; fetch is one */
};

/* What a place on this machine holds now. */
struct engine_held {
	const char *path;	/* block device or file; NULL: nothing to be found */
	uint64_t size;		/* bytes worth looking at */
	bool known;		/* sha256 is of the image in it */
	uint8_t sha256[32];
	bool cut_off;		/* target: an install into it did not end */
};
enum { HELD_RUNNING, HELD_TARGET, HELD_COUNT };

struct engine_options {
	unsigned threads;	/* that decode; 0: everything in one order, in this one */
	/* Bytes of an image after which it is flushed and read back while the rest is
	 * being made; 0: not before the caller's flush. */
	uint64_t flush_every;
	const volatile int *cancel;
	int (*begin)(void *ctx, struct err *err);	/* before the first byte is written */
	/* Before bytes of frames are fetched: so many. May refuse. */
	int (*planned)(void *ctx, uint64_t bytes, struct err *err);
	void (*progress)(void *ctx, const struct engine_stats *stats);
	/* More is fetched than was planned: why. A layout of a delta cannot be used, or a chunk came
	 * wrong. */
	void (*warn)(void *ctx, const char *why);
	void *ctx;		/* of these four, which may be NULL */
};

struct engine_job {
	struct bundle *bundle;
	const struct payload *payload;
	const struct disk *disk;	/* for what is held */
	struct engine_held held[HELD_COUNT];
	/* len bytes at offset, a multiple of the chunk size; from several threads. */
	int (*write)(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err);
	/* Makes durable what was written; from any thread. NULL: there is no need to. */
	int (*flush)(void *ctx, struct err *err);
	void *write_ctx;		/* of both */
	/* Reads back the first and the last 4 KiB of each chunk, not all of it. */
	bool ends_only;

	/* engine_load() */
	struct chunkindex index;
	struct zipentry frames;
	/* engine_run() */
	uint8_t *how;			/* enum plan_how of each chunk */
	uint64_t *marks;		/* XXH3 of what is read back of each chunk written */
};

/* Reads and checks index and directory entry; nothing is written. EX_DATAERR, or as
 * source->read(). engine_clear() in every case. */
int engine_load(struct engine_job *job, struct err *err);
void engine_clear(struct engine_job *job);

/* Writes what the target does not hold; durable only after the caller's flush. Adds to
 * *stats. EX_DATAERR: a chunk is wrong; EX_TEMPFAIL: cancelled; as source->read(),
 * job->write, job->flush, options->begin and engine_check(). What was written before a
 * failure stays. */
int engine_run(struct engine_job *job, const struct engine_options *options,
	       struct engine_stats *stats, struct err *err);

/* After the flush: reads back what engine_run() wrote to path, past the page cache
 * where that can be done. Of what engine_run() has read back a part is read again, for
 * a medium on which a later write overwrites an earlier one (one that claims to be
 * larger than it is). EX_IOERR "reads back differently". */
int engine_check(const struct engine_job *job, const char *path,
		 const struct engine_options *options, struct engine_stats *stats,
		 struct err *err);
