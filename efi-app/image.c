/* SPDX-License-Identifier: MIT */
#include "image.h"

static enum sb_error image_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	const uint8_t *base = ctx;

	for (size_t i = 0; i < len; i++)
		buf[i] = base[offset + i];
	return SB_OK;
}

enum sb_error image_open(const EFI_LOADED_IMAGE *loaded, struct pe_image *ret_image)
{
	struct pe_source source = {
		.ctx = loaded->ImageBase,
		.size = loaded->ImageSize,
		.mapped = true,
		.read = image_read,
	};

	return pe_open(&source, ret_image);
}

const uint8_t *image_section(const EFI_LOADED_IMAGE *loaded, const char *name,
			     size_t *ret_len)
{
	struct pe_image image;
	struct pe_section section;

	if (image_open(loaded, &image) != SB_OK ||
	    pe_section_find(&image, name, &section) != SB_OK)
		return NULL;
	*ret_len = (size_t)section.size;
	return (const uint8_t *)loaded->ImageBase + section.offset;
}
