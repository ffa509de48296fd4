/* SPDX-License-Identifier: MIT */
#include "slot_manifest.h"

#include "espfile.h"
#include "io.h"

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
