/* SPDX-License-Identifier: MIT */
/* Whether the firmware takes variables while Linux runs (UEFI 2.10, 4.6.2: EFI_RT_PROPERTIES_TABLE). U-Boot,
 * for one, does not. */
#pragma once

#include <stdbool.h>

/* The kernel then makes efivarfs read-only, however it is mounted. What somebody else made read-only shows in the
 * mount, too, and tells nothing of the firmware: false. sysroot: in front of /proc; path: where efivarfs is
 * mounted, with or without a slash behind it. */
bool vars_mount_is_closed(const char *sysroot, const char *path);
