/* SPDX-License-Identifier: MIT */
/*
 * A process that gives up its rights for good, before it reads what strangers say: no new
 * privileges, no capabilities, another user, small limits, no files (Landlock), and of the
 * system calls a list (seccomp).
 *
 *                  CAGE_COMPUTE   CAGE_FETCH                  CAGE_GATE
 *   memory, time   yes            yes                         yes
 *   its sockets    one            and those it is handed      and of its own: Internet, Unix
 *   connect        no             no                          yes
 *   files          none           none                        reading, as its user may
 *   programs       none           none                        none
 *   processes      none, and no signal to any                 the same
 *
 * What is not on the list is answered with ENOSYS, as an older kernel would: libraries
 * then do without.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

enum cage {
	CAGE_COMPUTE,
	CAGE_FETCH,
	CAGE_GATE,
};

/* How much it matters: "sandbox" in slotboot.conf. */
enum sandbox {
	SANDBOX_NO,		/* no process of its own */
	SANDBOX_AUTO,		/* as much of the cage as this kernel and these rights give */
	SANDBOX_REQUIRE,	/* all of it, or nothing is read */
};

#define CAGE_LACK_BYTES 160

/* Before the fork: looks for the user, once. */
void cage_prepare(void);

/* For the calling process, which has one thread. 0, and what could not be had of the cage
 * ("no system call filter: ..."), "" if nothing; -1: not even privileges could be laid
 * down, EX_SOFTWARE. */
int cage_enter(enum cage cage, char ret_lack[static CAGE_LACK_BYTES], struct err *err);

/* What of the cage is lacking: with SANDBOX_REQUIRE that is an error, EX_CONFIG. */
int cage_judge(enum sandbox sandbox, const char *lack, struct err *err);

/* Whether a sanitizer watches this program, which then has limits and needs of its own. */
bool cage_is_sanitized(void);

/* --- cage_filter.c: the list of system calls; -1 with errno. --- */
int cage_filter(enum cage cage);
