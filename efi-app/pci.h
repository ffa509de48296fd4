/* SPDX-License-Identifier: MIT */
/* PCI functions, through EFI_PCI_IO_PROTOCOL (UEFI 2.10, 14.4). */
#pragma once

#include "loader.h"

enum { PCI_AMD = 0x1022, PCI_INTEL = 0x8086 };

/* Device IDs, both ends included. */
struct pci_range {
	uint16_t first, last;
};

/* The first function of that vendor with an ID in one of the ranges; NULL: none. */
EFI_PCI_IO_PROTOCOL *pci_find(struct loader *l, uint16_t vendor, const struct pci_range *ranges,
			      size_t count);

/* Configuration registers, 8, 16 or 32 bits wide; all ones where that fails. */
uint32_t pci_config_read(EFI_PCI_IO_PROTOCOL *pci, uint32_t offset, unsigned width);
void pci_config_write(EFI_PCI_IO_PROTOCOL *pci, uint32_t offset, unsigned width, uint32_t value);
