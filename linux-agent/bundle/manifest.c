/* SPDX-License-Identifier: MIT */
#include "manifest_json.h"

#include "io.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { PAYLOAD_MAX_FILES = 5 + 2 * MANIFEST_MAX_BASES };

static const struct manifest_text rule_compatible = {
	"compatible", 1, 128,
	MANIFEST_LOWER MANIFEST_UPPER MANIFEST_DIGIT " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
	"1 to 128 printable ASCII characters",
};
static const struct manifest_text rule_version = {
	"version", 1, 64, MANIFEST_LOWER MANIFEST_UPPER MANIFEST_DIGIT "._~^+-",
	"1 to 64 letters, digits and . _ ~ ^ + -",
};
static const struct manifest_text rule_architecture = {
	"architecture", 1, 32, MANIFEST_LOWER MANIFEST_DIGIT "_-",
	"1 to 32 lower-case letters, digits, _ and -",
};
static const struct manifest_text rule_name = {
	"name", 1, 32, MANIFEST_LOWER MANIFEST_DIGIT "_-",
	"1 to 32 lower-case letters, digits, _ and -",
};
/* No "~", with which FAT names a file for the second time, nothing that FAT refuses. */
static const struct manifest_text rule_beside = {
	"name", 1, 96, MANIFEST_LOWER MANIFEST_UPPER MANIFEST_DIGIT "._@+-",
	"1 to 96 letters, digits and . _ @ + -",
};
static const struct manifest_text rule_root_hash = {
	"roothash", 64, 128, "abcdef" MANIFEST_DIGIT, "64 to 128 lower-case hexadecimal digits",
};
static const struct manifest_text rule_type = {
	"type", 1, 16, MANIFEST_LOWER "-",
	"\"uki\", \"image\", \"addon\", \"credential\", \"sysext\", \"confext\", \"efi-auth\" or \"file\"",
};
static const struct manifest_text rule_slot = {
	"slot", 1, 1, "ab", "\"a\" or \"b\"",
};

static int type_parse(const json_t *object, const char *where, enum payload_type *ret_type,
		      struct err *err)
{
	const char *type;

	if (manifest_json_text(object, where, &rule_type, &type, err) < 0)
		return -1;
	for (size_t i = 0; i < PAYLOAD_TYPES; i++)
		if (strcmp(type, manifest_type_text((enum payload_type)i)) == 0) {
			*ret_type = (enum payload_type)i;
			return 0;
		}
	return err_set(err, EX_DATAERR, "manifest.json: %stype must be %s", where,
		       rule_type.expected);
}

static int index_parse(const json_t *object, const char *where, struct pinned_entry *entry,
		       struct err *err)
{
	return manifest_json_pinned(object, where, "index", MANIFEST_MAX_INDEX_BYTES, entry, err);
}

static int blocks_parse(const json_t *payload, const char *where, struct payload_blocks *blocks,
			struct err *err)
{
	char inside[MANIFEST_WHERE_MAX];
	const json_t *object;

	if (!json_object_get(payload, "blocks"))
		return 0;
	if (manifest_json_object(payload, where, "blocks", &object, inside, err) < 0 ||
	    index_parse(object, inside, &blocks->index, err) < 0)
		return -1;
	if (!json_object_get(object, "dictionary"))
		return 0;
	return manifest_json_pinned(object, inside, "dictionary", MANIFEST_MAX_DICTIONARY_BYTES,
			    &blocks->dictionary, err);
}

static int base_parse(const json_t *object, const char *where, struct payload_base *base,
		      struct err *err)
{
	if (!json_is_object(object))
		return err_set(err, EX_DATAERR, "manifest.json: %.*s is not an object",
			       (int)strlen(where) - 1, where);
	if (manifest_json_file(object, where, &base->file, err) < 0 ||
	    manifest_json_hash(object, where, &base->size, base->sha256, err) < 0)
		return -1;
	return index_parse(object, where, &base->index, err);
}

static int bases_parse(const json_t *payload, const char *where, struct payload *p,
		       struct err *err)
{
	const json_t *list = json_object_get(payload, "bases");
	char inside[MANIFEST_WHERE_MAX];
	size_t count = json_array_size(list);

