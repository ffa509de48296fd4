/* SPDX-License-Identifier: MIT */
/* Stands for a UKI that hangs from before its first word; where SlotTrace says by
 * its byte 15 that the watchdog caused the last reset, it resets the machine itself
 * instead, with the ICH9's timer (where there are ports) halted as that chipset's
 * reset does it: QEMU's counts on through a reset. */
#include "port.h"

enum { TRACE_BYTES = 128, AT_RESET = 15, BY_WATCHDOG = 1 };
enum { TCO_CONTROL_1 = 0x668, TCO_HALT = 0x0800 };

/* No interrupt ends it. */
#if defined(__x86_64__)
#define HALT "cli\n\thlt"
#else
#define HALT "msr daifset, #15\n\twfi"
#endif

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	EFI_GUID guid = { 0xa44b7925, 0x64fe, 0x4f5f,
			  { 0x9e, 0x3a, 0x49, 0xb0, 0x31, 0x9e, 0xfd, 0x7d } };
	CHAR16 name[] = L"SlotTrace";
	uint8_t trace[TRACE_BYTES];
	UINTN len = sizeof trace;

	(void)image;
	if (!EFI_ERROR(st->RuntimeServices->GetVariable(name, &guid, NULL, &len, trace)) &&
	    trace[AT_RESET] == BY_WATCHDOG) {
		(void)port_write(TCO_CONTROL_1, 16, TCO_HALT);
		st->RuntimeServices->ResetSystem(EfiResetCold, EFI_SUCCESS, 0, NULL);
	}
	for (;;)
		__asm__ volatile(HALT);
}
