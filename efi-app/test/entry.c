/* SPDX-License-Identifier: MIT */
/*
 * Stands for a 40 MB UKI in test/measure: takes the time first of all, tells it
 * and shuts the machine down.
 */
#include "tick.h"

#include <efi.h>

#include <stdint.h>

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	uint64_t ticks = tick_now();

	(void)image;
	tick_tell(ticks);
	st->RuntimeServices->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
	return EFI_LOAD_ERROR;
}