	if (!list)
		return 0;
	if (!json_is_array(list) || count > MANIFEST_MAX_BASES)
		return err_set(err, EX_DATAERR, "manifest.json: %sbases must be a list of at "
			       "most %d bases", where, MANIFEST_MAX_BASES);
	for (size_t i = 0; i < count; i++) {
		p->base_count = i + 1;
		manifest_json_where(inside, "%sbases[%zu].", where, i);
		if (base_parse(json_array_get(list, i), inside, &p->bases[i], err) < 0)
			return -1;
	}
	return 0;
}

/* An image without a file is by reference, and has only its index. */
static int full_parse(const json_t *object, const char *where, struct payload *p,
		      struct err *err)
{
	if (p->type != PAYLOAD_IMAGE || json_object_get(object, "file"))
		return manifest_json_file(object, where, &p->file, err);
	if (json_object_get(object, "blocks") || json_object_get(object, "bases"))
		return manifest_json_bad(where, "file", "is missing, beside blocks or bases", err);
	return 0;
}

static int image_parse(const json_t *object, const char *where, struct payload *p,
		       struct err *err)
{
	if (manifest_json_copy(object, where, &rule_name, &p->name, err) < 0)
		return -1;
	if (!json_object_get(object, rule_root_hash.key))
		return 0;
	if (manifest_json_copy(object, where, &rule_root_hash, &p->root_hash, err) < 0)
		return -1;
	if (strlen(p->root_hash) % 2 != 0)
		return manifest_json_bad(where, rule_root_hash.key,
			       "must be an even number of hexadecimal digits", err);
	return 0;
}

static int name_set(struct payload *p, const char *name, const char *suffix, struct err *err)
{
	if (asprintf(&p->name, "%s%s", name, suffix) >= 0)
		return 0;
	p->name = NULL;
	return err_errno(err, EX_SOFTWARE, errno, "failed to read manifest.json");
}

static int addon_parse(const json_t *object, const char *where, struct payload *p,
		       struct err *err)
{
	const char *slot;

	if (manifest_json_text(object, where, &rule_slot, &slot, err) < 0)
		return -1;
	p->slot = *slot == 'b';
	return name_set(p, p->slot ? "slot-b" : "slot-a", ".addon", err);
}

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcasecmp(text + len - end_len, end) == 0;
}

/* systemd-stub passes over names that begin with a dot, and takes what ends in .confext.raw for
 * a confext. */
static int beside_parse(const json_t *object, const char *where, struct payload *p,
			struct err *err)
{
	const char *name;

	if (manifest_json_text(object, where, &rule_beside, &name, err) < 0)
		return -1;
	if (!strchr(MANIFEST_LOWER MANIFEST_UPPER MANIFEST_DIGIT, *name))
		return manifest_json_bad(where, rule_beside.key, "must begin with a letter or a digit", err);
	if (p->type == PAYLOAD_SYSEXT && ends_in(name, ".confext"))
		return manifest_json_bad(where, rule_beside.key, "would make the sysext a confext", err);
	return name_set(p, name, manifest_suffix(p->type), err);
}

