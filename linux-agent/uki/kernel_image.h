/* SPDX-License-Identifier: MIT */
/*
 * What a kernel image says about itself in its first bytes: the setup header of
 * x86 (the kernel's Documentation/arch/x86/boot.rst) and the header of an arm64
 * Image (Documentation/arch/arm64/booting.rst), or of an EFI zboot image, which
 * holds a compressed one. Nothing is trusted; any bytes are safe.
 */
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many of the image's first bytes as any of the formats has its header in. */
#define KERNEL_IMAGE_HEADER 1024

/* xloadflags */
#define KERNEL_IMAGE_XLF_64BIT 0x01u		/* has a 64-bit entry at 0x200 */
#define KERNEL_IMAGE_XLF_ABOVE_4G 0x02u	/* kernel, parameters, initrd may lie there */
#define KERNEL_IMAGE_XLF_5LEVEL 0x20u	/* can be entered with five-level paging on */

enum kernel_image_format {
	KERNEL_IMAGE_UNKNOWN,
	KERNEL_IMAGE_X86,
	KERNEL_IMAGE_ARM64,
	KERNEL_IMAGE_ZBOOT,
};

struct kernel_image {
	enum kernel_image_format format;
	/* x86 only: */
	uint16_t protocol;		/* boot protocol, 0x020c is 2.12 */
	uint16_t boot_flag;		/* 0xaa55 */
	bool loaded_high;		/* a bzImage, not a zImage */
	bool relocatable;
	uint16_t xloadflags;
	uint32_t setup_bytes;		/* of the real-mode part before the kernel */
	uint32_t cmdline_size;		/* longest command line, without its NUL */
	/* x86 and arm64: */
	uint64_t memory;		/* bytes it needs where it runs, 0: not told */
};

/* head: the first len bytes, at least KERNEL_IMAGE_HEADER unless the image is shorter.
 * Succeeds on anything; what is no kernel of a known kind is KERNEL_IMAGE_UNKNOWN. */
void kernel_image_parse(const uint8_t *head, size_t len, struct kernel_image *ret_image);

/* How many bytes of command line kexec_file_load(2) takes for it, with the NUL; 0: it is
 * no kernel that can be started. x86: the running kernel compares the header's
 * cmdline_size with a length that counts the NUL. */
uint32_t kernel_image_cmdline_max(const struct kernel_image *image);
