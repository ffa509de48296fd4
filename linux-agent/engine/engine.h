/* SPDX-License-Identifier: MIT */
/*
 * From a bundle to a slot, chunk by chunk. engine_prepare() writes nothing:
 *
 *   1. chunks that the target holds in their place are kept, chunks that the running
 *      slot holds in the same place are copied (looked for only where it can be so)
 *   2. for the rest plan.h chooses the layout with the fewest bytes to fetch
 *   3. the first chunk is fetched and made, or every chunk (verify): a bundle that is
 *      wrong from the start is found here
 *
 * engine_write() goes on from there: one thread fetches, the others decode, hash and
 * write; every flush_every bytes they flush, and read back what was flushed beside what
 * goes on. engine_check() reads back the rest.
 *
 * A chunk's SHA-256 is seen right before it is written, whatever it was made from. A
 * chunk that BLOCKS, BASE or the running slot do not yield is fetched from FULL, and one
 * that came wrong from a web server is fetched anew, a few times. Of an image by reference
 * step 1 must find every chunk, in either place. Memory does not
 * depend on the payload's size, but for its index and, in a delta, that of its blocks.
 */
#pragma once

#include "bundle.h"
#include "cage.h"
#include "disk.h"
#include "plan.h"

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
	/* Before bytes of frames are fetched: so many of a payload, in so many requests, if what
	 * comes is right. May refuse. */
	int (*planned)(void *ctx, const struct payload *payload, const struct plan_sum *sum,
		       struct err *err);
	/* While chunks are written; of verify with the payload's own sums. */
	void (*progress)(void *ctx, const struct engine_stats *stats);
	/* More is fetched than was planned: why. A layout of a delta cannot be used, or a chunk came
	 * wrong. */
	void (*warn)(void *ctx, const char *why);
	/* What the sandbox of SANDBOX_AUTO lacks; once. */
	void (*lacking)(void *ctx, const char *what);
	void *ctx;		/* of these four, which may be NULL */
	enum sandbox sandbox;	/* of what unpacks: unpack.h */
	struct unpackers *unpackers;	/* the same; outlives the engine; may be NULL */
};

struct engine_job {
	struct bundle *bundle;
	const struct payload *payload;
	const struct disk *disk;	/* for what is held */
	struct engine_held held[HELD_COUNT];
	/* Every chunk is made once by engine_prepare(): of a bundle on this machine each that
	 * it has, of another each that is needed. */
	bool verify;
	/* Something else is read from the bundle between engine_prepare() and engine_write(): no more
	 * than the first chunk is asked for. */
	bool waits;
};

struct engine_target {
	/* len bytes at offset, a multiple of the chunk size; from several threads. */
	int (*write)(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err);
	/* Makes durable what was written; from any thread. NULL: there is no need to. */
	int (*flush)(void *ctx, struct err *err);
	void *ctx;		/* of both */
	const char *path;	/* to read back from; NULL: not beside the work */
	/* Reads back the first and the last 4 KiB of each chunk, not all of it. */
	bool ends_only;
};

struct engine;

/* Steps 1 to 3. What job, options and stats point to outlives the engine, which the caller
 * closes. Adds to *stats. EX_DATAERR: a chunk or an index is wrong, or an image by
 * reference is not here; EX_TEMPFAIL: cancelled; as source->read() and options->planned. */
int engine_prepare(const struct engine_job *job, const struct engine_options *options,
		   struct engine_stats *stats, struct engine **ret_engine, struct err *err);
void engine_close(struct engine *engine);	/* NULL is accepted */

/* Valid until engine_close(). */
const struct chunkindex *engine_index(const struct engine *engine);

/* Once. Writes what the target does not hold; durable only after the caller's flush. Adds to
 * the stats. Errors as engine_prepare(), target->write, target->flush and engine_check().
 * What was written before a failure stays. target outlives engine_check(). */
int engine_write(struct engine *engine, const struct engine_target *target, struct err *err);

/* After the flush: reads back what engine_write() wrote from target->path, past the page cache
 * where that can be done. Of what engine_write() has read back a part is read again, for
 * a medium on which a later write overwrites an earlier one (one that claims to be
 * larger than it is). EX_IOERR "reads back differently". */
int engine_check(struct engine *engine, struct err *err);
