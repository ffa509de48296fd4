/* SPDX-License-Identifier: MIT */
/*
 * One check of the machine's health: a program, run to its end or to its time limit, in a
 * process group of its own, which is killed with it. It gets the caller's environment and
 * nothing to read; what it prints, to either output, is handed on line by line.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define HEALTH_LINE_BYTES 256

/* Time as the checks see it; a test has another. */
struct health_clock {
	int64_t (*now_ms)(void *ctx);
	/* As poll(2); with no descriptors a pause. */
	int (*poll)(void *ctx, struct pollfd *fds, nfds_t count, int ms);
	void *ctx;
};
extern const struct health_clock health_clock_posix;	/* CLOCK_BOOTTIME and poll() */

/* line: filtered (out_clean()), cut at HEALTH_LINE_BYTES, never empty. */
typedef void health_line(void *ctx, const char *line);

/* argv[0] is a path. True: it ended with status 0 within limit_ms. Else how gets
 * HEALTH_LINE_BYTES: "status 1", "signal 11", "no end within 60 s", "failed to run: ...". */
bool health_program_run(const struct health_clock *clock, const char *const argv[],
			int64_t limit_ms, health_line *on_line, void *ctx,
			char how[HEALTH_LINE_BYTES]);
