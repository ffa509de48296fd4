/* SPDX-License-Identifier: MIT */
/*
 * I/O ports, which firmware gives no access to where a chipset's fixed registers
 * are: EFI_PCI_ROOT_BRIDGE_IO_PROTOCOL may refuse what is outside the bridge's
 * own range; and registers in memory. One file per architecture, port_ARCH.c; width
 * is 8, 16 or 32 bits.
 */
#pragma once

#include "loader.h"

/* False: there are no ports here. */
bool port_read(uint16_t port, unsigned width, uint32_t *ret_value);
bool port_write(uint16_t port, unsigned width, uint32_t value);

/* Whether registers at that address can be accessed as such. Firmware of x86-64 maps
 * all of memory (UEFI 2.10, 2.3.4); of AArch64, what it likes: an access elsewhere
 * would end the boot. */
bool registers_are_mapped(uint64_t address);
