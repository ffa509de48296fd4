/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "cmdline.h"
#include "image.h"
#include "profile.h"

/* One code point (RFC 3629) and how many bytes it took; 0 if it is none. */
static unsigned utf8_get(const uint8_t *p, size_t left, uint32_t *ret_code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned len = p[0] < 0x80	     ? 1
		       : (p[0] & 0xe0) == 0xc0 ? 2
		       : (p[0] & 0xf0) == 0xe0 ? 3
		       : (p[0] & 0xf8) == 0xf0 ? 4
					       : 0;
	uint32_t code;

	if (len == 0 || len > left)
		return 0;
	code = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (unsigned i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*ret_code = code;
	return len;
}

/* len bytes become at most len units and the NUL; 0 where it is not UTF-8. */
static size_t utf16_from_utf8(const uint8_t *text, size_t len, CHAR16 *ret_units)
{
	size_t out = 0;

	for (size_t i = 0; i < len;) {
		uint32_t code = 0;
		unsigned n = utf8_get(text + i, len - i, &code);

		if (n == 0)
			return 0;
		if (code >= 0x10000) {
			ret_units[out++] = (CHAR16)(0xd7c0 + (code >> 10));
			code = 0xdc00 + (code & 0x3ff);
		}
		ret_units[out++] = (CHAR16)code;
		i += n;
	}
	ret_units[out++] = 0;
	return out;
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
