/* SPDX-License-Identifier: MIT */
#include "report_text.h"

#include "out.h"

#include <stdbool.h>
#include <string.h>

static const char *const secrets[] = { "authorization", "bearer", "token", "password", "passwd",
				       "secret", "api-key", "apikey", "pin-value" };

/* Words that precede a secret; "token-file = /path" only names a file. */
static char *value_of(char *at)
{
	char *value = at + strspn(at, " \t\"'");

	if (*value != '=' && *value != ':')
		return NULL;
	value++;
	return value + strspn(value, " \t\"'");
}

static void line_redact(char *line, size_t cap)
{
	for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
		char *at = line;

		while ((at = strcasestr(at, secrets[i]))) {
			char *value = value_of(at += strlen(secrets[i]));

			if (strcmp(secrets[i], "bearer") == 0 && *at == ' ')
				value = at + 1;
			if (value && *value)
				(void)memcpy(value, "...", strlen(value) < 3 ? strlen(value) : 4);
		}
	}
	out_clean(line, cap);
}

/* Lines never get longer. */
void report_text_redact(char *text)
{
	char *out = text, *line = text;

	while (*line) {
		size_t len = strcspn(line, "\n");
		bool last = !line[len];

		line[len] = 0;
		line_redact(line, len + 2);
		memmove(out, line, strlen(line));
		out += strlen(line);
		if (!last)
			*out++ = '\n';
		line += last ? len : len + 1;
	}
	*out = 0;
}

static bool has_word(const char *line, const char *const words[])
{
	for (size_t i = 0; words[i]; i++)
		if (strcasestr(line, words[i]))
			return true;
	return false;
}

void report_text_keep(char *text, const char *const words[])
{
	char *out = text, *line = text;

	while (*line) {
		size_t len = strcspn(line, "\n");
		bool last = !line[len];

		line[len] = 0;
		if (has_word(line, words)) {
			memmove(out, line, len);
			out += len;
			if (!last)
				*out++ = '\n';
		}
		line += last ? len : len + 1;
	}
	*out = 0;
}
