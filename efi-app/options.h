/* SPDX-License-Identifier: MIT */
/*
 * What a slot's UKI is told in LoadOptions, so that the slots have command lines of their
 * own. A UKI with a profile for the slot: "@N" and nothing else, which systemd-stub takes
 * under Secure Boot too (profile.h). One with `{slot}` in its .cmdline: that with the slot
 * filled in, which systemd-stub takes in place of .cmdline, except under Secure Boot. */
#pragma once

#include "loader.h"

/* child is loaded and not yet started. Where there is neither, or `{slot}` cannot be
 * filled in (not UTF-8, longer than CMDLINE_MAX), its LoadOptions stay as they are and
 * NULL comes back. Otherwise they point to what is returned: the caller's to free with
 * FreePool once the child is gone. */
CHAR16 *options_fill(struct loader *l, EFI_LOADED_IMAGE *child, unsigned slot);
