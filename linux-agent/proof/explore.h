/* SPDX-License-Identifier: MIT */
/*
 * Cutting one step of a scenario everywhere, and what must hold in each world
 * that may be left: the loader runs, then the agent repeats the step.
 */
#pragma once

#include "scenario.h"

struct budget {
	unsigned all_up_to;	/* every combination where there are at most so many */
	unsigned samples;	/* else as many at random */
	unsigned second_samples;	/* of the worlds left by a second cut */
	unsigned second_share;	/* of the distinct worlds every so manieth */
	unsigned second_stride;	/* every so many mutations of the recovery is cut */
};

struct totals {
	uint64_t states;	/* distinct worlds after a cut, each with its recovery */
	uint64_t cuts;		/* mutations at which something was cut or failed */
	uint64_t cases;		/* worlds after a cut, each booted and checked */
};
extern struct totals totals;

struct job {
	const struct scenario *scenario;
	const struct mode *mode;
	const struct step *step;
	const struct budget *budget;
	const struct world *before;
	uint64_t seed;
	/* of the run at hand */
	int result;		/* of the step */
	bool power_went;	/* while it ran */
	bool second;		/* this is after the second cut */
	uint8_t record[RECORD_BYTES];	/* what the step said was stored, if result is 0 */
};

/* after.c: what the mode has happen before the next boot. */
void after_cut(struct world *w, const struct job *job, uint64_t random);

/* Cuts the step at every mutation. */
void explore_step(struct job *job);

/* recover.c: boot, then the step again where it makes sense, until it is done. */
void recover(struct world *w, const struct job *job);
