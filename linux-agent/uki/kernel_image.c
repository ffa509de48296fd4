/* SPDX-License-Identifier: MIT */
#include "kernel_image.h"

#include "bytes.h"

enum {
	X86_SETUP_SECTS = 0x1f1,
	X86_BOOT_FLAG = 0x1fe,
	X86_MAGIC = 0x202,
	X86_VERSION = 0x206,
	X86_LOADFLAGS = 0x211,
	X86_RELOCATABLE = 0x234,
	X86_XLOADFLAGS = 0x236,
	X86_CMDLINE_SIZE = 0x238,
	X86_INIT_SIZE = 0x260,
	X86_END = 0x268,
	X86_LOADED_HIGH = 0x01,
	X86_BOOT_FLAG_IS = 0xaa55,
	X86_CMDLINE_OLD = 256,		/* before the header says it, in 2.06 */

	ARM64_IMAGE_SIZE = 16,
	ARM64_MAGIC = 56,
	ARM64_END = 64,
	ARM64_CMDLINE = 2048,
};

static bool magic_at(const uint8_t *head, size_t at, const char magic[4])
{
	return bytes_equal(head + at, (const uint8_t *)magic, 4);
}

/* Fields that the image's protocol version does not have yet stay 0. */
static void x86_parse(const uint8_t *head, struct kernel_image *image)
{
	uint32_t sectors = head[X86_SETUP_SECTS];

	image->format = KERNEL_IMAGE_X86;
	image->protocol = le16_get(head + X86_VERSION);
	image->boot_flag = le16_get(head + X86_BOOT_FLAG);
	image->loaded_high = head[X86_LOADFLAGS] & X86_LOADED_HIGH;
	image->setup_bytes = ((sectors ? sectors : 4) + 1) * 512;
	if (image->protocol >= 0x0205)
		image->relocatable = head[X86_RELOCATABLE];
	if (image->protocol >= 0x0206)
		image->cmdline_size = le32_get(head + X86_CMDLINE_SIZE);
	if (image->protocol >= 0x020a)
		image->memory = le32_get(head + X86_INIT_SIZE);
	if (image->protocol >= 0x020c)
		image->xloadflags = le16_get(head + X86_XLOADFLAGS);
}

void kernel_image_parse(const uint8_t *head, size_t len, struct kernel_image *ret_image)
{
	struct kernel_image image = { .format = KERNEL_IMAGE_UNKNOWN };

	if (len >= X86_END && magic_at(head, X86_MAGIC, "HdrS"))
		x86_parse(head, &image);
	else if (len >= ARM64_END && magic_at(head, 4, "zimg"))
		image.format = KERNEL_IMAGE_ZBOOT;
	else if (len >= ARM64_END && magic_at(head, ARM64_MAGIC, "ARM\x64")) {
		image.format = KERNEL_IMAGE_ARM64;
		image.memory = le64_get(head + ARM64_IMAGE_SIZE);
	}
	*ret_image = image;
}

uint32_t kernel_image_cmdline_max(const struct kernel_image *image)
{
	switch (image->format) {
	case KERNEL_IMAGE_X86:
		if (image->boot_flag != X86_BOOT_FLAG_IS)
			return 0;
		return image->protocol < 0x0206 ? X86_CMDLINE_OLD : image->cmdline_size;
	case KERNEL_IMAGE_ARM64:
	case KERNEL_IMAGE_ZBOOT:
		return ARM64_CMDLINE;
	default:
		return 0;
	}
}
