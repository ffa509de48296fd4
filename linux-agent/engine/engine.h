/* SPDX-License-Identifier: MIT */
/*
 * Writes an image from a bundle to a slot, chunk by chunk. engine_prepare() writes nothing:
 *
 *   1. Chunks that the target holds in place are kept; chunks that the running slot holds
 *      at the same position are copied. They are looked for only if there is a chance.
 *   2. For the others, plan.h chooses the layout with the fewest bytes to fetch.
 *   3. The first of these is fetched and made, or all of them (verify), so that a bundle
 *      that is wrong from the start is found here.
 *
 * engine_write() continues from there: one thread fetches; the others decode, hash and
 * write. Every flush_every bytes, what was written is flushed and then read back while the
 * work continues. engine_check() reads back the rest.
 *
 * A chunk's SHA-256 is checked right before it is written, whatever it was made from. A
 * chunk that cannot be made from BLOCKS, BASE or the running slot is fetched from FULL; one
 * that arrives wrong from a web server is fetched again, a few times. For an image by
 * reference, step 1 must find every chunk in one of the two places. Memory does not depend
 * on the size of the payload, except for its index and, with a delta, the blocks' index.
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
	uint64_t size, done;		/* bytes of payloads: total; processed */
	uint64_t kept, copied, rebuilt;	/* of them: kept in place; copied from the running slot;
					 * what a slot gave to chunks of which the rest was fetched */
	uint32_t wrong;			/* chunks that a delta failed to make */
	uint64_t ns[STAGE_COUNT];	/* summed over all threads; one thread fetches */
};

/* What a place on this machine holds now. */
struct engine_held {
	const char *path;	/* block device or file; NULL: it holds nothing */
	uint64_t size;		/* bytes worth reading */
	bool known;		/* sha256 is that of its image */
	uint8_t sha256[32];
	bool cut_off;		/* target: an install into it was interrupted */
};
enum { HELD_RUNNING, HELD_TARGET, HELD_COUNT };

struct engine_options {
	unsigned threads;	/* decoding threads; 0: do everything in sequence, in the calling
				 * thread */
	/* Flush and read back whenever this many bytes of an image were written, while the rest is
	 * being made; 0: leave the flush to the caller. */
	uint64_t flush_every;
	const volatile int *cancel;
	/* Called before frames of a payload are fetched: the bytes and requests it will take if
	 * nothing arrives wrong. May refuse. */
	int (*planned)(void *ctx, const struct payload *payload, const struct plan_sum *sum,
		       struct err *err);
	/* Called while chunks are written; during verify, with the sums of this payload alone. */
	void (*progress)(void *ctx, const struct engine_stats *stats);
	/* Called with the reason when more is fetched than planned: a layout of a delta cannot be
	 * used, or a chunk arrived wrong. */
	void (*warn)(void *ctx, const char *why);
	/* Called once, with what SANDBOX_AUTO could not provide. */
	void (*lacking)(void *ctx, const char *what);
	void *ctx;		/* for these four, each of which may be NULL */
	enum sandbox sandbox;	/* for decompression: unpack.h */
	struct unpackers *unpackers;	/* likewise; outlives the engine; may be NULL */
};

struct engine_job {
	struct bundle *bundle;
	const struct payload *payload;
	const struct disk *disk;	/* to read what is held */
	struct engine_held held[HELD_COUNT];
	/* engine_prepare() makes every chunk once: from a bundle on this machine, each that it
	 * contains; otherwise each that is needed. */
	bool verify;
	/* Something else will be read from the bundle between engine_prepare() and engine_write(),
	 * so request no more than the first chunk. */
	bool waits;
};

struct engine_target {
	/* Writes len bytes at offset, a multiple of the chunk size. Called from several threads. */
	int (*write)(void *ctx, const void *data, size_t len, uint64_t offset, struct err *err);
	/* Makes the writes durable. Called from any thread. NULL: not needed. */
	int (*flush)(void *ctx, struct err *err);
	void *ctx;		/* for both */
	const char *path;	/* to read back from; NULL: do not read back during the work */
	/* Read back the first and last 4 KiB of each chunk instead of all of it. */
	bool ends_only;
};

struct engine;

/* Steps 1 to 3. What job, options and stats point to must outlive the engine; the caller closes it.
 * Adds to *stats. EX_DATAERR: a chunk or an index is wrong, or an image by reference is not here;
 * EX_TEMPFAIL: cancelled; errors of source->read() and options->planned(). */
int engine_prepare(const struct engine_job *job, const struct engine_options *options,
		   struct engine_stats *stats, struct engine **ret_engine, struct err *err);
void engine_close(struct engine *engine);	/* NULL is accepted */

/* Valid until engine_close(). */
const struct chunkindex *engine_index(const struct engine *engine);

/* Call once. Writes what the target does not hold; it is durable only after the caller's flush.
 * Adds to the stats. Errors as for engine_prepare(), target->write(), target->flush() and
 * engine_check(). What was written before a failure stays. target must outlive engine_check(). */
int engine_write(struct engine *engine, const struct engine_target *target, struct err *err);

/* Call after the flush. Reads back from target->path what engine_write() wrote, past the page cache
 * where possible. Of the chunks that engine_write() has read back, a sample is read again, to
 * detect a medium smaller than it claims, where a later write overwrites an earlier one. EX_IOERR
 * "reads back differently". */
int engine_check(struct engine *engine, struct err *err);
