/* SPDX-License-Identifier: MIT */
/* Whether systemd-stub hands over what a bundle puts beside its UKI, as what it is. */
#pragma once

#include "manifest.h"
#include "ukifile.h"

/* EX_DATAERR: a confext, and the stub in the UKI would take it for a sysext. Addons:
 * slot_cmdline.h. */
int beside_fit_check(const struct manifest *manifest, const struct ukifile *uki,
		     struct err *err);
