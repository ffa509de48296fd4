/* SPDX-License-Identifier: MIT */
/*
 * The payloads of an install: the UKI goes through memory, so that it is checked as
 * a whole before anything is written; images go to their slots chunk by chunk.
 */
#pragma once

#include "engine.h"
#include "install.h"
#include "loader_file.h"
#include "slot_target.h"

struct install_payload {
	const struct payload *payload;
	struct engine *engine;		/* NULL: not prepared */
	int memory;			/* the whole of it, for the ESP; -1: an image, or not
					 * this slot's */
	struct slot_target target;	/* of an image, while there is an engine */
};

/* From install_run()'s choice of a slot to its end. */
struct install {
	struct machine *machine;
	const struct install_options *options;
	struct bundle *bundle;
	unsigned slot;			/* the one that is written */
	bool was_writing;		/* before this install */
	struct engine_options engine;
	struct engine_stats stats;
	uint64_t start;			/* monotonic, ns */
	struct loader_file loader;	/* that the bundle brings; data NULL: none */
	bool other_esp_told;		/* what is wrong with the other ESP */
	struct installed installed;	/* install_run()'s, once it is done */
	struct install_payload payloads[MANIFEST_MAX_PAYLOADS];	/* in the manifest's order */
};

/* Everything that can be found wrong with the payloads before the slot is touched: the
 * UKI's bytes; of each image the index and the first chunk; of a bundle at hand, or one
 * that is spooled, every chunk. EX_CONFIG: a target that is in use or not there;
 * EX_DATAERR; else as engine_prepare(). install_payloads_close() always. */
int install_payloads_prepare(struct install *in, struct err *err);
void install_payloads_close(struct install *in);

/* Writes an image, flushes, reads back. Errors as engine_write(), engine_check(). */
int install_payload_write(struct install *in, struct install_payload *p, struct err *err);

/* What was fetched and reused, and where the time went. */
void install_payloads_report(const struct install *in);

/* --- install_files.c: the slot's files on the ESP ------------------------------ */

/* Removes the slot's UKI, and what an install has put beside it: durable on 0. EX_IOERR. */
int install_files_remove(struct machine *machine, unsigned slot, struct err *err);

/* --- install_program.c: a program of the running system -------------------------- */

/* Runs the configuration's program, if there is one; phase: "before" or "after". EX_CONFIG: it
 * failed, or took too long; EX_TEMPFAIL: a signal came, and it was ended. */
int install_program(struct install *in, const char *phase, struct err *err);

/* --- install_loader.c: a loader that the bundle brings ------------------------ */

/* Reads and checks it, before the slot is touched. EX_DATAERR. */
int install_loader_prepare(struct install *in, struct err *err);

/* Puts it on trial, once the slot is complete. What keeps it from that is a warning: no
 * update fails for its loader. */
void install_loader(struct install *in);

/* --- install.c: the parts of an install that a first one has, too ------------- */

/* Step 2: what can be found wrong before the slot is touched. Errors as of
 * install_payloads_prepare() and install_check.h; install_payloads_close() always. */
int install_prepare(struct install *in, struct err *err);

/* Step 4: the images; then the addon, the UKI, its index and the signed manifest. Flushed and read
 * back. The caller has seen to it that nothing starts the slot meanwhile. */
int install_write_images(struct install *in, struct err *err);
int install_write_uki(struct install *in, struct err *err);

/* What the record says of a slot that was installed now. */
void install_describe(const struct payload *uki, struct slot *slot);
