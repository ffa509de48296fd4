/* SPDX-License-Identifier: MIT */
/*
 * What slotctl says while it works: a progress bar on a terminal, plain lines
 * elsewhere, JSON lines with --json. To standard output; errors are main()'s.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stdint.h>

struct report {
	bool json;
	bool terminal;
	bool service;		/* systemd started it, and shows its status */
	char step[64];
	uint64_t shown_ms;	/* when the bar was last drawn */
	bool full;		/* it was full then */
	uint64_t begun_ms, begun_done;	/* of the step: its first progress; 0: none yet */
	uint64_t fetched, reused;	/* report_amounts() */
};

/* Whether fd is the journal's, as systemd.exec(5) has JOURNAL_STREAM: then a line may
 * begin with its priority (sd-daemon(3)). */
bool report_to_journal(int fd);

void report_init(struct report *report, bool json);

/* One line: "write slot b: rootfs (20971520 bytes)". step is a word for JSON. */
void report_step(struct report *report, const char *step, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A line within a step, which goes on, with numbers and words for JSON; the last one's name is
 * NULL. */
struct report_number {
	const char *name;
	uint64_t value;
	const char *word;	/* in its place; NULL: the number */
};
void report_numbers(struct report *report, const char *event, const struct report_number *numbers,
		    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Bytes fetched and reused so far, for the progress that is shown from now on. */
void report_amounts(struct report *report, uint64_t fetched, uint64_t reused);

/* Progress within the step, with its rate and the time left, at most ten times a
 * second; total 0: unknown. */
void report_progress(struct report *report, uint64_t done, uint64_t total);

/* "warning: ..." */
void report_warning(struct report *report, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same as a callback, with the report as its context. */
void report_on_warning(void *report, const char *what);
