/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include "io.h"

size_t utf8_get(const char *text, uint32_t *ret_code)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
	};
	const uint8_t *p = (const uint8_t *)text;
	size_t len = 1;
	uint32_t code;

	while (len <= ARRAY_SIZE(forms) && (p[0] & forms[len - 1].mask) != forms[len - 1].lead)
		len++;
	if (len > ARRAY_SIZE(forms))
		return 0;
	code = p[0] & (uint8_t)~forms[len - 1].mask;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < forms[len - 1].least || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	*ret_code = code;
	return len;
}

bool utf8_is(const char *text)
{
	uint32_t code;

	while (*text) {
		size_t len = utf8_get(text, &code);

		if (len == 0)
			return false;
		text += len;
	}
	return true;
}
