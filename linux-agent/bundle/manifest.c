/* SPDX-License-Identifier: MIT */
#include "manifest.h"

#include "io.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

enum { WHERE_MAX = 64 };	/* "payloads[31].blocks.dictionary." */
enum { PAYLOAD_MAX_FILES = 5 + 2 * MANIFEST_MAX_BASES };

/* The allowed forms of string values. Every text that leaves the parser passed one of
 * these, so it is safe in messages, on a terminal and as a name. */
struct text_rule {
	const char *key;
	size_t min, max;
	const char *chars;
	const char *expected;
};

static const struct text_rule rule_compatible = {
	"compatible", 1, 128, LOWER UPPER DIGIT " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
	"1 to 128 printable ASCII characters",
};
static const struct text_rule rule_version = {
	"version", 1, 64, LOWER UPPER DIGIT "._~^+-",
	"1 to 64 letters, digits and . _ ~ ^ + -",
};
static const struct text_rule rule_name = {
	"name", 1, 32, LOWER DIGIT "_-",
	"1 to 32 lower-case letters, digits, _ and -",
};
static const struct text_rule rule_file = {
	"file", 1, 128, LOWER UPPER DIGIT "._-",
	"1 to 128 letters, digits and . _ - (no directory)",
};
static const struct text_rule rule_sha256 = {
	"sha256", 64, 64, "abcdefABCDEF" DIGIT, "64 hexadecimal digits",
};
static const struct text_rule rule_root_hash = {
	"roothash", 64, 128, "abcdef" DIGIT, "64 to 128 lower-case hexadecimal digits",
};
static const struct text_rule rule_type = {
	"type", 1, 16, LOWER, "\"uki\", \"image\" or \"addon\"",
};
static const struct text_rule rule_slot = {
	"slot", 1, 1, "ab", "\"a\" or \"b\"",
};

/* The location in the manifest, for messages; cut if it is too long. */
__attribute__((format(printf, 2, 3)))
static void where_set(char where[WHERE_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(where, WHERE_MAX, fmt, ap);
	va_end(ap);
}

static int key_bad(const char *where, const char *key, const char *problem, struct err *err)
{
	return err_set(err, EX_DATAERR, "manifest.json: %s%s %s", where, key, problem);
}

static int text_get(const json_t *object, const char *where, const struct text_rule *rule,
		    const char **ret_text, struct err *err)
{
	const json_t *value = json_object_get(object, rule->key);
	const char *s = json_string_value(value);
	size_t n = json_string_length(value);

	if (!value)
		return key_bad(where, rule->key, "is missing", err);
	if (!s || n < rule->min || n > rule->max || strspn(s, rule->chars) != n)
		return err_set(err, EX_DATAERR, "manifest.json: %s%s must be %s", where,
			       rule->key, rule->expected);
	*ret_text = s;
	return 0;
}

static int text_copy(const json_t *object, const char *where, const struct text_rule *rule,
		     char **ret_text, struct err *err)
{
	const char *s;
	char *copy;

	if (text_get(object, where, rule, &s, err) < 0)
		return -1;
	copy = strdup(s);
	if (!copy)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read manifest.json");
	*ret_text = copy;
	return 0;
}

static int type_parse(const json_t *object, const char *where, enum payload_type *ret_type,
		      struct err *err)
{
	static const char *const types[] = { "uki", "image", "addon" };
	const char *type;

	if (text_get(object, where, &rule_type, &type, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i]) == 0) {
			*ret_type = (enum payload_type)i;
			return 0;
		}
	return key_bad(where, "type", "must be \"uki\", \"image\" or \"addon\"", err);
}

/* Reserved names: two of the bundle's own, two of the file system. */
static bool file_is_reserved(const char *file)
{
	static const char *const reserved[] = { ".", "..", "manifest.json", "manifest.p7s" };

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (strcmp(file, reserved[i]) == 0)
			return true;
	return false;
}

static int file_parse(const json_t *object, const char *where, char **ret_file, struct err *err)
{
	const char *file;

	if (text_get(object, where, &rule_file, &file, err) < 0)
		return -1;
	if (file_is_reserved(file))
		return key_bad(where, "file", "names no payload", err);
	return text_copy(object, where, &rule_file, ret_file, err);
}

