/* SPDX-License-Identifier: MIT */
/*
 * Will kexec_file_load(2) take this UKI's kernel, and if not, why? Foretold from
 * what the running kernel shows under /proc and /sys and from the kernel image
 * itself: nothing is called that loads, counts against kernel.kexec_load_limit_*
 * or changes anything. The same checks turn the errno of a call that failed into
 * its cause.
 *
 * One const table of checks (preflight.c) in the order in which the kernel would
 * refuse; each is a function of a context and gives a verdict, the evidence for it
 * and, unless it passes, the fix. "Unknown" always says what could not be seen.
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
	const char *check;		/* a word, of the table */
	enum preflight_verdict verdict;
	int error;			/* the errno it gives or would give; 0: none */
	int exit;			/* sysexits.h, for the one that fails */
	char evidence[1024];
	char fix[400];			/* "" where it passes */
};

#define PREFLIGHT_MAX 16

struct preflight {
	enum preflight_verdict verdict;	/* the worst of them */
	unsigned count;
	struct preflight_finding findings[PREFLIGHT_MAX];
};

struct preflight_input {
	const char *sysroot;		/* put before /proc, /sys, /boot and /etc; "" */
	const struct ukifile *uki;
	const char *cmdline;		/* as it will be handed over, our words included */
	uint64_t initrd_size;		/* bytes; 0: none */
	bool pinned;			/* slotboot.conf names files for kernel and initrd */
	int secure_boot;		/* the firmware enforces it: 1; 0: no; -1: not known */
	/* Serial numbers of the keys in a keyring, at most count; their number, or -1.
	 * NULL: keyrings cannot be read. */
	long (*keyring_read)(int32_t keyring, int32_t *keys, unsigned count);
};

/* Asks the running kernel by keyctl(2), which reads and changes nothing. */
long preflight_keyring_read(int32_t keyring, int32_t *keys, unsigned count);

/* Every check; never fails. */
void preflight_run(const struct preflight_input *input, struct preflight *ret_preflight);

/* The finding that decides: the first that fails, else the first unknown; NULL if
 * all pass. */
const struct preflight_finding *preflight_worst(const struct preflight *preflight);

/* Why kexec_file_load(2) failed with error: the first check that fails so, or, where
 * none does, the first that is unknown and would. -1 with err filled in; 0, and err
 * untouched, where no check knows. */
int preflight_error(const struct preflight_input *input, int error, struct err *err);

/* "will work", "will not work", "cannot be foretold" */
const char *preflight_verdict_text(enum preflight_verdict verdict);
