/* SPDX-License-Identifier: MIT */
/*
 * The payloads of an install: the UKI goes through memory, so that it is checked as
 * a whole before anything is written; images go to their slots chunk by chunk.
 */
#pragma once

#include "engine.h"
#include "install.h"

struct installwork {
	struct machine *machine;
	const struct install_options *options;
	struct bundle *bundle;
	unsigned slot;			/* the one that is written */
	bool was_writing;		/* before this install */
	/* Before the first byte of an image is written; called again it does nothing. */
	int (*begin)(struct installwork *work, struct err *err);
	bool begun;
	int uki;			/* memory file, or -1 */
	struct engine_job *image;	/* being written, to a slotdev; NULL: none is */
	uint64_t start;
	struct engine_stats stats;
	struct engine_job jobs[MANIFEST_MAX_PAYLOADS];
	struct manifest *held[SLOT_COUNT];	/* what the slots hold; NULL: not known */
};

/* Everything that can be found wrong with the payloads before the slot is touched:
 * the UKI's bytes, where the bundle's entries can be had in any order every index, and
 * where it is a file every chunk.
 * EX_DATAERR, or as engine_load() and engine_run(). installwork_close() always. */
int installwork_open(struct installwork *work, struct err *err);
void installwork_close(struct installwork *work);

/* Of a payload of the bundle's manifest. */
struct engine_job *installwork_job(struct installwork *work, const struct payload *payload);

/* Writes an image, flushes, reads back. Errors as engine_run(), engine_check(). */
int installwork_image(struct installwork *work, const struct payload *payload,
		      struct err *err);

/* What was fetched and reused, and where the time went. */
void installwork_report(const struct installwork *work);
