/* SPDX-License-Identifier: MIT */
/*
 * I/O ports, which firmware gives no access to where a chipset's fixed registers
 * are: EFI_PCI_ROOT_BRIDGE_IO_PROTOCOL may refuse what is outside the bridge's
 * own range. One file per architecture, port_ARCH.c; width is 8, 16 or 32 bits.
 */
#pragma once

#include "loader.h"

/* False: there are no ports here. */
bool port_read(uint16_t port, unsigned width, uint32_t *ret_value);
bool port_write(uint16_t port, unsigned width, uint32_t value);