static int size_and_hash_parse(const json_t *object, const char *where, uint64_t *ret_size,
			       uint8_t ret_sha256[32], struct err *err)
{
	const json_t *size = json_object_get(object, "size");
	const char *sha256;

	if (!size)
		return key_bad(where, "size", "is missing", err);
	if (!json_is_integer(size) || json_integer_value(size) < 1)
		return key_bad(where, "size", "must be a whole number of bytes, at least 1", err);
	if (text_get(object, where, &rule_sha256, &sha256, err) < 0)
		return -1;
	if (!hex_decode(sha256, ret_sha256, 32))
		return key_bad(where, "sha256", "must be 64 hexadecimal digits", err);
	*ret_size = (uint64_t)json_integer_value(size);
	return 0;
}

/* The object under key, and where for messages about what is in it. */
static int object_get(const json_t *object, const char *where, const char *key,
		      const json_t **ret_object, char ret_where[WHERE_MAX], struct err *err)
{
	const json_t *value = json_object_get(object, key);

	if (!value)
		return key_bad(where, key, "is missing", err);
	if (!json_is_object(value))
		return key_bad(where, key, "is not an object", err);
	where_set(ret_where, "%s%s.", where, key);
	*ret_object = value;
	return 0;
}

static int pinned_parse(const json_t *object, const char *where, const char *key, uint64_t max,
			struct pinned_entry *entry, struct err *err)
{
	char inside[WHERE_MAX];
	const json_t *pinned;

	if (object_get(object, where, key, &pinned, inside, err) < 0 ||
	    file_parse(pinned, inside, &entry->file, err) < 0 ||
	    size_and_hash_parse(pinned, inside, &entry->size, entry->sha256, err) < 0)
		return -1;
	if (entry->size > max)
		return key_bad(inside, "size", "is larger than this slotctl reads", err);
	return 0;
}

static int index_parse(const json_t *object, const char *where, struct pinned_entry *entry,
		       struct err *err)
{
	return pinned_parse(object, where, "index", MANIFEST_MAX_INDEX_BYTES, entry, err);
}

static int blocks_parse(const json_t *payload, const char *where, struct payload_blocks *blocks,
			struct err *err)
{
	char inside[WHERE_MAX];
	const json_t *object;

	if (!json_object_get(payload, "blocks"))
		return 0;
	if (object_get(payload, where, "blocks", &object, inside, err) < 0 ||
	    file_parse(object, inside, &blocks->file, err) < 0 ||
	    index_parse(object, inside, &blocks->index, err) < 0)
		return -1;
	if (!json_object_get(object, "dictionary"))
		return 0;
	return pinned_parse(object, inside, "dictionary", MANIFEST_MAX_DICTIONARY_BYTES,
			    &blocks->dictionary, err);
}

static int base_parse(const json_t *object, const char *where, struct payload_base *base,
		      struct err *err)
{
	if (!json_is_object(object))
		return err_set(err, EX_DATAERR, "manifest.json: %.*s is not an object",
			       (int)strlen(where) - 1, where);
	if (file_parse(object, where, &base->file, err) < 0 ||
	    size_and_hash_parse(object, where, &base->size, base->sha256, err) < 0)
		return -1;
	return index_parse(object, where, &base->index, err);
}

static int bases_parse(const json_t *payload, const char *where, struct payload *p,
		       struct err *err)
{
	const json_t *list = json_object_get(payload, "bases");
	char inside[WHERE_MAX];
	size_t count = json_array_size(list);

	if (!list)
		return 0;
	if (!json_is_array(list) || count > MANIFEST_MAX_BASES)
		return err_set(err, EX_DATAERR, "manifest.json: %sbases must be a list of at "
			       "most %d bases", where, MANIFEST_MAX_BASES);
	for (size_t i = 0; i < count; i++) {
		p->base_count = i + 1;
		where_set(inside, "%sbases[%zu].", where, i);
		if (base_parse(json_array_get(list, i), inside, &p->bases[i], err) < 0)
			return -1;
	}
	return 0;
}

/* An image without a file is by reference, and has only its index. */
static int full_parse(const json_t *object, const char *where, struct payload *p,
		      struct err *err)
{
	if (p->type != PAYLOAD_IMAGE || json_object_get(object, rule_file.key))
		return file_parse(object, where, &p->file, err);
	if (json_object_get(object, "blocks") || json_object_get(object, "bases"))
		return key_bad(where, rule_file.key, "is missing, beside blocks or bases", err);
	return 0;
}

