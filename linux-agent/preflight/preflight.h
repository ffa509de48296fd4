/* SPDX-License-Identifier: MIT */
/*
 * Will kexec_file_load(2) accept this UKI's kernel, and if not, why? The prediction uses
 * what the running kernel shows under /proc and /sys, and the kernel image itself. It calls
 * nothing that loads, that counts against kernel.kexec_load_limit_*, or that changes
 * anything. After a failed call, the same checks turn its errno into a cause.
 *
 * preflight.c has one const table of checks, in the order in which the kernel would refuse.
 * Each check is a function of a context, and gives a verdict, the evidence for it and, unless
 * it passes, a fix. "Unknown" always says what could not be read.
 */
#pragma once

#include "err.h"
#include "ukifile.h"

#include <stdint.h>

enum preflight_verdict {
	PREFLIGHT_PASS,
	PREFLIGHT_UNKNOWN,
	PREFLIGHT_FAIL,
};

struct preflight_finding {
	const char *check;		/* the name of the check, one word */
	enum preflight_verdict verdict;
	int error;			/* the errno that kexec_file_load(2) gives; 0: none */
	int exit;			/* sysexits.h, if it fails */
	char evidence[1024];
	char fix[400];			/* "" if it passes */
};

#define PREFLIGHT_MAX 16

struct preflight {
	enum preflight_verdict verdict;	/* the worst of all */
	unsigned count;
	struct preflight_finding findings[PREFLIGHT_MAX];
};

struct preflight_input {
	const char *sysroot;		/* prefix of /proc, /sys, /boot and /etc; may be "" */
	const struct ukifile *uki;
	const char *cmdline;		/* complete, with the words that slotctl adds */
	uint64_t initrd_size;		/* bytes; 0: none */
	bool pinned;			/* slotboot.conf names the files of kernel and initrd */
	int secure_boot;		/* enforced by the firmware: 1; not: 0; unknown: -1 */
	/* Gets the serial numbers of at most count keys in a keyring, and returns how many; -1:
	 * error. NULL: keyrings cannot be read. */
	long (*keyring_read)(int32_t keyring, int32_t *keys, unsigned count);
};

/* Asks the running kernel with keyctl(2); changes nothing. */
long preflight_keyring_read(int32_t keyring, int32_t *keys, unsigned count);

/* Runs every check; never fails. */
void preflight_run(const struct preflight_input *input, struct preflight *ret_preflight);

/* The decisive finding: the first that fails, else the first that is unknown; NULL if all pass. */
const struct preflight_finding *preflight_worst(const struct preflight *preflight);

/* Finds out why kexec_file_load(2) failed with this error: from the first check that fails with it
 * or, if there is none, the first unknown one that could. Returns -1 with err filled in, or 0 with
 * err untouched if no check explains it. */
int preflight_error(const struct preflight_input *input, int error, struct err *err);

/* "will work", "will not work", "cannot be foretold" */
const char *preflight_verdict_text(enum preflight_verdict verdict);
