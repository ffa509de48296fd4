/* SPDX-License-Identifier: MIT */
/* The events that go to the journal with a MESSAGE_ID (systemd.h), in words. */
#pragma once

#include "machine.h"

/* The slot that does not run was installed. */
void events_installed(const struct machine *machine, unsigned slot);
/* The running slot was confirmed, if it was not when the record was as before. */
void events_confirmed(const struct machine *machine, const struct record *before);
/* The running slot failed its health check: "50-gateway: status 1". */
void events_unhealthy(const struct machine *machine, const char *words);
/* The slot that does not run has failed; words may be "". */
void events_fell_back(const struct machine *machine, const char *words);
