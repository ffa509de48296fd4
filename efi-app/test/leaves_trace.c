/* SPDX-License-Identifier: MIT */
/* Leaves a SlotTrace, as a loader that was started before in the same boot does. */
#include <efi.h>

#include <stdint.h>

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	EFI_GUID guid = { 0xa44b7925, 0x64fe, 0x4f5f,
			  { 0x9e, 0x3a, 0x49, 0xb0, 0x31, 0x9e, 0xfd, 0x7d } };
	CHAR16 name[] = L"SlotTrace";
	uint8_t trace[128] = { 0 };

	(void)image;
	(void)st->RuntimeServices->SetVariable(name, &guid, EFI_VARIABLE_BOOTSERVICE_ACCESS |
					       EFI_VARIABLE_RUNTIME_ACCESS, sizeof trace, trace);
	return EFI_DEVICE_ERROR;
}
