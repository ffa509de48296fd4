/* SPDX-License-Identifier: MIT */
/* Device paths: which GPT partition one leads to, and that of a file on it. */
#pragma once

#include "loader.h"

/* The partition's GUID (16 bytes within path); NULL: none, as over the network, on optical
 * discs and with an MBR. */
const uint8_t *devicepath_guid(const EFI_DEVICE_PATH *path);

/* The device's path, then the file's, from AllocatePool. size: bytes of name with its NUL. */
EFI_STATUS devicepath_of_file(const struct loader *l, const EFI_DEVICE_PATH *device,
			      const CHAR16 *name, size_t size, EFI_DEVICE_PATH **ret_path);
