/* SPDX-License-Identifier: MIT */
/*
 * A program of this system that slotctl runs for somebody: to its end or to its time limit, in a
 * process group of its own, which is killed with it. It gets nothing to read; what it prints,
 * to either output, is handed on line by line.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define PROGRAM_LINE_BYTES 256

/* Time as the caller sees it; a test has another. */
struct program_clock {
	int64_t (*now_ms)(void *ctx);
	/* As poll(2); with no descriptors a pause. */
	int (*poll)(void *ctx, struct pollfd *fds, nfds_t count, int ms);
	void *ctx;
};
extern const struct program_clock program_clock_posix;	/* CLOCK_BOOTTIME and poll() */

/* line: filtered (out_clean()), cut at PROGRAM_LINE_BYTES, never empty. */
typedef void program_line(void *ctx, const char *line);

struct program {
	const char *const *argv;	/* argv[0] is a path */
	const char *const *environment;	/* NULL: the caller's */
	int64_t limit_ms;
	program_line *on_line;		/* may be NULL */
	void *ctx;
	/* No new privileges, ever; no capability that reaches past files and processes
	 * (program.c has the list), no open file but its output, no core dump, / for its
	 * directory, and it dies with the caller. It stays the user it is. */
	bool confined;
	const volatile int *cancel;	/* looked at twice a second; may be NULL */
};

/* True: it ended with status 0 within the limit. Else how gets PROGRAM_LINE_BYTES:
 * "status 1", "signal 11", "no end within 60 s", "cancelled by a signal", "failed to run: ...". */
bool program_run(const struct program_clock *clock, const struct program *program,
		 char how[PROGRAM_LINE_BYTES]);
