/* SPDX-License-Identifier: MIT */
#include "utf.h"

static bool is_surrogate(uint32_t code)
{
	return code >= 0xd800 && code < 0xe000;
}

size_t utf8_get(const void *text, size_t left, uint32_t *ret_code)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
	};
	const uint8_t *p = text;
	size_t len = 1;
	uint32_t code;

	while (len <= 4 && (p[0] & forms[len - 1].mask) != forms[len - 1].lead)
		len++;
	if (len > 4 || len > left)
		return 0;
	code = p[0] & (uint8_t)~forms[len - 1].mask;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < forms[len - 1].least || is_surrogate(code) || code > 0x10ffff)
		return 0;
	*ret_code = code;
	return len;
}

bool utf8_is(const char *text)
{
	uint32_t code;

	while (*text) {
		size_t len = utf8_get(text, UTF8_TO_NUL, &code);

		if (len == 0)
			return false;
		text += len;
	}
	return true;
}

size_t utf8_put(uint8_t *out, uint32_t code)
{
	size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	if (len == 1) {
		out[0] = (uint8_t)code;
		return 1;
	}
	for (size_t i = len; i-- > 1; code >>= 6)
		out[i] = (uint8_t)(0x80 | (code & 0x3f));
	out[0] = (uint8_t)(0xf00u >> len | code);
	return len;
}

size_t utf16_get(const uint8_t *text, size_t left, uint32_t *ret_code)
{
	uint32_t code = left >= 2 ? le16_get(text) : 0xdc00, low;

	if (!is_surrogate(code)) {
		*ret_code = code;
		return 2;
	}
	low = code < 0xdc00 && left >= 4 ? le16_get(text + 2) : 0;
	if (low < 0xdc00 || !is_surrogate(low))
		return 0;
	*ret_code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
	return 4;
}

size_t utf16_put(uint8_t *out, uint32_t code)
{
	if (code < 0x10000) {
		le16_put(out, (uint16_t)code);
		return 2;
	}
	le16_put(out, (uint16_t)(0xd7c0 + (code >> 10)));
	le16_put(out + 2, (uint16_t)(0xdc00 + (code & 0x3ff)));
	return 4;
}
