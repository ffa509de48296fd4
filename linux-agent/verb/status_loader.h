/* SPDX-License-Identifier: MIT */
/* What slotctl status says of the loader's files. */
#pragma once

#include "machine.h"

#include <jansson.h>

/* The file that the boot entry starts, and what became of a new one: a new reference, or
 * NULL. */
json_t *status_loader_json(const struct machine *machine);
void status_loader_print(const struct machine *machine);
