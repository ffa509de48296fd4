/* SPDX-License-Identifier: MIT */
/* What slotctl status says where the firmware starts the slots itself (direct.h): why this one
 * runs, what is to be tried next, and how much of a trial's end can be told. */
#pragma once

#include "machine.h"

#include <stddef.h>

/* Whether this boot was one without the loader, as the configuration has it: else
 * slot_words_why() explains it. */
bool status_direct_is(const struct machine *machine);

/* One or more sentences into out (cut at cap). */
void status_direct_why(const struct machine *machine, char *out, size_t cap);

/* "waiting", "ignored", "missing": of the slot that is to be tried; NULL: none is. */
const char *status_direct_next(const struct machine *machine);
