/* SPDX-License-Identifier: MIT */
#pragma once

#include "bundle_create.h"

/* The updates of the firmware's keys that a bundle is to have: each must be signed for appending to
 * its variable (auth_signature.h). Warns of one of dbx that has the bundle's own UKI, addon or loader
 * refused: it would wait as long as these are in a slot, and be removed with them. EX_DATAERR,
 * EX_NOINPUT, EX_SOFTWARE. */
int bundle_keys_check(const struct bundle_create_options *options, struct err *err);