/* "KEK-1", "db-12". */
static int update_parse(const json_t *object, const char *where, struct payload *p, struct err *err)
{
	static const char *const variables[] = { "KEK-", "db-", "dbx-" };
	const char *name, *number = NULL;

	if (manifest_json_text(object, where, &rule_beside, &name, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(variables) && !number; i++)
		if (strncmp(name, variables[i], strlen(variables[i])) == 0)
			number = name + strlen(variables[i]);
	if (!number || *number == '0' || strlen(number) < 1 || strlen(number) > 2 ||
	    number[strspn(number, MANIFEST_DIGIT)])
		return manifest_json_bad(where, rule_beside.key, "must be KEK-N, db-N or dbx-N, with N from "
					 "1 to 99", err);
	return name_set(p, name, manifest_suffix(p->type), err);
}

static int name_parse(const json_t *object, const char *where, struct payload *p,
		      struct err *err)
{
	switch (p->type) {
	case PAYLOAD_UKI:
		return name_set(p, "uki", "", err);
	case PAYLOAD_IMAGE:
		return image_parse(object, where, p, err);
	case PAYLOAD_ADDON:
		return addon_parse(object, where, p, err);
	case PAYLOAD_EFI_AUTH:
		return update_parse(object, where, p, err);
	default:
		return beside_parse(object, where, p, err);
	}
}

static int payload_parse(const json_t *object, size_t index, struct payload *p, struct err *err)
{
	char where[MANIFEST_WHERE_MAX];

	manifest_json_where(where, "payloads[%zu].", index);
	if (!json_is_object(object))
		return err_set(err, EX_DATAERR, "manifest.json: payloads[%zu] is not an object",
			       index);
	if (type_parse(object, where, &p->type, err) < 0 ||
	    full_parse(object, where, p, err) < 0 ||
	    manifest_json_hash(object, where, &p->size, p->sha256, err) < 0)
		return -1;
	if (p->size > manifest_type_max(p->type))
		return manifest_json_bad(where, "size", "is larger than this slotctl reads", err);
	if (name_parse(object, where, p, err) < 0)
		return -1;
	if (index_parse(object, where, &p->index, err) < 0 ||
	    blocks_parse(object, where, &p->blocks, err) < 0)
		return -1;
	return bases_parse(object, where, p, err);
}

/* The UKI is named "uki", so this refuses an image of that name as well. Whatever the case of
 * their letters: on FAT two files that differ in it alone are one. */
static int names_unique(const struct manifest *m, struct err *err)
{
	for (size_t i = 1; i < m->payload_count; i++)
		for (size_t k = 0; k < i; k++)
			if (strcasecmp(m->payloads[k].name, m->payloads[i].name) == 0)
				return err_set(err, EX_DATAERR,
					       "manifest.json: payloads[%zu] and payloads[%zu] "
					       "have the same name, %s", k, i,
					       m->payloads[i].name);
	return 0;
}

/* Every entry of the ZIP that a payload names; an absent one is NULL. */
static size_t files_list(const struct payload *p, const char *files[PAYLOAD_MAX_FILES])
{
	size_t n = 0;

	files[n++] = p->file;
	files[n++] = p->index.file;
	files[n++] = p->blocks.index.file;
	files[n++] = p->blocks.dictionary.file;
	for (size_t i = 0; i < p->base_count; i++) {
		files[n++] = p->bases[i].file;
		files[n++] = p->bases[i].index.file;
	}
	return n;
}

static int text_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int files_unique(const struct manifest *m, struct err *err)
{
	const char *all[MANIFEST_MAX_PAYLOADS * PAYLOAD_MAX_FILES + 1];
	size_t n = 0;

	if (m->loader.file)
		all[n++] = m->loader.file;
	for (size_t i = 0; i < m->payload_count; i++) {
		const char *files[PAYLOAD_MAX_FILES];
		size_t count = files_list(&m->payloads[i], files);

		for (size_t k = 0; k < count; k++)
			if (files[k])
				all[n++] = files[k];
	}
	qsort(all, n, sizeof *all, text_order);
	for (size_t i = 1; i < n; i++)
		if (strcmp(all[i - 1], all[i]) == 0)
			return err_set(err, EX_DATAERR, "manifest.json: two parts of it have the "
				       "same file, %s", all[i]);
	return 0;
}

static int payloads_parse(const json_t *list, struct manifest *m, struct err *err)
{
	size_t count = json_array_size(list);

	if (!json_is_array(list) || count < 1 || count > MANIFEST_MAX_PAYLOADS)
		return err_set(err, EX_DATAERR,
			       "manifest.json: payloads must be a list of 1 to %d payloads",
			       MANIFEST_MAX_PAYLOADS);
	for (size_t i = 0; i < count; i++) {
		m->payload_count = i + 1;
		if (payload_parse(json_array_get(list, i), i, &m->payloads[i], err) < 0)
			return -1;
	}
	if (names_unique(m, err) < 0 || files_unique(m, err) < 0)
		return -1;
	if (!manifest_uki(m))
		return err_set(err, EX_DATAERR,
			       "manifest.json: payloads has no payload of type \"uki\"");
	if (!manifest_addon(m, 0) != !manifest_addon(m, 1))
		return err_set(err, EX_DATAERR, "manifest.json: payloads has an addon for one slot "
			       "alone");
	return 0;
}

/* jansson quotes the offending text, which may hold anything, newlines too. */
static int json_bad(const json_error_t *e, struct err *err)
{
	char text[sizeof e->text];
	size_t i;

	for (i = 0; i + 1 < sizeof text && e->text[i]; i++)
		text[i] = e->text[i] >= 0x20 && e->text[i] < 0x7f ? e->text[i] : '?';
	text[i] = 0;
	return err_set(err, EX_DATAERR, "manifest.json is not valid JSON: line %d: %s", e->line,
		       text);
}

static int root_load(const uint8_t *json, size_t len, json_t **ret_root, struct err *err)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	const json_t *format;
	json_error_t e;

	if (len > MANIFEST_MAX_BYTES)
		return err_set(err, EX_DATAERR, "manifest.json is larger than %d bytes",
			       MANIFEST_MAX_BYTES);
	root = json_loadb((const char *)json, len, JSON_REJECT_DUPLICATES, &e);
	if (!root)
		return json_bad(&e, err);
	if (!json_is_object(root))
		return err_set(err, EX_DATAERR, "manifest.json is not a JSON object");
	format = json_object_get(root, "format");
	if (!format)
		return manifest_json_bad("", "format", "is missing", err);
	if (!json_is_integer(format) || json_integer_value(format) != MANIFEST_FORMAT)
		return manifest_json_bad("", "format", "is not 2, the one this slotctl knows", err);
	*ret_root = root;
	root = NULL;
	return 0;
}

