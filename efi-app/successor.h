/* SPDX-License-Identifier: MIT */
/*
 * With two ESPs, of mirrored disks: what happens where this one was left behind. Its disk was
 * away while the machine was updated, and the record is of the other ESP alone.
 */
#pragma once

#include "loader.h"

/* boot_ops.hand_over; ctx is the struct loader. Starts \EFI\slotboot\slotbootx64.efi (or aa64)
 * of the ESP with that partition GUID (16 bytes), wherever it is in the machine. Returns if
 * there is none, it is refused, or it came back. */
void successor_start(void *ctx, const uint8_t *esp);
