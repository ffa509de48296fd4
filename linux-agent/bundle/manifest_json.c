/* SPDX-License-Identifier: MIT */
#include "manifest_json.h"

#include "io.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const struct manifest_text rule_file = {
	"file", 1, 128, MANIFEST_LOWER MANIFEST_UPPER MANIFEST_DIGIT "._-",
	"1 to 128 letters, digits and . _ - (no directory)",
};
static const struct manifest_text rule_sha256 = {
	"sha256", 64, 64, "abcdefABCDEF" MANIFEST_DIGIT, "64 hexadecimal digits",
};

void manifest_json_where(char where[static MANIFEST_WHERE_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(where, MANIFEST_WHERE_MAX, fmt, ap);
	va_end(ap);
}

int manifest_json_bad(const char *where, const char *key, const char *problem, struct err *err)
{
	return err_set(err, EX_DATAERR, "manifest.json: %s%s %s", where, key, problem);
}

int manifest_json_text(const json_t *object, const char *where, const struct manifest_text *rule,
		       const char **ret_text, struct err *err)
{
	const json_t *value = json_object_get(object, rule->key);
	const char *s = json_string_value(value);
	size_t n = json_string_length(value);

	if (!value)
		return manifest_json_bad(where, rule->key, "is missing", err);
	if (!s || n < rule->min || n > rule->max || strspn(s, rule->chars) != n)
		return err_set(err, EX_DATAERR, "manifest.json: %s%s must be %s", where,
			       rule->key, rule->expected);
	*ret_text = s;
	return 0;
}

int manifest_json_copy(const json_t *object, const char *where, const struct manifest_text *rule,
		       char **ret_text, struct err *err)
{
	const char *s;
	char *copy;

	if (manifest_json_text(object, where, rule, &s, err) < 0)
		return -1;
	copy = strdup(s);
	if (!copy)
		return err_errno(err, EX_SOFTWARE, errno, "failed to read manifest.json");
	*ret_text = copy;
	return 0;
}

/* Reserved names: two of the file system, two of the bundle's own. */
static bool file_is_reserved(const char *file)
{
	static const char *const reserved[] = { ".", "..", "manifest.json", "manifest.p7s" };

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (strcmp(file, reserved[i]) == 0)
			return true;
	return false;
}

int manifest_json_file(const json_t *object, const char *where, char **ret_file, struct err *err)
{
	const char *file;

	if (manifest_json_text(object, where, &rule_file, &file, err) < 0)
		return -1;
	if (file_is_reserved(file))
		return manifest_json_bad(where, "file", "names no payload", err);
	return manifest_json_copy(object, where, &rule_file, ret_file, err);
}

int manifest_json_hash(const json_t *object, const char *where, uint64_t *ret_size,
		       uint8_t ret_sha256[static 32], struct err *err)
{
	const json_t *size = json_object_get(object, "size");
	const char *sha256;

	if (!size)
		return manifest_json_bad(where, "size", "is missing", err);
	if (!json_is_integer(size) || json_integer_value(size) < 1)
		return manifest_json_bad(where, "size", "must be a whole number of bytes, at least 1",
					 err);
	if (manifest_json_text(object, where, &rule_sha256, &sha256, err) < 0)
		return -1;
	if (!hex_decode(sha256, ret_sha256, 32))
		return manifest_json_bad(where, "sha256", "must be 64 hexadecimal digits", err);
	*ret_size = (uint64_t)json_integer_value(size);
	return 0;
}

int manifest_json_object(const json_t *object, const char *where, const char *key,
			 const json_t **ret_object, char ret_where[static MANIFEST_WHERE_MAX],
			 struct err *err)
{
	const json_t *value = json_object_get(object, key);

	if (!value)
		return manifest_json_bad(where, key, "is missing", err);
	if (!json_is_object(value))
		return manifest_json_bad(where, key, "is not an object", err);
	manifest_json_where(ret_where, "%s%s.", where, key);
	*ret_object = value;
	return 0;
}

int manifest_json_pinned(const json_t *object, const char *where, const char *key, uint64_t max,
			 struct pinned_entry *entry, struct err *err)
{
	char inside[MANIFEST_WHERE_MAX];
	const json_t *pinned;

	if (manifest_json_object(object, where, key, &pinned, inside, err) < 0 ||
	    manifest_json_file(pinned, inside, &entry->file, err) < 0 ||
	    manifest_json_hash(pinned, inside, &entry->size, entry->sha256, err) < 0)
		return -1;
	if (entry->size > max)
		return manifest_json_bad(inside, "size", "is larger than this slotctl reads", err);
	return 0;
}
