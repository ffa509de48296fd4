/* SPDX-License-Identifier: MIT */
/* Asks of three addresses of QEMU's virt whether registers can be there: its serial
 * line, this program's own stack, and 512 MB behind the end of its 256 MB of memory. */
#include "port.h"

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	CHAR16 text[] = L"\r\nSHOW mapped ......\r\n";
	const uint64_t addresses[] = { 0x09000000, (uint64_t)(uintptr_t)text, 0x70000000 };

	(void)image;
	for (unsigned i = 0; i < 3; i++) {
		text[14 + 2 * i] = L'0';
		text[15 + 2 * i] = registers_are_mapped(addresses[i]) ? L'1' : L'0';
	}
	(void)st->ConOut->OutputString(st->ConOut, text);
	st->RuntimeServices->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
	return EFI_LOAD_ERROR;
}
