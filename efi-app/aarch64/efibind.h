/* SPDX-License-Identifier: MIT */
/*
 * What gnu-efi's efi.h wants from an architecture, for AArch64 (UEFI 2.10, 2.3.1 and
 * 2.3.6: integers of their natural alignment, the procedure call standard of C). The
 * headers that Debian's gnu-efi package has of this are not installed beside those
 * for x86-64; where they are, they are used in place of this file.
 */
#pragma once

#include <stdint.h>

typedef uint8_t UINT8;
typedef int8_t INT8;
typedef uint16_t UINT16;
typedef int16_t INT16;
typedef uint32_t UINT32;
typedef int32_t INT32;
typedef uint64_t UINT64, UINTN;
typedef int64_t INT64, INTN;
typedef __WCHAR_TYPE__ WCHAR;		/* -fshort-wchar */

#define VOID void
#define VOLATILE volatile
#define EFIAPI
#define EFI_FUNCTION
#define RUNTIMEFUNCTION
#define INTERFACE_DECL(name) struct name

/* UEFI 2.10, appendix D */
#define EFI_ERROR_MASK UINT64_C(0x8000000000000000)
#define EFIERR(code) (EFI_ERROR_MASK | (code))
#define EFIERR_OEM(code) (UINT64_C(0xc000000000000000) | (code))

#define EFI_SIGNATURE_16(a, b) ((a) | (b) << 8)
#define EFI_SIGNATURE_32(a, b, c, d) (EFI_SIGNATURE_16(a, b) | EFI_SIGNATURE_16(c, d) << 16)
#define EFI_SIGNATURE_64(a, b, c, d, e, f, g, h) \
	(EFI_SIGNATURE_32(a, b, c, d) | (uint64_t)EFI_SIGNATURE_32(e, f, g, h) << 32)
