/* SPDX-License-Identifier: MIT */
#include "health_note.h"

#include "cmdline.h"
#include "espfile.h"
#include "io.h"
#include "out.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { NOTE_MAX_BYTES = 8192 };

static char *note_path(const struct machine *m)
{
	char *path = NULL;

	return asprintf(&path, "%s/" ESP_OURS "/" HEALTH_NOTE_FILE, m->esp.dir) < 0 ? NULL : path;
}

/* The parsed file; an empty object if there is none. The caller drops the reference. */
static json_t *notes_read(const struct machine *m)
{
	_cleanup_free_ char *path = note_path(m);
	_cleanup_free_ uint8_t *text = NULL;
	json_t *notes = NULL;
	size_t len;

	if (path && read_file(path, NOTE_MAX_BYTES, &text, &len) == 0)
		notes = json_loadb((const char *)text, len, 0, NULL);
	if (json_is_object(notes))
		return notes;
	json_decref(notes);
	return json_object();
}

static void text_get(const json_t *note, const char *key, char *out, size_t cap)
{
	const char *text = json_string_value(json_object_get(note, key));

	(void)snprintf(out, cap, "%s", text ? text : "");
	out_clean(out, cap);
}

bool health_note_read(const struct machine *machine, unsigned slot, struct health_note *ret_note)
{
	const struct slot *s = &machine->state.record.slots[slot];
	char key[2] = { slot_letter(slot), 0 };
	json_t *notes, *note;

	*ret_note = (struct health_note){ 0 };
	if (s->status != SLOT_BAD || s->reason != REASON_HEALTH)
		return false;
	notes = notes_read(machine);
	note = json_object_get(notes, key);
	text_get(note, "check", ret_note->finding.check, sizeof ret_note->finding.check);
	text_get(note, "how", ret_note->finding.how, sizeof ret_note->finding.how);
	text_get(note, "line", ret_note->finding.line, sizeof ret_note->finding.line);
	ret_note->time = json_integer_value(json_object_get(note, "time"));
	json_decref(notes);
	return *ret_note->finding.check != 0;
}

int health_note_write(const struct machine *machine, unsigned slot,
		      const struct health_finding *finding, struct err *err)
{
	_cleanup_free_ char *path = note_path(machine), *text = NULL;
	char key[2] = { slot_letter(slot), 0 };
	json_t *notes = notes_read(machine);

	(void)json_object_set_new(notes, "format", json_integer(1));
	(void)json_object_set_new(notes, key,
				  json_pack("{s:s, s:s, s:s, s:I}", "check", finding->check, "how",
					    finding->how, "line", finding->line, "time",
					    (json_int_t)time(NULL)));
	text = notes ? json_dumps(notes, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_ENSURE_ASCII) : NULL;
	json_decref(notes);
	if (!path || !text)
		return err_errno(err, EX_SOFTWARE, ENOMEM, "failed to note what the health check said");
	if (espfile_write(&machine->disk, path, (uint8_t *)text, strlen(text), err) < 0)
		return err_prefix(err, "failed to note what the health check said");
	return 0;
}

void health_finding_words(const struct health_finding *finding, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%s: %s%s%s", finding->check, finding->how,
		       *finding->line ? ": " : "", finding->line);
}
