/* SPDX-License-Identifier: MIT */
/* For status: what lies beside a slot's UKI, and the slot's files below files=, held against the
 * manifest that is kept with it. Names and sizes only; kexec looks at digests of what lies beside. */
#pragma once

#include "machine.h"

#include <jansson.h>

/* An array of { "name", "state" }: beside, or else of the files. NULL: no memory. */
json_t *status_beside_json(const struct machine *machine, unsigned slot, bool beside);

/* A line "beside" and a line "files"; neither where there is nothing. */
void status_beside_print(const struct machine *machine, unsigned slot);
