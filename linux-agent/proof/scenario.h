/* SPDX-License-Identifier: MIT */
/* The scenarios and fault modes of the crash simulator. */
#pragma once

#include "sim.h"

enum { SCENARIO_STEPS = 16 };

struct scenario {
	const char *name;
	bool device;		/* slot targets are block devices, not files */
	uint8_t good_limit;
	int broken;		/* version that gives control back, + 1; 0: none */
	int hangs;		/* version that hangs, + 1; 0: none */
	bool duplicates;	/* each of our boot entries is there twice */
	bool squatted;		/* SlotState has other attributes, and cannot go */
	bool foreign;		/* SlotState is another disk's */
	bool two;		/* ESPs; the other one is empty at first */
	bool direct;		/* no loader at all; slot a has an entry at first */
	bool loader;		/* it is a file, in both places; boots by \EFI\BOOT at first */
	int loader_broken;	/* version of it that gives up at once, + 1; 0: none */
	bool next_ignored;	/* the firmware does not look at BootNext */
	bool keys;		/* Secure Boot is on */
	unsigned setup;		/* steps at the beginning that are not cut */
	unsigned count;
	struct step steps[SCENARIO_STEPS];
};
extern const struct scenario scenarios[];
extern const unsigned scenario_count;

enum after {
	AFTER_NOTHING,
	AFTER_LOSE_VAR,		/* the variable is gone when the power is back */
	AFTER_FLIP_VAR, AFTER_FLIP_MIRROR, AFTER_FLIP_UKI,
	AFTER_REFUSE,		/* the slot that should start now does not load */
	AFTER_LOSE_ALL,		/* variable and both copies of the mirror */
	AFTER_FLIP_ALL,		/* every UKI */
	AFTER_FORGE,		/* a mirror far ahead of a valid variable */
	AFTER_STICK,		/* a boot from another disk in between */
	AFTER_FALL_BACK,	/* the variable is what it was before the step */
	AFTER_REIMAGE,		/* the disk is a new one, the variables stay */
	AFTER_PULL_FIRST,	/* of two ESPs, the one at hand is lost, if the other one counts */
	AFTER_PULL_FIRST_VAR,	/* ... and the variable */
	AFTER_PULL_OTHER,	/* the other one is lost, until all is done */
	AFTER_OTHER,		/* the firmware starts the other one's loader */
};

struct mode {
	const char *name;
	enum fault_mode fault;
	enum fault_store store;
	enum after after;
	bool no_mirror;		/* state.bin cannot be written while the step runs */
	bool has_state;		/* AFTER_REIMAGE: its image has a state.bin, as that of provision has */
	bool twice;		/* and a second cut while recovering */
};
extern const struct mode modes[];
extern const unsigned mode_count;

/* Whether the mode is of use in the scenario: without the loader nothing counts at boot, nor looks at digests,
 * nor holds the record against another disk's. */
bool mode_fits(const struct mode *mode, const struct scenario *scenario);

/* writes.c: variables written in one cycle of an update, held against what is documented. */
void writes_check(void);

/* The machine's disk, new, and nothing else. */
void scenario_disk(bool device, bool loader, struct world *ret_world);
/* The machine before the first step: slot a holds version 0, no record. */
void scenario_begin(const struct scenario *scenario, struct world *ret_world);
