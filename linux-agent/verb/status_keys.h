/* SPDX-License-Identifier: MIT */
/* What slotctl status says of the updates of KEK, db and dbx that bundles have brought. */
#pragma once

#include "machine.h"

#include <jansson.h>

/* A new reference, or NULL. */
json_t *status_keys_json(const struct machine *machine);
/* A line for each; none where there is none. */
void status_keys_print(const struct machine *machine);
