/* SPDX-License-Identifier: MIT */
/*
 * The steps of an install, in this order:
 *
 *   1. the running slot is found, and must be confirmed; the other is the target
 *   2. the bundle: signature, compatible, version, sizes, every index; the UKI, its
 *      hashes, architecture and .linux; of each image the first chunk to be fetched.
 *      Nothing has been written until here
 *   3. the target becomes writing, durably; its direct boot entry inactive, which it is
 *      before the record says so where there is no loader
 *   4. images to the slot, each chunk after its hash proved right; the UKI and the
 *      manifest to the ESP; each flushed and read back
 *   5. boot entries and BootOrder
 *   6. the target becomes trial or kexec-trial, durably: only this changes what
 *      boots next, so it comes last. Without the loader 6 comes before 5, and BootNext last
 *   7. for kexec: the kernel is staged; if that fails, or the UKI is not fit for it
 *      (known before 5), the slot ends as for none
 *
 * Where the configuration names an install-program, it runs twice: with "before" between 2 and
 * 3, and with "after" between 4 and 5. If it fails, so does the install, there (install_program.c).
 *
 * What fails before 3 leaves every byte as it was; what fails after it leaves
 * the target in writing, which nothing starts, and all else as it was. The next
 * install of the same bundle keeps the chunks that are right already.
 *
 * The record is locked from 3 on until the target is writing, and from 5 on until the
 * end, each time read anew: a server that stalls keeps nobody from marking slots.
 */
#pragma once

#include "leave.h"
#include "machine.h"

#include <signal.h>

struct install_options {
	const char *where;		/* path or URL */
	enum activate activate;
	unsigned tries;			/* 0: the configuration's */
	bool allow_downgrade;
	bool verify_first;		/* of a web server: into config->spool, and verified there,
					 * before 3 */
	bool force;			/* kexec although the last ones failed */
	unsigned threads;		/* that decode; 0: none, all in one order */
	uint64_t flush_every;		/* as in engine.h */
	const volatile sig_atomic_t *cancel;
	volatile sig_atomic_t *begun;	/* set before 3: from now on cancel is looked at, and
					 * what is begun is left in order; may be NULL */
	struct report *report;
};

struct installed {
	unsigned slot;
	int64_t install_ms, stage_ms;	/* how long it took; LEDGER_UNKNOWN: not done */
};

/* 0: done, and for reboot and kexec ready to go: install_activate() is next. */
int install_run(struct machine *machine, const struct install_options *options,
		struct installed *ret_installed, struct err *err);

/* Leaves for the new slot, as the options say. A jump that does not happen makes
 * the slot what --activate=none leaves: complete, and not chosen. */
int install_activate(struct machine *machine, const struct install_options *options,
		     const struct installed *installed, struct err *err);
