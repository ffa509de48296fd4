/* SPDX-License-Identifier: MIT */
#include "espentry.h"

#include "bootentries.h"
#include "bytes.h"
#include "io.h"
#include "loadoption.h"

#include <string.h>
#include <strings.h>

enum { WORD_MAX = 127 };

/* The first word of the optional data, as shim takes it; "" if there is none. False: shim would take no
 * word of it for a name, or it is none of ours. */
static bool word_get(const struct load_option *option, char ret_word[WORD_MAX + 1])
{
	size_t n = 0, at = 0;

	while (at + 2 <= option->options_len && le16_get(option->options + at) == ' ')
		at += 2;
	for (; at + 2 <= option->options_len; at += 2) {
		uint16_t c = le16_get(option->options + at);

		if (c == 0 || c == ' ')
			break;
		if (c > 0x7e || n == WORD_MAX)
			return false;
		ret_word[n++] = (char)c;
	}
	ret_word[n] = 0;
	return true;
}

static bool leads_by_shim(const struct esp_info *esp, const uint8_t *data, size_t len, const char *path)
{
	struct load_option option;
	char word[WORD_MAX + 1];

	if (!esp->shim || !loadoption_is_ours(data, len, esp->guid, esp->shim) ||
	    !loadoption_parse(data, len, &option) || !word_get(&option, word))
		return false;
	return strcasecmp(*word ? word : BOOTENTRIES_LOADER_PATH, path) == 0;
}

bool espentry_leads(const struct esp_info *esp, const uint8_t *data, size_t len, const char *path)
{
	return loadoption_is_ours(data, len, esp->guid, path) || leads_by_shim(esp, data, len, path);
}

bool espentry_is_made_so(const struct esp_info *esp, const uint8_t *data, size_t len, const char *path)
{
	return esp->shim ? leads_by_shim(esp, data, len, path) : loadoption_is_ours(data, len, esp->guid, path);
}

const char *espentry_path(const struct esp_info *esp, const char *path)
{
	return esp->shim ? esp->shim : path;
}

int espentry_options(const struct esp_info *esp, const char *path, const uint8_t *options, size_t options_len,
		     uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	size_t chars = esp->shim ? strlen(path) + 1 : 0;
	uint8_t *data = malloc(2 * chars + options_len + 1);

	if (!data)
		return err_set(err, EX_SOFTWARE, "failed to make a boot entry: out of memory");
	for (size_t i = 0; i < chars; i++)
		le16_put(data + 2 * i, (uint8_t)path[i]);
	if (chars > 0 && options_len > 0)
		le16_put(data + 2 * (chars - 1), ' ');
	bytes_copy(data + 2 * chars, options, options_len);
	*ret_data = data;
	*ret_len = 2 * chars + options_len;
	return 0;
}
