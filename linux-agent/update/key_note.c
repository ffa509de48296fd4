/* SPDX-License-Identifier: MIT */
#include "key_note.h"

#include "esp_note.h"
#include "io.h"

#include <jansson.h>
#include <string.h>

static const struct {
	const char *text, *words;
} failures[KEY_FAILURES] = {
	[KEY_FAILED_NOT] = { "none", "" },
	[KEY_FAILED_UNKNOWN] = { "unknown", "it was begun, and the machine went down" },
	[KEY_FAILED_REFUSED] = { "refused", "the firmware refused its signature" },
	[KEY_FAILED_FULL] = { "full", "the firmware's store of variables is full" },
	[KEY_FAILED_WRITE] = { "write", "the firmware did not write it" },
	[KEY_FAILED_LOST] = { "lost", "the firmware accepted it, and did not keep it" },
};

const char *key_failure_text(enum key_failure why)
{
	return failures[why].text;
}

const char *key_failure_words(enum key_failure why)
{
	return failures[why].words;
}

const struct key_try *key_note_find(const struct key_note *note, const uint8_t sha256[32])
{
	for (size_t i = 0; i < note->count; i++)
		if (memcmp(note->tried[i].sha256, sha256, 32) == 0)
			return &note->tried[i];
	return NULL;
}

bool key_try_is_last(const struct key_try *tried)
{
	return tried->why == KEY_FAILED_REFUSED || tried->tries >= KEY_TRIES;
}

static bool try_get(const json_t *object, struct key_try *ret_try)
{
	const char *sha256 = json_string_value(json_object_get(object, "sha256"));
	const char *why = json_string_value(json_object_get(object, "why"));
	const json_t *tries = json_object_get(object, "tries");
	struct key_try t = { .tries = KEY_TRIES, .why = KEY_FAILED_UNKNOWN };

	if (!sha256 || !hex_decode(sha256, t.sha256, sizeof t.sha256))
		return false;
	if (json_is_integer(tries) && json_integer_value(tries) >= 0 && json_integer_value(tries) < KEY_TRIES)
		t.tries = (unsigned)json_integer_value(tries);
	for (unsigned i = 0; why && i < KEY_FAILURES; i++)
		if (strcmp(why, failures[i].text) == 0)
			t.why = i;
	*ret_try = t;
	return true;
}

void key_note_parse(const uint8_t *json, size_t len, struct key_note *ret_note)
{
	json_t *root = len <= KEY_NOTE_MAX_BYTES ? json_loadb((const char *)json, len, 0, NULL) : NULL;
	const char *boot_id = json_string_value(json_object_get(root, "boot_id"));
	const json_t *tried = json_object_get(root, "tried");
	struct key_note note = { .count = 0 };

	if (boot_id && strlen(boot_id) < sizeof note.boot_id)
		memcpy(note.boot_id, boot_id, strlen(boot_id));
	for (size_t i = 0; i < json_array_size(tried) && note.count < KEY_NOTE_MAX; i++)
		note.count += try_get(json_array_get(tried, i), &note.tried[note.count]);
	json_decref(root);
	*ret_note = note;
}

int key_note_format(const struct key_note *note, char **ret_json, struct err *err)
{
	json_t *list = json_array(), *root;
	char hex[65];

	for (size_t i = 0; list && i < note->count; i++) {
		const struct key_try *t = &note->tried[i];

		hex_encode(t->sha256, sizeof t->sha256, hex);
		(void)json_array_append_new(list, json_pack("{s:s, s:i, s:s}", "sha256", hex, "tries",
							    (int)t->tries, "why", failures[t->why].text));
	}
	root = json_pack("{s:i, s:s, s:o}", "format", 1, "boot_id", note->boot_id, "tried", list);
	return esp_note_format(KEY_NOTE_FILE, root, ret_json, err);
}

void key_note_read(const struct machine *machine, struct key_note *ret_note)
{
	_cleanup_free_ uint8_t *json = NULL;
	size_t len;

	esp_note_read(machine, KEY_NOTE_FILE, KEY_NOTE_MAX_BYTES, &json, &len);
	key_note_parse(json, len, ret_note);
}

int key_note_write(struct machine *machine, const struct key_note *note, struct err *err)
{
	_cleanup_free_ char *json = NULL;

	if (key_note_format(note, &json, err) < 0)
		return -1;
	return esp_note_write(machine, KEY_NOTE_FILE, json, err);
}
