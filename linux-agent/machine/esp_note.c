/* SPDX-License-Identifier: MIT */
#include "esp_note.h"

#include "espfile.h"
#include "io.h"

#include <errno.h>
#include <string.h>

static int path_make(const struct machine *m, const char *name, char **ret_path, struct err *err)
{
	if (asprintf(ret_path, "%s/" ESP_OURS "/%s", m->esp.dir, name) < 0) {
		*ret_path = NULL;
		return err_errno(err, EX_SOFTWARE, errno, "failed to name %s", name);
	}
	return 0;
}

void esp_note_read(const struct machine *machine, const char *name, size_t max, uint8_t **ret_json,
		   size_t *ret_len)
{
	_cleanup_free_ char *path = NULL;

	*ret_json = NULL;
	*ret_len = 0;
	if (path_make(machine, name, &path, NULL) == 0)
		(void)read_file(path, max, ret_json, ret_len);
}

int esp_note_format(const char *name, json_t *root, char **ret_json, struct err *err)
{
	char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;

	json_decref(root);
	if (!text)
		return err_set(err, EX_SOFTWARE, "failed to make %s: out of memory", name);
	*ret_json = text;
	return 0;
}

int esp_note_write(struct machine *machine, const char *name, const char *json, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (path_make(machine, name, &path, err) < 0)
		return -1;
	return espfile_write(&machine->disk, path, (const uint8_t *)json, strlen(json), err);
}

int esp_note_remove(struct machine *machine, const char *name, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (path_make(machine, name, &path, err) < 0)
		return -1;
	return espfile_remove(&machine->disk, path, err);
}
