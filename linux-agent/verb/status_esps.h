/* SPDX-License-Identifier: MIT */
/* What status says where two ESPs are configured; nothing where there is one. */
#pragma once

#include "machine.h"

#include <jansson.h>

/* A new reference: null where one is configured. */
json_t *status_esps_json(const struct machine *machine);
void status_esps_print(const struct machine *machine);
