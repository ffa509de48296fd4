/* SPDX-License-Identifier: MIT */
/* Why this machine runs this slot, in words: from the record, the loader's
 * trace, and how the running kernel was started. Pure. */
#pragma once

#include "running.h"
#include "state.h"

#include <stddef.h>

/* One or more sentences into out (cut at cap). trace is NULL where the loader
 * left none. After a kexec neither it nor anything else from the firmware is
 * looked at. */
void slot_words_why(const struct state *state, const struct trace *trace,
		    const struct running *running, char *out, size_t cap);

/* "itco, 120 s, for trials; armed in this boot". trace is NULL where the loader left
 * none, or after a kexec; identity is what Linux drives now, "" for nothing. */
void slot_words_watchdog(const struct record *record, const struct trace *trace,
			 const char *identity, char *out, size_t cap);

/* "bad: all its tries were spent without mark-good", "trial, 2 of 3 tries left". */
void slot_words_of(const struct slot *slot, char *out, size_t cap);
