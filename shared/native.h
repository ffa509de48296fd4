/* SPDX-License-Identifier: MIT */
/*
 * What this program is built for, as PE files and the names of EFI programs have it
 * (UEFI 2.10, 3.5.1.1): slotbootx64.efi, BOOTX64.EFI. All that the agent says of its
 * own architecture comes from here.
 */
#pragma once

#include "pe.h"

#if defined(__x86_64__)
#define NATIVE_MACHINE PE_MACHINE_X86_64
#define NATIVE_EFI "x64"
#define NATIVE_EFI_CAPITALS "X64"
#elif defined(__aarch64__)
#define NATIVE_MACHINE PE_MACHINE_AARCH64
#define NATIVE_EFI "aa64"
#define NATIVE_EFI_CAPITALS "AA64"
#else
#error "no UKIs for this architecture"
#endif
