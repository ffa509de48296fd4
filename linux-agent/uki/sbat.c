/* SPDX-License-Identifier: MIT */
#include "sbat.h"

#include <stdbool.h>
#include <string.h>

#define GENERATION_MAX 65535u	/* shim holds them in 16 bits */

/* Decimal digits up to the comma or the end; 0: something else. */
static unsigned generation(const char *at, const char *end)
{
	unsigned n = 0;

	for (; at < end && *at != ','; at++) {
		if (*at < '0' || *at > '9')
			return 0;
		n = n * 10 + (unsigned)(*at - '0');
		if (n > GENERATION_MAX)
			return 0;
	}
	return n;
}

static bool line_parse(const char *line, const char *end, struct sbat_entry *entry)
{
	const char *comma = memchr(line, ',', (size_t)(end - line));

	if (!comma || comma == line)
		return false;
	*entry = (struct sbat_entry){ line, (size_t)(comma - line), generation(comma + 1, end) };
	return entry->generation > 0;
}

int sbat_parse(const char *what, const char *text, size_t len, struct sbat *ret_sbat,
	       struct err *err)
{
	const char *at = text, *end, *line_end;
	struct sbat sbat = { .count = 0 };

	if (len > SBAT_MAX_BYTES)
		return err_set(err, EX_DATAERR, "%s has %zu bytes, which is more than %d", what, len,
			       SBAT_MAX_BYTES);
	for (end = text + strnlen(text, len); at < end; at = line_end) {
		for (line_end = at; line_end < end && *line_end != '\n' && *line_end != '\r';)
			line_end++;
		if (line_end == at) {
			line_end++;
			continue;
		}
		if (sbat.count == SBAT_MAX_ENTRIES)
			return err_set(err, EX_DATAERR, "%s has more than %d lines", what,
				       SBAT_MAX_ENTRIES);
		if (!line_parse(at, line_end, &sbat.entries[sbat.count++]))
			return err_set(err, EX_DATAERR, "%s has a line without a name and a generation: "
				       "%.*s", what, line_end - at < 80 ? (int)(line_end - at) : 80, at);
	}
	*ret_sbat = sbat;
	return 0;
}

const struct sbat_entry *sbat_revoked(const struct sbat *image, const struct sbat *level,
				      unsigned *ret_wanted)
{
	for (size_t i = 0; i < image->count; i++)
		for (size_t k = 0; k < level->count; k++) {
			const struct sbat_entry *have = &image->entries[i], *want = &level->entries[k];

			if (have->name_len != want->name_len ||
			    memcmp(have->name, want->name, have->name_len) != 0 ||
			    have->generation >= want->generation)
				continue;
			*ret_wanted = want->generation;
			return have;
		}
	return NULL;
}
