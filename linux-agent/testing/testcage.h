/* SPDX-License-Identifier: MIT */
/* For tests: whether there can be a cage here. qemu-user has no seccomp. */
#pragma once

#include "child.h"

#include <stdio.h>
#include <string.h>

static inline void testcage_try(void *ctx, int channel, uint8_t *area)
{
	(void)ctx, (void)area;
	(void)child_enter(channel, CAGE_COMPUTE);
}

static inline bool testcage_is_there(void)
{
	const struct child_job job = { .run = testcage_try, .keep = -1 };
	char lack[CAGE_LACK_BYTES] = "";
	struct child child;
	struct err err;
	bool is;

	is = child_start(&child, &job, &err) == 0 && child_greeted(&child, "it", lack, &err) == 0 &&
	     !strstr(lack, "no system call filter: Invalid argument");
	child_stop(&child);
	if (!is)
		printf("left out: the kernel has no system call filters\n");
	return is;
}
