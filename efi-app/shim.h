/* SPDX-License-Identifier: MIT */
/*
 * Images that shim vouches for (github.com/rhboot/shim): those whose signer is one of the
 * machine's owner (MOK) or shim's own. From version 16 on shim stands in for the firmware's
 * LoadImage and StartImage, and there is nothing to do. Before it, whoever wants to load such
 * an image asks shim for its word and has the firmware take it.
 */
#pragma once

#include "loader.h"

/* As EFI_BOOT_SERVICES.LoadImage (UEFI 2.10, 7.4.1), with shim's word where it has one to give.
 * What must not be started is unloaded already. */
EFI_STATUS shim_load(struct loader *l, EFI_DEVICE_PATH *path, void *data, UINTN size,
		     EFI_HANDLE *ret_image);

/* True if no other image can be had in this boot: shim was asked, and an image that was started
 * came back without an error, after which shims before 16 are not there any more. */
bool shim_is_gone(struct loader *l);
