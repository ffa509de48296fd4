/* SPDX-License-Identifier: MIT */
/*
 * Values of manifest.json, taken from a JSON object by key. Of manifest.c; no one else includes it.
 *
 * `where` is the object's place in the manifest, for messages: "" or "payloads[3].blocks.", with
 * its final dot. Each function that can fail returns 0, or -1 with "manifest.json: WHEREKEY ..."
 * and EX_DATAERR; those that allocate, EX_SOFTWARE as well. Nothing is set then, except for what
 * manifest_json_pinned() has filled in so far.
 */
#pragma once

#include "manifest.h"

#include <jansson.h>

enum { MANIFEST_WHERE_MAX = 64 };	/* "payloads[31].blocks.dictionary." */

#define MANIFEST_LOWER "abcdefghijklmnopqrstuvwxyz"
#define MANIFEST_UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define MANIFEST_DIGIT "0123456789"

/* The form of a string value. Every text that leaves the parser has one of these forms, so that it
 * is safe in messages, on a terminal and as a name. */
struct manifest_text {
	const char *key;
	size_t min, max;	/* bytes */
	const char *chars;	/* of which it consists */
	const char *expected;	/* the same in words */
};

/* Sets where; cut off if it is too long. */
void manifest_json_where(char where[static MANIFEST_WHERE_MAX], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* "manifest.json: WHEREKEY PROBLEM", EX_DATAERR; always -1. */
int manifest_json_bad(const char *where, const char *key, const char *problem, struct err *err);

/* A string of that form. *ret_text is the object's; a copy is the caller's to free. */
int manifest_json_text(const json_t *object, const char *where, const struct manifest_text *rule,
		       const char **ret_text, struct err *err);
int manifest_json_copy(const json_t *object, const char *where, const struct manifest_text *rule,
		       char **ret_text, struct err *err);

/* "file": an entry of the bundle, but none of its own. The caller frees it. */
int manifest_json_file(const json_t *object, const char *where, char **ret_file, struct err *err);

/* "size", at least 1, and "sha256". */
int manifest_json_hash(const json_t *object, const char *where, uint64_t *ret_size,
		       uint8_t ret_sha256[static 32], struct err *err);

/* The object under key, which remains its parent's, and its place. */
int manifest_json_object(const json_t *object, const char *where, const char *key,
			 const json_t **ret_object, char ret_where[static MANIFEST_WHERE_MAX],
			 struct err *err);

/* "file", "size" (at most max bytes) and "sha256" of the object under key. entry->file is the
 * caller's to free, also after a failure. */
int manifest_json_pinned(const json_t *object, const char *where, const char *key, uint64_t max,
			 struct pinned_entry *entry, struct err *err);
