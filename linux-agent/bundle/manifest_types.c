/* SPDX-License-Identifier: MIT */
/* What kinds of payloads there are, and which of a manifest's is which. */
#include "manifest.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *text, *suffix;
	uint64_t max;
} types[PAYLOAD_TYPES] = {
	[PAYLOAD_UKI] = { "uki", "", INT64_MAX },
	[PAYLOAD_IMAGE] = { "image", "", INT64_MAX },
	[PAYLOAD_ADDON] = { "addon", "", MANIFEST_MAX_ADDON_BYTES },
	[PAYLOAD_CREDENTIAL] = { "credential", ".cred", MANIFEST_MAX_CREDENTIAL_BYTES },
	[PAYLOAD_SYSEXT] = { "sysext", ".raw", MANIFEST_MAX_EXTENSION_BYTES },
	[PAYLOAD_CONFEXT] = { "confext", ".confext.raw", MANIFEST_MAX_EXTENSION_BYTES },
	[PAYLOAD_EFI_AUTH] = { "efi-auth", ".auth", MANIFEST_MAX_EFI_AUTH_BYTES },
	[PAYLOAD_FILE] = { "file", "", MANIFEST_MAX_FILE_BYTES },
};

const char *manifest_type_text(enum payload_type type)
{
	return types[type].text;
}

const char *manifest_suffix(enum payload_type type)
{
	return types[type].suffix;
}

uint64_t manifest_type_max(enum payload_type type)
{
	return types[type].max;
}

const struct payload *manifest_uki(const struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_UKI)
			return &manifest->payloads[i];
	return NULL;
}

const struct payload *manifest_like(const struct manifest *manifest, const struct payload *payload)
{
	for (size_t i = 0; manifest && i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == payload->type &&
		    strcmp(manifest->payloads[i].name, payload->name) == 0)
			return &manifest->payloads[i];
	return NULL;
}

const struct payload *manifest_addon(const struct manifest *manifest, unsigned slot)
{
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_ADDON && manifest->payloads[i].slot == slot)
			return &manifest->payloads[i];
	return NULL;
}

const char *manifest_beside(const struct payload *payload, unsigned slot)
{
	switch (payload->type) {
	case PAYLOAD_UKI:
	case PAYLOAD_IMAGE:
	case PAYLOAD_FILE:
		return NULL;
	case PAYLOAD_ADDON:
		return payload->slot == slot ? BESIDE_ADDON : NULL;
	default:
		return payload->name;
	}
}

void manifest_beside_path(const char *name, char ret_path[static BESIDE_PATH_MAX])
{
	(void)snprintf(ret_path, BESIDE_PATH_MAX, BESIDE_DIR "/%s", name);
}

const struct payload *manifest_beside_find(const struct manifest *manifest, unsigned slot,
					   const char *name)
{
	for (size_t i = 0; i < manifest->payload_count; i++) {
		const char *beside = manifest_beside(&manifest->payloads[i], slot);

		if (beside && strcasecmp(beside, name) == 0)
			return &manifest->payloads[i];
	}
	return NULL;
}
