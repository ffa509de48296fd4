/* SPDX-License-Identifier: MIT */
#include "cmdline.h"

#include "bytes.h"

enum { TOKEN_LENGTH = 6 };

char slot_letter(unsigned slot)
{
	return slot == 0 ? 'a' : 'b';
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

size_t cmdline_length(const uint8_t *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n])
		n++;
	while (n > 0 && is_space(text[n - 1]))
		n--;
	return n;
}

/* 0: no token here; else what it becomes. */
static char token_at(const uint8_t *text, size_t left, unsigned slot)
{
	if (left < TOKEN_LENGTH)
		return 0;
	if (bytes_equal(text, (const uint8_t *)"{slot}", TOKEN_LENGTH))
		return slot_letter(slot);
	if (bytes_equal(text, (const uint8_t *)"{SLOT}", TOKEN_LENGTH))
		return slot == 0 ? 'A' : 'B';
	return 0;
}

bool cmdline_has_slot(const uint8_t *text, size_t len)
{
	len = cmdline_length(text, len);
	for (size_t i = 0; i < len; i++)
		if (token_at(text + i, len - i, 0))
			return true;
	return false;
}

enum sb_error cmdline_fill(const uint8_t *text, size_t len, unsigned slot, char *ret_text,
			   size_t cap, size_t *ret_len)
{
	size_t out = 0;

	len = cmdline_length(text, len);
	for (size_t i = 0; i < len; i++) {
		char letter = token_at(text + i, len - i, slot);

		if (out + 1 >= cap)
			return SB_LONG;
		ret_text[out++] = letter ? letter : (char)text[i];
		if (letter)
			i += TOKEN_LENGTH - 1;
	}
	if (cap == 0)
		return SB_LONG;
	ret_text[out] = 0;
	*ret_len = out;
	return SB_OK;
}

static size_t word_length(const char *text)
{
	bool quoted = false;
	size_t n = 0;

	for (; text[n] && (quoted || !is_space((uint8_t)text[n])); n++)
		if (text[n] == '"')
			quoted = !quoted;
	return n;
}

const char *cmdline_get(const char *text, const char *key, size_t *ret_len)
{
	const char *found = NULL;

	while (*text) {
		size_t len = word_length(text), k = 0;

		while (key[k] && k < len && text[k] == key[k])
			k++;
		if (!key[k] && k < len && text[k] == '=') {
			found = text + k + 1;
			*ret_len = len - k - 1;
		}
		text += len;
		while (is_space((uint8_t)*text))
			text++;
	}
	return found;
}
