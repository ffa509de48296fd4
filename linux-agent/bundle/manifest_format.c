/* SPDX-License-Identifier: MIT */
#include "manifest.h"

#include "io.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

/* Sets object[key] = value and takes value; either may be NULL: out of memory. */
static bool set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

static json_t *hex_json(const uint8_t sha256[32])
{
	char hex[65];

	hex_encode(sha256, 32, hex);
	return json_string(hex);
}

/* { "file", "size", "sha256" }, which every object below begins with. */
static json_t *entry_json(const char *file, uint64_t size, const uint8_t sha256[32])
{
	return json_pack("{s:s, s:I, s:o}", "file", file, "size", (json_int_t)size, "sha256",
			 hex_json(sha256));
}

static json_t *reference_json(const struct payload *p)
{
	return json_pack("{s:I, s:o}", "size", (json_int_t)p->size, "sha256",
			 hex_json(p->sha256));
}

static json_t *pinned_json(const struct pinned_entry *entry)
{
	return entry_json(entry->file, entry->size, entry->sha256);
}

static json_t *blocks_json(const struct payload_blocks *blocks)
{
	_cleanup_(json_decrefp) json_t *object = json_object();

	if (!set(object, "index", pinned_json(&blocks->index)) ||
	    (blocks->dictionary.file &&
	     !set(object, "dictionary", pinned_json(&blocks->dictionary))))
		return NULL;
	return json_incref(object);
}

static json_t *bases_json(const struct payload *p)
{
	_cleanup_(json_decrefp) json_t *list = json_array();

	for (size_t i = 0; i < p->base_count; i++) {
		const struct payload_base *base = &p->bases[i];
		json_t *object = entry_json(base->file, base->size, base->sha256);

		if (!set(object, "index", pinned_json(&base->index))) {
			json_decref(object);
			return NULL;
		}
		if (json_array_append_new(list, object) < 0)
			return NULL;
	}
	return json_incref(list);
}

/* Without what makes it a file's name. */
static json_t *name_json(const struct payload *p)
{
	size_t len = strlen(p->name), suffix = strlen(manifest_suffix(p->type));

	return json_stringn(p->name, len > suffix ? len - suffix : 0);
}

static bool has_name(const struct payload *p)
{
	return p->type != PAYLOAD_UKI && p->type != PAYLOAD_ADDON;
}

static json_t *payload_json(const struct payload *p)
{
	_cleanup_(json_decrefp) json_t *object = p->file || p->type != PAYLOAD_IMAGE
		? entry_json(p->file, p->size, p->sha256) : reference_json(p);

	if (!set(object, "type", json_string(manifest_type_text(p->type))) ||
	    !set(object, "index", pinned_json(&p->index)) ||
	    (has_name(p) && !set(object, "name", name_json(p))) ||
	    (p->type == PAYLOAD_ADDON && !set(object, "slot", json_string(p->slot ? "b" : "a"))) ||
	    (p->root_hash && !set(object, "roothash", json_string(p->root_hash))) ||
	    (p->blocks.index.file && !set(object, "blocks", blocks_json(&p->blocks))) ||
	    (p->base_count > 0 && !set(object, "bases", bases_json(p))))
		return NULL;
	return json_incref(object);
}

int manifest_format(const struct manifest *manifest, char **ret_json, struct err *err)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	_cleanup_free_ char *text = NULL;
	json_t *list = json_array();
	char *with_newline;

	root = json_pack("{s:i, s:s, s:s, s:o}", "format", MANIFEST_FORMAT, "compatible",
			 manifest->compatible, "version", manifest->version, "payloads", list);
	if (root && manifest->architecture && !set(root, "architecture", json_string(manifest->architecture)))
		return err_set(err, EX_SOFTWARE, "failed to write manifest.json: out of memory");
	if (root && manifest->raises_floor && !set(root, "raises-floor", json_true()))
		return err_set(err, EX_SOFTWARE, "failed to write manifest.json: out of memory");
	if (root && manifest->loader.file && !set(root, "loader", pinned_json(&manifest->loader)))
		return err_set(err, EX_SOFTWARE, "failed to write manifest.json: out of memory");
	for (size_t i = 0; root && i < manifest->payload_count; i++)
		if (json_array_append_new(list, payload_json(&manifest->payloads[i])) < 0)
			return err_set(err, EX_SOFTWARE, "failed to write manifest.json: "
				       "payload %zu is incomplete", i);
	text = root ? json_dumps(root, JSON_SORT_KEYS | JSON_INDENT(2)) : NULL;
	if (!text)
		return err_set(err, EX_SOFTWARE, "failed to write manifest.json: it is "
			       "incomplete, not UTF-8, or out of memory");
	if (asprintf(&with_newline, "%s\n", text) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to write manifest.json");
	*ret_json = with_newline;
	return 0;
}
