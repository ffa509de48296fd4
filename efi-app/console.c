/* SPDX-License-Identifier: MIT */
#include "console.h"

enum { CHUNK = 64 };

void console_put(const struct loader *l, const char *text)
{
	CHAR16 chunk[CHUNK + 1];

	if (!l->st->ConOut)
		return;
	while (*text) {
		unsigned n = 0;

		while (n < CHUNK && text[n]) {
			chunk[n] = (unsigned char)text[n];
			n++;
		}
		chunk[n] = 0;
		(void)l->st->ConOut->OutputString(l->st->ConOut, chunk);
		text += n;
	}
}

void console_put_hex(const struct loader *l, uint64_t value)
{
	char text[] = "0x0000000000000000";

	for (unsigned i = 0; i < 16; i++)
		text[17 - i] = "0123456789abcdef"[value >> 4 * i & 15];
	console_put(l, text);
}
