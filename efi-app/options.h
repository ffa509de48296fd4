/* SPDX-License-Identifier: MIT */
/*
 * `{slot}` in a UKI's command line: LoadOptions with the slot filled in, which
 * systemd-stub takes in place of .cmdline, except under Secure Boot. */
#pragma once

#include "loader.h"

/* child is loaded and not yet started. Without `{slot}` in its .cmdline, or where
 * that cannot be filled in (not UTF-8, longer than CMDLINE_MAX), its LoadOptions
 * stay as they are and NULL comes back. Otherwise they point to what is returned:
 * the caller's to free with FreePool once the child is gone. */
CHAR16 *options_fill(struct loader *l, EFI_LOADED_IMAGE *child, unsigned slot);
