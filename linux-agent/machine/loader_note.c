/* SPDX-License-Identifier: MIT */
#include "loader_note.h"

#include "esp_note.h"
#include "io.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static const struct {
	const char *text, *words;
} failures[LOADER_FAILURE_COUNT] = {
	[LOADER_FAILED_NOT] = { "none", "" },
	[LOADER_FAILED_NOT_STARTED] = { "not-started",
		"the machine was started by the old one: the firmware does not look at BootNext, did "
		"not load the new one (its signature, under Secure Boot), or the new one gave up; or the "
		"system that it started was left before mark-good" },
	[LOADER_FAILED_IGNORED] = { "bootnext-ignored",
		"the firmware has not looked at BootNext" },
	[LOADER_FAILED_SLOT] = { "slot-failed", "a slot failed to start under it" },
	[LOADER_FAILED_FILE] = { "file-changed", "its file on the ESP is not the one that was installed" },
	[LOADER_FAILED_ENTRIES] = { "boot-entries",
		"it works, but BootOrder cannot be changed, without which its files cannot be replaced "
		"safely" },
};

const char *loader_failure_text(enum loader_failure failure)
{
	return failures[failure].text;
}

const char *loader_failure_words(enum loader_failure failure)
{
	return failures[failure].words;
}

bool loader_id_is(const struct loader_id *id, const struct loader_file *file)
{
	return id->known && loader_file_good(file) &&
	       memcmp(id->sha256, file->sha256, sizeof id->sha256) == 0;
}

struct loader_id loader_id_of(const struct loader_file *file)
{
	struct loader_id id = { .known = true };

	memcpy(id.version, file->version, sizeof id.version);
	memcpy(id.sha256, file->sha256, sizeof id.sha256);
	return id;
}

static void id_get(const json_t *object, struct loader_id *ret_id)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~^+-";
	const char *version = json_string_value(json_object_get(object, "version"));
	const char *sha256 = json_string_value(json_object_get(object, "sha256"));
	struct loader_id id = { .known = true };

	if (!version || !sha256 || strlen(version) >= sizeof id.version ||
	    strspn(version, allowed) != strlen(version) ||
	    !hex_decode(sha256, id.sha256, sizeof id.sha256))
		return;
	(void)snprintf(id.version, sizeof id.version, "%s", version);
	*ret_id = id;
}

static enum loader_failure failure_get(const json_t *object)
{
	const char *text = json_string_value(json_object_get(object, "why"));

	for (unsigned i = 0; text && i < LOADER_FAILURE_COUNT; i++)
		if (strcmp(text, failures[i].text) == 0)
			return i;
	return LOADER_FAILED_NOT_STARTED;
}

void loader_note_parse(const uint8_t *json, size_t len, struct loader_note *ret_note)
{
	json_t *root = len <= LOADER_NOTE_MAX_BYTES ? json_loadb((const char *)json, len, 0, NULL) : NULL;
	const json_t *trial = json_object_get(root, "trial"), *failed = json_object_get(root, "failed");
	const char *boot_id = json_string_value(json_object_get(trial, "boot_id"));
	struct loader_note note = { 0 };

	id_get(json_object_get(root, "promoted"), &note.promoted);
	id_get(trial, &note.trial);
	id_get(failed, &note.failed);
	if (note.trial.known && boot_id && strlen(boot_id) < sizeof note.boot_id)
		memcpy(note.boot_id, boot_id, strlen(boot_id));
	note.proven = note.trial.known && json_is_true(json_object_get(trial, "proven"));
	if (note.failed.known)
		note.failure = failure_get(failed);
	json_decref(root);
	*ret_note = note;
}

static json_t *id_json(const struct loader_id *id)
{
	char hex[65];

	hex_encode(id->sha256, sizeof id->sha256, hex);
	return json_pack("{s:s, s:s}", "version", id->version, "sha256", hex);
}

int loader_note_format(const struct loader_note *note, char **ret_json, struct err *err)
{
	json_t *root = json_pack("{s:i}", "format", 1), *object;

	if (note->promoted.known)
		(void)json_object_set_new(root, "promoted", id_json(&note->promoted));
	if (note->trial.known) {
		object = id_json(&note->trial);
		(void)json_object_set_new(object, "boot_id", json_string(note->boot_id));
		(void)json_object_set_new(object, "proven", json_boolean(note->proven));
		(void)json_object_set_new(root, "trial", object);
	}
	if (note->failed.known) {
		object = id_json(&note->failed);
		(void)json_object_set_new(object, "why", json_string(failures[note->failure].text));
		(void)json_object_set_new(root, "failed", object);
	}
	return esp_note_format(LOADER_NOTE_FILE, root, ret_json, err);
}

void loader_note_read(const struct machine *machine, struct loader_note *ret_note)
{
	_cleanup_free_ uint8_t *json = NULL;
	size_t len;

	esp_note_read(machine, LOADER_NOTE_FILE, LOADER_NOTE_MAX_BYTES, &json, &len);
	loader_note_parse(json, len, ret_note);
}

int loader_note_write(struct machine *machine, const struct loader_note *note, struct err *err)
{
	_cleanup_free_ char *json = NULL, *now = NULL;
	struct loader_note old;

	loader_note_read(machine, &old);
	if (loader_note_format(note, &json, err) < 0 || loader_note_format(&old, &now, err) < 0)
		return -1;
	return strcmp(json, now) == 0 ? 0 : esp_note_write(machine, LOADER_NOTE_FILE, json, err);
}
