/* SPDX-License-Identifier: MIT */
/* What slotctl status says of a kexec: whether it is the one that was meant, and
 * how long the last one took beside the last reboot. */
#pragma once

#include "machine.h"

#include <jansson.h>

/* A new reference, JSON null after a firmware boot; NULL when memory is short. */
json_t *status_kexec_json(const struct machine *machine);
/* { "kexec": { "slot": "b", "leave": 2500, ... }, "reboot": ... }, in milliseconds. */
json_t *status_timing_json(const struct machine *machine);

/* The same as lines; none where there is nothing to say. */
void status_kexec_print(const struct machine *machine);
