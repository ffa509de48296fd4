/* SPDX-License-Identifier: MIT */
/* Stands for a UKI that gives control back at once, with EFI_DEVICE_ERROR. */
#include <efi.h>

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	(void)image;
	(void)st;
	return EFI_DEVICE_ERROR;
}
