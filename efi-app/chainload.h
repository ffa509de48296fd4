/* SPDX-License-Identifier: MIT */
/*
 * Loading and starting a slot's UKI, \EFI\slotboot\a\uki.efi or b, from the ESP
 * that the loader came from. By full device path, so that the firmware's
 * security checks and systemd-stub see where it lies.
 */
#pragma once

#include "boot.h"
#include "loader.h"

/* boot_ops.start; ctx is the struct loader. Without a digest the firmware reads
 * the file. With one the file is read here, checked, and started from memory:
 * what was hashed is what runs. */
enum slot_reason chainload_start(void *ctx, unsigned slot, const uint8_t *digest,
				 uint64_t size, uint64_t *ret_efi_status);
