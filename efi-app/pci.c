/* SPDX-License-Identifier: MIT */
#include "pci.h"

static EFI_PCI_IO_PROTOCOL_WIDTH width_of(unsigned width)
{
	return width == 8    ? EfiPciIoWidthUint8
	       : width == 16 ? EfiPciIoWidthUint16
			     : EfiPciIoWidthUint32;
}

uint32_t pci_config_read(EFI_PCI_IO_PROTOCOL *pci, uint32_t offset, unsigned width)
{
	uint32_t value = 0;

	if (EFI_ERROR(pci->Pci.Read(pci, width_of(width), offset, 1, &value)))
		return UINT32_MAX >> (32 - width);
	return value;
}

void pci_config_write(EFI_PCI_IO_PROTOCOL *pci, uint32_t offset, unsigned width, uint32_t value)
{
	(void)pci->Pci.Write(pci, width_of(width), offset, 1, &value);
}

static bool is_one_of(uint32_t ids, uint16_t vendor, const struct pci_range *ranges,
		      size_t count)
{
	uint16_t device = (uint16_t)(ids >> 16);

	for (size_t i = 0; (uint16_t)ids == vendor && i < count; i++)
		if (device >= ranges[i].first && device <= ranges[i].last)
			return true;
	return false;
}

EFI_PCI_IO_PROTOCOL *pci_find(struct loader *l, uint16_t vendor, const struct pci_range *ranges,
			      size_t count)
{
	EFI_GUID guid = EFI_PCI_IO_PROTOCOL_GUID;
	EFI_PCI_IO_PROTOCOL *pci, *found = NULL;
	EFI_HANDLE *handles;
	UINTN n = 0;

	if (EFI_ERROR(l->bs->LocateHandleBuffer(ByProtocol, &guid, NULL, &n, &handles)))
		return NULL;
	for (UINTN i = 0; i < n && !found; i++)
		if (!EFI_ERROR(l->bs->HandleProtocol(handles[i], &guid, (void **)&pci)) &&
		    is_one_of(pci_config_read(pci, 0, 32), vendor, ranges, count))
			found = pci;
	(void)l->bs->FreePool(handles);
	return found;
}
