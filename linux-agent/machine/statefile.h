/* SPDX-License-Identifier: MIT */
/* The agent's side of shared/state.h: the variable through struct vars, the
 * mirror in EFI/slotboot/state.bin, overwritten in place and flushed. */
#pragma once

#include "disk.h"
#include "state.h"
#include "vars.h"

struct statefile {
	const struct vars *vars;
	const struct disk *disk;
	char *mirror;		/* path of state.bin */
	bool closed;		/* the firmware takes no variables while Linux runs (vars_mount.h): the mirror
				 * alone has what the agent stores */
	struct err why;		/* of the last failure, for the message */
};

/* Uses file, which must stay where it is, as the context. */
struct state_ops statefile_ops(struct statefile *file);