static int architecture_parse(const json_t *root, struct manifest *m, struct err *err)
{
	if (!json_object_get(root, "architecture"))
		return 0;
	return manifest_json_copy(root, "", &rule_architecture, &m->architecture, err);
}

static int floor_parse(const json_t *root, struct manifest *m, struct err *err)
{
	const json_t *value = json_object_get(root, "raises-floor");

	if (value && !json_is_boolean(value))
		return manifest_json_bad("", "raises-floor", "must be true or false", err);
	m->raises_floor = json_is_true(value);
	return 0;
}

static int loader_parse(const json_t *root, struct manifest *m, struct err *err)
{
	if (!json_object_get(root, "loader"))
		return 0;
	return manifest_json_pinned(root, "", "loader", MANIFEST_MAX_LOADER_BYTES, &m->loader, err);
}

int manifest_parse(const uint8_t *json, size_t len, struct manifest **ret_manifest,
		   struct err *err)
{
	_cleanup_(manifest_freep) struct manifest *m = calloc(1, sizeof *m);
	_cleanup_(json_decrefp) json_t *root = NULL;

	if (!m)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read manifest.json");
	if (root_load(json, len, &root, err) < 0 ||
	    manifest_json_copy(root, "", &rule_compatible, &m->compatible, err) < 0 ||
	    manifest_json_copy(root, "", &rule_version, &m->version, err) < 0 ||
	    architecture_parse(root, m, err) < 0 || floor_parse(root, m, err) < 0 || loader_parse(root, m, err) < 0 ||
	    payloads_parse(json_object_get(root, "payloads"), m, err) < 0)
		return -1;
	*ret_manifest = m;
	m = NULL;
	return 0;
}

static void payload_clear(struct payload *p)
{
	free(p->name);
	free(p->file);
	free(p->root_hash);
	free(p->index.file);
	free(p->blocks.index.file);
	free(p->blocks.dictionary.file);
	for (size_t i = 0; i < p->base_count; i++) {
		free(p->bases[i].file);
		free(p->bases[i].index.file);
	}
}

void manifest_free(struct manifest *manifest)
{
	if (!manifest)
		return;
	for (size_t i = 0; i < manifest->payload_count; i++)
		payload_clear(&manifest->payloads[i]);
	free(manifest->loader.file);
	free(manifest->compatible);
	free(manifest->version);
	free(manifest->architecture);
	free(manifest);
}

void manifest_freep(struct manifest **manifest)
{
	manifest_free(*manifest);
}
