/* SPDX-License-Identifier: MIT */
#include "slot_manifest.h"

#include "cmdline.h"
#include "espfile.h"
#include "io.h"

#include <stdio.h>

struct manifest *slot_manifest_read(const char *esp, unsigned slot)
{
	struct manifest *manifest = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ uint8_t *json = NULL;
	size_t len;

	if (espfile_path(esp, slot, "manifest.json", &path, NULL) < 0 ||
	    read_file(path, MANIFEST_MAX_BYTES, &json, &len) < 0 ||
	    manifest_parse(json, len, &manifest, NULL) < 0)
		return NULL;
	return manifest;
}

int slot_payload_file(const struct machine *machine, unsigned slot, const struct payload *payload,
		      char **ret_path, struct err *err)
{
	const char *beside = manifest_beside(payload, slot), *files = machine->config->files;
	char name[BESIDE_PATH_MAX];

	*ret_path = NULL;
	if (beside) {
		manifest_beside_path(beside, name);
		return machine_slot_file(machine, slot, name, ret_path, err);
	}
	if (payload->type != PAYLOAD_FILE || !files ||
	    asprintf(ret_path, "%s/%c/%s", files, slot_letter(slot), payload->name) >= 0)
		return 0;
	*ret_path = NULL;
	return err_set(err, EX_SOFTWARE, "out of memory");
}
