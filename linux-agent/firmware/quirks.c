/* SPDX-License-Identifier: MIT */
#include "quirks.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WISH_DIGITS = 16 };

static const struct {
	const char *key, *words;
} things[QUIRK_COUNT] = {
	[BOOT_LOADER] = { "loader", "the boot entry of the loader" },
	[BOOT_DIRECT_A] = { "a", "the boot entry of slot a" },
	[BOOT_DIRECT_B] = { "b", "the boot entry of slot b" },
	[BOOT_OTHER] = { "other", "the boot entry of the loader on the other ESP" },
	[BOOT_TRIAL] = { "trial", "the boot entry of a new loader" },
	[BOOT_THING_ORDER] = { "order", "BootOrder" },
	[BOOT_THING_DUPLICATES] = { "duplicates", "the removal of duplicate boot entries" },
	[QUIRK_RECORD] = { "record", "the slot record (SlotState)" },
	[QUIRK_NEXT] = { "next", "BootNext" },
};

const char *quirk_key(unsigned thing)
{
	return things[thing].key;
}

const char *quirk_words(unsigned thing)
{
	return things[thing].words;
}

bool quirk_is_given_up(const struct quirk *quirk)
{
	return quirk->undone >= QUIRKS_UNDONE_MAX;
}

bool quirk_judge(struct quirk *quirk, bool differs, uint64_t wish, const char *boot_id)
{
	if (!*quirk->boot_id || !*boot_id || strcmp(quirk->boot_id, boot_id) == 0)
		return false;
	if (differs && (quirk->wish != wish || quirk_is_given_up(quirk)))
		return false;
	if (!differs && quirk->undone == 0)
		return false;
	quirk->undone = differs ? quirk->undone + 1 : 0;
	return true;
}

void quirk_wrote(struct quirk *quirk, uint64_t wish, const char *boot_id)
{
	quirk->wish = wish;
	(void)snprintf(quirk->boot_id, sizeof quirk->boot_id, "%s", boot_id);
}

static bool wish_get(const json_t *object, uint64_t *ret_wish)
{
	const char *text = json_string_value(json_object_get(object, "wish"));

	if (!text || strlen(text) != WISH_DIGITS || strspn(text, "0123456789abcdef") != WISH_DIGITS)
		return false;
	*ret_wish = strtoull(text, NULL, 16);
	return true;
}

static bool boot_id_get(const json_t *object, char ret_id[QUIRKS_BOOT_ID_BYTES])
{
	const char *text = json_string_value(json_object_get(object, "boot_id"));

	if (!text || strlen(text) != QUIRKS_BOOT_ID_BYTES - 1 ||
	    strspn(text, "0123456789abcdef-") != QUIRKS_BOOT_ID_BYTES - 1)
		return false;
	memcpy(ret_id, text, QUIRKS_BOOT_ID_BYTES);
	return true;
}

static void quirk_get(const json_t *object, struct quirk *ret_quirk)
{
	const json_t *undone = json_object_get(object, "undone");
	json_int_t count = json_integer_value(undone);
	struct quirk quirk = { 0 };

	if (!wish_get(object, &quirk.wish) || !boot_id_get(object, quirk.boot_id) ||
	    !json_is_integer(undone) || count < 0 || count > QUIRKS_UNDONE_MAX)
		return;
	quirk.undone = (unsigned)count;
	*ret_quirk = quirk;
}

void quirks_parse(const uint8_t *json, size_t len, struct quirks *ret_quirks)
{
	json_t *root = len <= QUIRKS_MAX_BYTES ? json_loadb((const char *)json, len, 0, NULL) : NULL;

	*ret_quirks = (struct quirks){ 0 };
	for (unsigned thing = 0; thing < QUIRK_COUNT; thing++)
		quirk_get(json_object_get(root, things[thing].key), &ret_quirks->of[thing]);
	json_decref(root);
}

int quirks_format(const struct quirks *quirks, char **ret_json, struct err *err)
{
	json_t *root = json_pack("{s:i}", "format", 1);
	char wish[WISH_DIGITS + 1], *text;

	for (unsigned thing = 0; thing < QUIRK_COUNT; thing++) {
		const struct quirk *q = &quirks->of[thing];

		if (!*q->boot_id)
			continue;
		(void)snprintf(wish, sizeof wish, "%016" PRIx64, q->wish);
		(void)json_object_set_new(root, things[thing].key,
					  json_pack("{s:i, s:s, s:s}", "undone", (int)q->undone,
						    "wish", wish, "boot_id", q->boot_id));
	}
	text = root ? json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
	json_decref(root);
	if (!text)
		return err_set(err, EX_SOFTWARE, "failed to make " QUIRKS_FILE ": out of memory");
	*ret_json = text;
	return 0;
}
