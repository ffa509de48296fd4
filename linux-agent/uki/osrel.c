/* SPDX-License-Identifier: MIT */
#include "osrel.h"

#include "io.h"

#include <errno.h>
#include <string.h>

enum { OSREL_MAX_BYTES = 64 * 1024 };

/* Unquote a value as the shell would, without expansions; out has the same size. */
static void unquote(const char *value, size_t len, char *out)
{
	char quote = 0;

	for (size_t i = 0; i < len; i++) {
		char c = value[i];

		if (!quote && (c == '"' || c == '\''))
			quote = c;
		else if (quote && c == quote)
			quote = 0;
		else if (c == '\\' && quote != '\'' && i + 1 < len)
			*out++ = value[++i];
		else
			*out++ = c;
	}
	*out = 0;
}

static int line_take(const char *line, size_t len, const char *key, char **field)
{
	size_t prefix = strlen(key);
	char *value;

	if (len < prefix || strncmp(line, key, prefix) != 0)
		return 0;
	while (len > prefix && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
		len--;
	value = malloc(len - prefix + 1);
	if (!value)
		return -1;
	unquote(line + prefix, len - prefix, value);
	free(*field);
	*field = value;
	if (!*value) {
		free(value);
		*field = NULL;
	}
	return 0;
}

int osrel_parse(const char *text, struct osrel *ret_osrel)
{
	*ret_osrel = (struct osrel){ 0 };
	for (size_t len; *text; text += len + (text[len] != 0)) {
		len = strcspn(text, "\n");
		if (line_take(text, len, "IMAGE_ID=", &ret_osrel->image_id) < 0 ||
		    line_take(text, len, "IMAGE_VERSION=", &ret_osrel->image_version) < 0)
			return -1;
	}
	return 0;
}

int osrel_read(const struct ukifile *uki, struct osrel *ret_osrel, struct err *err)
{
	_cleanup_free_ uint8_t *text = NULL;
	size_t len;

	*ret_osrel = (struct osrel){ 0 };
	if (ukifile_section(uki, ".osrel", OSREL_MAX_BYTES, &text, &len, err) < 0)
		return -1;
	if (text && osrel_parse((const char *)text, ret_osrel) < 0)
		return err_errno(err, EX_SOFTWARE, ENOMEM, "failed to read .osrel of %s", uki->name);
	return 0;
}

void osrel_clear(struct osrel *osrel)
{
	free(osrel->image_id);
	free(osrel->image_version);
	*osrel = (struct osrel){ 0 };
}
