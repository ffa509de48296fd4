/* SPDX-License-Identifier: MIT */
/* Whether systemd-stub takes a file for an addon of a UKI, as it does before it looks at the
 * signature. */
#pragma once

#include "ukifile.h"

/* Why it would pass it over, in words, or NULL. uname: the UKI's .uname, or "". */
const char *addon_unfit(const struct ukifile *addon, const char *uname);