static int image_parse(const json_t *object, const char *where, struct payload *p,
		       struct err *err)
{
	if (text_copy(object, where, &rule_name, &p->name, err) < 0)
		return -1;
	if (!json_object_get(object, rule_root_hash.key))
		return 0;
	if (text_copy(object, where, &rule_root_hash, &p->root_hash, err) < 0)
		return -1;
	if (strlen(p->root_hash) % 2 != 0)
		return key_bad(where, rule_root_hash.key,
			       "must be an even number of hexadecimal digits", err);
	return 0;
}

static int addon_parse(const json_t *object, const char *where, struct payload *p,
		       struct err *err)
{
	const char *slot;

	if (text_get(object, where, &rule_slot, &slot, err) < 0)
		return -1;
	if (p->size > MANIFEST_MAX_ADDON_BYTES)
		return key_bad(where, "size", "is larger than this slotctl reads", err);
	p->slot = *slot == 'b';
	if (asprintf(&p->name, "slot-%s.addon", slot) < 0) {
		p->name = NULL;
		return err_errno(err, EX_SOFTWARE, errno, "failed to read manifest.json");
	}
	return 0;
}

static int payload_parse(const json_t *object, size_t index, struct payload *p, struct err *err)
{
	char where[WHERE_MAX];

	where_set(where, "payloads[%zu].", index);
	if (!json_is_object(object))
		return err_set(err, EX_DATAERR, "manifest.json: payloads[%zu] is not an object",
			       index);
	if (type_parse(object, where, &p->type, err) < 0 ||
	    full_parse(object, where, p, err) < 0 ||
	    size_and_hash_parse(object, where, &p->size, p->sha256, err) < 0)
		return -1;
	if (p->type == PAYLOAD_IMAGE && image_parse(object, where, p, err) < 0)
		return -1;
	if (p->type == PAYLOAD_ADDON && addon_parse(object, where, p, err) < 0)
		return -1;
	if (p->type == PAYLOAD_UKI && !(p->name = strdup("uki")))
		return err_errno(err, EX_SOFTWARE, errno, "failed to read manifest.json");
	if (index_parse(object, where, &p->index, err) < 0 ||
	    blocks_parse(object, where, &p->blocks, err) < 0)
		return -1;
	return bases_parse(object, where, p, err);
}

/* The UKI is named "uki", so this refuses an image of that name as well. */
static int names_unique(const struct manifest *m, struct err *err)
{
	for (size_t i = 1; i < m->payload_count; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(m->payloads[k].name, m->payloads[i].name) == 0)
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
	files[n++] = p->blocks.file;
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
		return key_bad("", "format", "is missing", err);
	if (!json_is_integer(format) || json_integer_value(format) != MANIFEST_FORMAT)
		return key_bad("", "format", "is not 2, the one this slotctl knows", err);
	*ret_root = root;
	root = NULL;
	return 0;
}

static int floor_parse(const json_t *root, struct manifest *m, struct err *err)
{
	const json_t *value = json_object_get(root, "raises-floor");

	if (value && !json_is_boolean(value))
		return key_bad("", "raises-floor", "must be true or false", err);
	m->raises_floor = json_is_true(value);
	return 0;
}

static int loader_parse(const json_t *root, struct manifest *m, struct err *err)
{
	if (!json_object_get(root, "loader"))
		return 0;
	return pinned_parse(root, "", "loader", MANIFEST_MAX_LOADER_BYTES, &m->loader, err);
}

int manifest_parse(const uint8_t *json, size_t len, struct manifest **ret_manifest,
		   struct err *err)
{
	_cleanup_(manifest_freep) struct manifest *m = calloc(1, sizeof *m);
	_cleanup_(json_decrefp) json_t *root = NULL;

	if (!m)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read manifest.json");
	if (root_load(json, len, &root, err) < 0 ||
	    text_copy(root, "", &rule_compatible, &m->compatible, err) < 0 ||
	    text_copy(root, "", &rule_version, &m->version, err) < 0 ||
	    floor_parse(root, m, err) < 0 || loader_parse(root, m, err) < 0 ||
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
	free(p->blocks.file);
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
	free(manifest);
}

void manifest_freep(struct manifest **manifest)
{
	manifest_free(*manifest);
}

const struct payload *manifest_addon(const struct manifest *manifest, unsigned slot)
{
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_ADDON && manifest->payloads[i].slot == slot)
			return &manifest->payloads[i];
	return NULL;
}

const struct payload *manifest_uki(const struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_UKI)
			return &manifest->payloads[i];
	return NULL;
}
