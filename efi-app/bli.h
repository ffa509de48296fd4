/* SPDX-License-Identifier: MIT */
/*
 * The Boot Loader Interface (systemd.io/BOOT_LOADER_INTERFACE): volatile
 * variables from which bootctl and systemd-analyze read what the loader is and
 * did. A variable that cannot be set is left out: it is never a reason not to
 * boot.
 *
 *     LoaderInfo             slotboot 0.1
 *     LoaderImageIdentifier  \EFI\slotboot\slotbootx64.efi
 *     LoaderEntrySelected    slotboot-a.efi or slotboot-b.efi
 *     LoaderTimeInitUSec     when the loader was entered
 *     LoaderTimeExecUSec     when it was about to load the UKI
 *     LoaderDevicePartUUID   of the ESP, lower case
 *     LoaderEntries          of both slots, and
 *     LoaderFeatures         that one can be wanted once: where the record asks for it
 *
 * And one that is read: LoaderEntryOneShot, the entry to start once: slotboot-a.efi, or
 * slotboot-a.conf, which systemd takes from \loader\entries; likewise b's. Other values are
 * another's, and left alone.
 *
 * Each costs some 285,000 instructions in OVMF (make loader-measure), more than
 * all of the loader's own code; so none is set that says nothing. The times are left out in virtual
 * machines whose counter may not have started with them, as systemd-boot does;
 * LoaderDevicePartUUID where systemd-stub is about to set the same value.
 */
#pragma once

#include "loader.h"

/* begin: ticks_read() at entry. Sets what is known before a slot is chosen, and
 * l->ticks_per_second. */
void bli_announce(struct loader *l, uint64_t begin);

/* For struct boot_ops: LoaderEntryOneShot, which is deleted. */
int bli_once(void *ctx);

/* For struct boot_ops: LoaderEntries and LoaderFeatures. */
void bli_entries(void *ctx);

/* Just before the slot's UKI is loaded. */
void bli_selected(struct loader *l, unsigned slot);

/* LoaderDevicePartUUID, for an image that does not set it itself. */
void bli_partition(struct loader *l);
