/* SPDX-License-Identifier: MIT */
/*
 * The Boot Loader Interface (systemd.io/BOOT_LOADER_INTERFACE): volatile
 * variables from which bootctl and systemd-analyze read what the loader is and
 * did. A variable that cannot be set is left out: it is never a reason not to
 * boot.
 *
 *     LoaderInfo             slotboot 0.1
 *     LoaderImageIdentifier  \EFI\slotboot\slotbootx64.efi
 *     LoaderDevicePartUUID   of the ESP, lower case
 *     LoaderFeatures         0: none of the defined ones is there
 *     LoaderTimeInitUSec     when the loader was entered
 *     LoaderTimeExecUSec     when it was about to start the UKI
 *     LoaderEntrySelected    slotboot-a.efi or slotboot-b.efi
 */
#pragma once

#include "loader.h"

/* begin: ticks_read() at entry. Sets what is known before a slot is chosen, and
 * l->ticks_per_second. */
void bli_announce(struct loader *l, uint64_t begin);

/* Just before the slot's UKI is loaded. */
void bli_selected(struct loader *l, unsigned slot);
