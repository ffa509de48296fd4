/* SPDX-License-Identifier: MIT */
#include "manifest.h"

#include "util.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

/* What a string value may be; every text that leaves the parser passed one of
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
	"type", 1, 16, LOWER, "\"uki\" or \"image\"",
};

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
	const char *type;

	if (text_get(object, where, &rule_type, &type, err) < 0)
		return -1;
	if (strcmp(type, "uki") != 0 && strcmp(type, "image") != 0)
		return key_bad(where, "type", "must be \"uki\" or \"image\"", err);
	*ret_type = strcmp(type, "uki") == 0 ? PAYLOAD_UKI : PAYLOAD_IMAGE;
	return 0;
}

/* File names that are never a payload: two of our own, two of the file system. */
static bool file_is_reserved(const char *file)
{
	static const char *const reserved[] = { ".", "..", "manifest.json", "manifest.p7s" };

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (strcmp(file, reserved[i]) == 0)
			return true;
	return false;
}

static int size_and_hash_parse(const json_t *object, const char *where, struct payload *p,
			       struct err *err)
{
	const json_t *size = json_object_get(object, "size");
	const char *sha256;

	if (!size)
		return key_bad(where, "size", "is missing", err);
	if (!json_is_integer(size) || json_integer_value(size) < 1)
		return key_bad(where, "size", "must be a whole number of bytes, at least 1", err);
	if (text_get(object, where, &rule_sha256, &sha256, err) < 0)
		return -1;
	p->size = (uint64_t)json_integer_value(size);
	if (!hex_decode(sha256, p->sha256, sizeof p->sha256))
		return key_bad(where, "sha256", "must be 64 hexadecimal digits", err);
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

static int payload_parse(const json_t *object, size_t index, struct payload *p, struct err *err)
{
	char where[32];

	(void)snprintf(where, sizeof where, "payloads[%zu].", index);
	if (!json_is_object(object))
		return err_set(err, EX_DATAERR, "manifest.json: payloads[%zu] is not an object",
			       index);
	if (type_parse(object, where, &p->type, err) < 0 ||
	    text_copy(object, where, &rule_file, &p->file, err) < 0 ||
	    size_and_hash_parse(object, where, p, err) < 0)
		return -1;
	if (file_is_reserved(p->file))
		return key_bad(where, "file", "names no payload", err);
	if (p->type == PAYLOAD_IMAGE)
		return image_parse(object, where, p, err);
	p->name = strdup("uki");
	if (!p->name)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read manifest.json");
	return 0;
}

/* The UKI is named "uki", so this refuses an image of that name as well. */
static int payloads_unique(const struct manifest *m, struct err *err)
{
	for (size_t i = 1; i < m->payload_count; i++)
		for (size_t k = 0; k < i; k++) {
			const struct payload *a = &m->payloads[k], *b = &m->payloads[i];

			if (strcmp(a->name, b->name) == 0)
				return err_set(err, EX_DATAERR,
					       "manifest.json: payloads[%zu] and payloads[%zu] "
					       "have the same name, %s", k, i, a->name);
			if (strcmp(a->file, b->file) == 0)
				return err_set(err, EX_DATAERR,
					       "manifest.json: payloads[%zu] and payloads[%zu] "
					       "have the same file, %s", k, i, a->file);
		}
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
	if (payloads_unique(m, err) < 0)
		return -1;
	if (!manifest_uki(m))
		return err_set(err, EX_DATAERR,
			       "manifest.json: payloads has no payload of type \"uki\"");
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
	if (!json_is_integer(format) || json_integer_value(format) != 1)
		return key_bad("", "format", "is not 1, the one this slotctl knows", err);
	*ret_root = root;
	root = NULL;
	return 0;
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
	    payloads_parse(json_object_get(root, "payloads"), m, err) < 0)
		return -1;
	*ret_manifest = m;
	m = NULL;
	return 0;
}

void manifest_free(struct manifest *manifest)
{
	if (!manifest)
		return;
	for (size_t i = 0; i < manifest->payload_count; i++) {
		free(manifest->payloads[i].name);
		free(manifest->payloads[i].file);
		free(manifest->payloads[i].root_hash);
	}
	free(manifest->compatible);
	free(manifest->version);
	free(manifest);
}

void manifest_freep(struct manifest **manifest)
{
	manifest_free(*manifest);
}

const struct payload *manifest_uki(const struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->payload_count; i++)
		if (manifest->payloads[i].type == PAYLOAD_UKI)
			return &manifest->payloads[i];
	return NULL;
}

static json_t *payload_json(const struct payload *p)
{
	_cleanup_(json_decrefp) json_t *object = NULL;
	char sha256[2 * sizeof p->sha256 + 1];
	json_t *ret;

	hex_encode(p->sha256, sizeof p->sha256, sha256);
	object = json_pack("{s:s, s:s, s:I, s:s}", "type",
			   p->type == PAYLOAD_UKI ? "uki" : "image", "file", p->file, "size",
			   (json_int_t)p->size, "sha256", sha256);
	if (!object)
		return NULL;
	if (p->type == PAYLOAD_IMAGE &&
	    json_object_set_new(object, "name", json_string(p->name)) < 0)
		return NULL;
	if (p->root_hash &&
	    json_object_set_new(object, "roothash", json_string(p->root_hash)) < 0)
		return NULL;
	ret = object;
	object = NULL;
	return ret;
}

int manifest_format(const struct manifest *manifest, char **ret_json, struct err *err)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	_cleanup_free_ char *text = NULL;
	json_t *list = json_array();
	char *with_newline;

	root = json_pack("{s:i, s:s, s:s, s:o}", "format", 1, "compatible",
			 manifest->compatible, "version", manifest->version, "payloads", list);
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
