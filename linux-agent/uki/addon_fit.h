/* SPDX-License-Identifier: MIT */
/* Whether systemd-stub takes a file for an addon of a UKI, as it does before it looks at the
 * signature. */
#pragma once

#include "ukifile.h"

/* Of .uname, in the UKI and in the addon. */
#define ADDON_UNAME_MAX 4096

/* Why it would pass it over, in words, or NULL. uname: the UKI's .uname, or "". */
const char *addon_unfit(const struct ukifile *addon, const char *uname);
