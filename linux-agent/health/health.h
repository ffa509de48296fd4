/* SPDX-License-Identifier: MIT */
/*
 * Is this machine well? All of these must hold, and stay so for health-settle seconds,
 * within health-deadline seconds:
 *
 *   1. each program of health.d (dropins.h) ends with status 0 within health-timeout;
 *   2. where systemd runs: no unit has failed, but for those of health-ignore;
 *   3. where systemd runs: each unit of health-units is active.
 *
 * They are asked round after round, in this order, up to the first that does not hold.
 */
#pragma once

#include "program.h"
#include "config.h"

#define HEALTH_CHECK_BYTES 256

/* What did not hold. */
struct health_finding {
	char check[HEALTH_CHECK_BYTES];	/* "50-gateway", "unit nginx.service" */
	char how[PROGRAM_LINE_BYTES];	/* "status 1", "failed" */
	char line[PROGRAM_LINE_BYTES];	/* the last line of its output; "": there was none */
};

/* What the rounds find: called when that changes. NULL: all holds now. */
typedef void health_found(void *ctx, const struct health_finding *finding);

/* True: well. False: it is not, or was not for long enough; ret_finding is what stood in
 * the way last. Ends at health-deadline, also where a check hangs. */
bool health_watch(const struct config *config, const struct program_clock *clock,
		  health_found *on_change, void *ctx, struct health_finding *ret_finding);

/* For a slot whose checks were never reached: the first unit that has failed, or that the
 * boot did not come to its end in time. */
void health_blame(const struct config *config, const struct program_clock *clock,
		  struct health_finding *ret_finding);
