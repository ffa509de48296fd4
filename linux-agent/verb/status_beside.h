/* SPDX-License-Identifier: MIT */
/* For status: what lies beside a slot's UKI, held against the manifest that is kept with it.
 * Names and sizes only; kexec looks at digests. */
#pragma once

#include "machine.h"

#include <jansson.h>

/* An array of { "name", "state" }. NULL: no memory. */
json_t *status_beside_json(const struct machine *machine, unsigned slot);

/* A line "beside", or none where nothing lies there. */
void status_beside_print(const struct machine *machine, unsigned slot);
