/* SPDX-License-Identifier: MIT */
/*
 * Stands for a 40 MB UKI in test/measure: takes the time stamp counter first of
 * all, writes it to QEMU's debug console and shuts the machine down. x86 only.
 */
#include <efi.h>

#include <stdint.h>

enum { DEBUG_PORT = 0x402 };

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	uint64_t ticks = __builtin_ia32_rdtsc();

	(void)image;
	for (unsigned i = 0; i < sizeof ticks; i++)
		__asm__ volatile("outb %b0, %w1" ::"a"((uint8_t)(ticks >> 8 * i)),
				 "Nd"((uint16_t)DEBUG_PORT));
	st->RuntimeServices->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
	return EFI_LOAD_ERROR;
}
