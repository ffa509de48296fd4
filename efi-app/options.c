/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "cmdline.h"
#include "image.h"
#include "profile.h"
#include "utf.h"

/* len bytes become at most len units and the NUL; 0 where it is not UTF-8. */
static size_t utf16_from_utf8(const uint8_t *text, size_t len, CHAR16 *ret_units)
{
	uint8_t *out = (uint8_t *)ret_units;
	uint32_t code = 0;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_get(text + i, len - i, &code);
		if (n == 0)
			return 0;
		out += utf16_put(out, code);
	}
	out += utf16_put(out, 0);
	return (size_t)(out - (uint8_t *)ret_units) / sizeof *ret_units;
}

static CHAR16 *options_set(EFI_LOADED_IMAGE *child, CHAR16 *options, size_t units)
{
	child->LoadOptions = options;
	child->LoadOptionsSize = (UINT32)(units * sizeof *options);
	return options;
}

static CHAR16 *profile_choose(struct loader *l, EFI_LOADED_IMAGE *child, unsigned slot)
{
	char text[PROFILE_OPTIONS_MAX];
	struct pe_image image;
	unsigned profile;
	size_t units;
	void *memory;

	if (image_open(child, &image) != SB_OK || profile_find(&image, slot, &profile) != SB_OK ||
	    EFI_ERROR(l->bs->AllocatePool(EfiLoaderData, sizeof text * sizeof(CHAR16), &memory)))
		return NULL;
	units = utf16_from_utf8((const uint8_t *)text, profile_options(profile, text), memory);
	return options_set(child, memory, units);
}

static CHAR16 *slot_fill(struct loader *l, EFI_LOADED_IMAGE *child, unsigned slot)
{
	size_t len = 0, filled = 0, units;
	const uint8_t *text = image_section(child, ".cmdline", &len);
	void *memory;

	if (!text || len > CMDLINE_MAX || !cmdline_has_slot(text, len))
		return NULL;
	/* The UTF-16 text first, the UTF-8 text that it is made from behind it. */
	if (EFI_ERROR(l->bs->AllocatePool(EfiLoaderData, 3 * (len + 1), &memory)))
		return NULL;
	CHAR16 *options = memory;
	uint8_t *utf8 = (uint8_t *)(options + len + 1);

	if (cmdline_fill(text, len, slot, (char *)utf8, len + 1, &filled) != SB_OK)
		filled = 0;
	units = utf16_from_utf8(utf8, filled, options);
	if (filled == 0 || units == 0) {
		(void)l->bs->FreePool(memory);
		return NULL;
	}
	return options_set(child, options, units);
}

CHAR16 *options_fill(struct loader *l, EFI_LOADED_IMAGE *child, unsigned slot)
{
	CHAR16 *options = profile_choose(l, child, slot);

	return options ? options : slot_fill(l, child, slot);
}
