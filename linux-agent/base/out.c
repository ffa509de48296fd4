/* SPDX-License-Identifier: MIT */
#include "out.h"

#include "redact.h"
#include "utf.h"
#include "io.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Unicode's Cc, Bidi_Control, Zl and Zp. */
static bool is_obeyed(uint32_t code)
{
	static const struct { uint32_t first, last; } ranges[] = {
		{ 0x00, 0x1f }, { 0x7f, 0x9f }, { 0x61c, 0x61c }, { 0x200e, 0x200f },
		{ 0x2028, 0x202e }, { 0x2066, 0x2069 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

void out_clean(char *text, size_t cap)
{
	char *to = text;

	for (const char *from = text; *from;) {
		uint32_t code;
		size_t len = utf8_get(from, UTF8_TO_NUL, &code);

		if (len == 0 || is_obeyed(code))
			*to++ = '?';
		else
			to = (char *)memmove(to, from, len) + len;
		from += len ? len : 1;
	}
	*to = 0;
	redact_mask_urls(text, cap);
}

static void print(FILE *file, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void print(FILE *file, const char *fmt, va_list ap)
{
	size_t end = strlen(fmt);
	_cleanup_free_ char *text = NULL;
	int len = vasprintf(&text, fmt, ap);

	if (len < 0) {
		text = NULL;
		return;
	}
	while (end > 0 && fmt[end - 1] == '\n') {
		end--;
		text[--len] = 0;
	}
	out_clean(text, SIZE_MAX);
	(void)fprintf(file, "%s%s", text, fmt + end);
}

void out_print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(stdout, fmt, ap);
	va_end(ap);
}

void out_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print(stderr, fmt, ap);
	va_end(ap);
}

int out_json(json_t *object, size_t flags)
{
	char *text = object ? json_dumps(object, flags | JSON_ENSURE_ASCII) : NULL;

	json_decref(object);
	if (!text)
		return -1;
	(void)puts(text);
	free(text);
	return 0;
}
