/* SPDX-License-Identifier: MIT */
/*
 * The raw jump into a staged kernel, where no init system does it. In this order:
 *
 *   1. everything is flushed, while what lies behind a network is still there
 *   2. every file system on a block device that is writable is remounted read-only,
 *      the last mounted first, so that its journal or FAT is clean
 *   3. every interface but lo goes down: a card left running writes into the memory
 *      of the new kernel
 *   4. reboot(LINUX_REBOOT_CMD_KEXEC); the kernel stops devices and other CPUs
 *
 * What fails in 1 to 3 is reported and passed over: the new kernel replays a journal
 * as after a power cut. If 4 returns, what step 2 took away is given back, so that the
 * caller can put the record right before it reboots through the firmware.
 */
#pragma once

#include "err.h"

#include <net/if.h>
#include <stdbool.h>

/* All return 0, or -1 with errno. */
struct jump_ops {
	void *ctx;
	const char *mountinfo;			/* "/proc/self/mountinfo" */
	void (*flush)(void *ctx);
	int (*remount)(void *ctx, const char *where, bool read_only);
	/* The index-th interface's name, from 0; -1: there are no more. */
	int (*interface_at)(void *ctx, unsigned index, char ret_name[IFNAMSIZ]);
	int (*interface_down)(void *ctx, const char *name);
	int (*kexec)(void *ctx);		/* returns only on failure */
	void (*say)(void *ctx, const char *text);
};

extern const struct jump_ops jump_posix;

/* Returns only on failure: EX_UNAVAILABLE, and the machine is without network. */
int jump_run(const struct jump_ops *ops, struct err *err);
