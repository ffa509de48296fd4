/* SPDX-License-Identifier: MIT */
#include "bundle.h"

#include "cms.h"
#include "digest.h"
#include "spool.h"
#include "io.h"

#include <string.h>

#define FIRST_ENTRY "manifest.json"
struct bundle {
	char *where;
	struct bundle_source *source;
	struct ziparchive *archive;
	uint8_t *json, *p7s;		/* p7s: NULL if it is absent and not required */
	size_t json_len, p7s_len;
	struct manifest *manifest;
	char *signer;			/* NULL: not checked */
};

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to read a bundle: out of memory");
}

/* The manifest is parsed only after its signature proved good. */
static int manifest_read(struct bundle *b, const struct bundle_options *options,
			 struct err *err)
{
	struct zipentry entry;
	int found = ziparchive_find(b->archive, FIRST_ENTRY, &entry, err);

	if (found <= 0)
		return found < 0 ? -1 : err_set(err, EX_DATAERR, "it has no " FIRST_ENTRY);
	if (!entry.first)
		return err_set(err, EX_DATAERR, "its first entry is not " FIRST_ENTRY);
	if (zipentry_read(b->source, FIRST_ENTRY, &entry, MANIFEST_MAX_BYTES, &b->json,
			  &b->json_len, err) < 0)
		return -1;
	found = ziparchive_find(b->archive, "manifest.p7s", &entry, err);
	if (found < 0)
		return -1;
	if (found && zipentry_read(b->source, "manifest.p7s", &entry, CMS_MAX_BYTES, &b->p7s,
				   &b->p7s_len, err) < 0)
		return -1;
	if (options->keyring && !b->p7s)
		return err_set(err, EX_DATAERR, "it is not signed: it has no manifest.p7s");
	if (options->keyring && cms_verify_detached(b->json, b->json_len, b->p7s, b->p7s_len,
						    options->keyring, options->rules, &b->signer,
						    err) < 0)
		return -1;
	return manifest_parse(b->json, b->json_len, &b->manifest, err);
}

static int entry_check(const struct bundle *b, const char *name, struct err *err)
{
	if (!name || ziparchive_has(b->archive, name, NULL))
		return 0;
	return err_set(err, EX_DATAERR, "%s is missing: the manifest names it, the ZIP has none", name);
}

/* Everything the manifest names must be there, before a slot is touched. */
static int entries_check(const struct bundle *b, const struct payload *p, struct err *err)
{
	const char *names[4 + 2 * MANIFEST_MAX_BASES] = {
		p->file, p->index.file, p->blocks.index.file, p->blocks.dictionary.file,
	};
	size_t count = 4;

	for (size_t i = 0; i < p->base_count; i++) {
		names[count++] = p->bases[i].file;
		names[count++] = p->bases[i].index.file;
	}
	for (size_t i = 0; i < count; i++)
		if (entry_check(b, names[i], err) < 0)
			return -1;
	return 0;
}

static int bundle_read(struct bundle *b, const struct bundle_options *options, struct err *err)
{
	if (ziparchive_open(b->source, &b->archive, err) < 0 || manifest_read(b, options, err) < 0 ||
	    entry_check(b, b->manifest->loader.file, err) < 0)
		return -1;
	for (size_t i = 0; i < b->manifest->payload_count; i++)
		if (entries_check(b, &b->manifest->payloads[i], err) < 0)
			return -1;
	return 0;
}

/* Forget everything that was read. */
static void bundle_forget(struct bundle *b)
{
	ziparchive_close(b->archive);
	manifest_free(b->manifest);
	free(b->json);
	free(b->p7s);
	free(b->signer);
	*b = (struct bundle){ .where = b->where, .source = b->source };
}

bool bundle_again(const struct bundle *bundle, unsigned *tries, const struct err *err)
{
	struct bundle_source *source = bundle->source;

	if (err->exit != EX_DATAERR || !source->anew || *tries == BUNDLE_TRIES_MAX)
		return false;
	(*tries)++;
	source->anew(source);
	return true;
}

/* Also fetch again a manifest, a signature or a directory that arrived damaged. */
static int bundle_read_again(struct bundle *b, const struct bundle_options *options,
			     struct err *err)
{
	unsigned tries = 1;
	struct err why;

	for (;;) {
		why = (struct err){ 0 };
		if (bundle_read(b, options, &why) == 0)
			return 0;
		if (!bundle_again(b, &tries, &why))
			break;
		bundle_forget(b);
	}
	if (err)
		*err = why;
	return -1;
}

int bundle_open(const char *where, const struct bundle_options *options,
		struct bundle **ret_bundle, struct err *err)
{
	_cleanup_(bundle_closep) struct bundle *b = calloc(1, sizeof *b);

	if (!b)
		return no_memory(err);
	b->where = strdup(where);
	if (!b->where)
		return no_memory(err);
	if (bundle_source_open(b->where, &options->source, &b->source, err) < 0)
		return -1;
	if (options->verify_first && b->source->remote &&
	    spool_open(options->source.spool, b->source, &b->source, err) < 0)
		return bundle_prefix(b, err);
	if (bundle_read_again(b, options, err) < 0)
		return bundle_prefix(b, err);
	*ret_bundle = b;
	b = NULL;
	return 0;
}

void bundle_close(struct bundle *bundle)
{
	if (!bundle)
		return;
	bundle_forget(bundle);
	bundle_source_close(bundle->source);
	free(bundle->where);
	free(bundle);
}

void bundle_closep(struct bundle **bundle)
{
	bundle_close(*bundle);
}

const struct manifest *bundle_manifest(const struct bundle *bundle)
{
	return bundle->manifest;
}

void bundle_manifest_bytes(const struct bundle *bundle, const uint8_t **ret_json,
			   size_t *ret_json_len, const uint8_t **ret_p7s, size_t *ret_p7s_len)
{
	*ret_json = bundle->json;
	*ret_json_len = bundle->json_len;
	*ret_p7s = bundle->p7s;
	*ret_p7s_len = bundle->p7s_len;
}

const char *bundle_signer(const struct bundle *bundle)
{
	return bundle->signer;
}

struct bundle_source *bundle_source(const struct bundle *bundle)
{
	return bundle->source;
}

uint64_t bundle_entry_size(const struct bundle *bundle, const char *file)
{
	uint64_t size = 0;

	(void)ziparchive_has(bundle->archive, file, &size);
	return size;
}

int bundle_prefix(const struct bundle *bundle, struct err *err)
{
	const struct bundle_source *s = bundle->source;
	const char *doubt = s->doubt ? s->doubt(s) : "";
	char text[sizeof err->text];

	if (err && err->exit == EX_DATAERR && *doubt) {
		memcpy(text, err->text, sizeof text);
		(void)err_set(err, EX_DATAERR, "%s; %s", text, doubt);
	}
	return err_prefix(err, "bundle %s", bundle->where);
}

static int entry_must(struct bundle *b, const char *name, struct zipentry *ret_entry,
		      struct err *err)
{
	int found = ziparchive_find(b->archive, name, ret_entry, err);

	if (found == 0)
		return err_set(err, EX_DATAERR, "%s is missing: the manifest names it, the ZIP has "
			       "none", name);
	return found < 0 ? -1 : 0;
}

int bundle_frames(struct bundle *bundle, const char *file, uint64_t size,
		  struct zipentry *ret_entry, struct err *err)
{
	struct zipentry entry;

	if (entry_must(bundle, file, &entry, err) < 0)
		return bundle_prefix(bundle, err);
	if (entry.size < size) {
		(void)err_set(err, EX_DATAERR, "%s is %llu bytes, its index tells of %llu", file,
			      (unsigned long long)entry.size, (unsigned long long)size);
		return bundle_prefix(bundle, err);
	}
	*ret_entry = entry;
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct source_range *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

void bundle_soon(struct bundle *bundle, const struct pinned_entry *const *entries, size_t count)
{
	struct source_range ranges[BUNDLE_SOON_MAX];
	size_t n = 0;

	if (!bundle->source->need)
		return;
	for (size_t i = 0; i < count && n < BUNDLE_SOON_MAX; i++)
		n += entries[i]->file &&
		     ziparchive_place(bundle->archive, entries[i]->file, &ranges[n]);
	qsort(ranges, n, sizeof *ranges, by_offset);
	bundle->source->need(bundle->source, ranges, n);
}

static int pinned_read(struct bundle *b, const struct pinned_entry *pinned,
		       uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct zipentry entry;
	uint8_t digest[32];
	size_t len;

	if (entry_must(b, pinned->file, &entry, err) < 0)
		return -1;
	if (entry.size != pinned->size)
		return err_set(err, EX_DATAERR, "%s is %llu bytes in the ZIP and %llu in the "
			       "manifest", pinned->file, (unsigned long long)entry.size,
			       (unsigned long long)pinned->size);
	if (zipentry_read(b->source, pinned->file, &entry, MANIFEST_MAX_INDEX_BYTES, &data, &len,
			  err) < 0)
		return -1;
	if (EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return no_memory(err);
	if (memcmp(digest, pinned->sha256, sizeof digest) != 0)
		return err_set(err, EX_DATAERR, "%s is damaged or altered: its SHA-256 is not the "
			       "manifest's", pinned->file);
	*ret_data = data;
	*ret_len = len;
	data = NULL;
	return 0;
}

int bundle_pinned(struct bundle *bundle, const struct pinned_entry *pinned, uint8_t **ret_data,
		  size_t *ret_len, struct err *err)
{
	unsigned tries = 1;
	struct err why;

	do {
		why = (struct err){ 0 };
		if (pinned_read(bundle, pinned, ret_data, ret_len, &why) == 0)
			return 0;
	} while (bundle_again(bundle, &tries, &why));
	if (err)
		*err = why;
	return bundle_prefix(bundle, err);
}

/* What is in blocks has a block index, which says where each ends. */
static int blocks_check(const struct payload *payload, const struct chunkindex *index, struct err *err)
{
	for (uint32_t i = 0; !payload->blocks.index.file && i < index->count; i++)
		if (index->chunks[i].blocks)
			return err_set(err, EX_DATAERR, "chunk %u is in blocks, and the manifest has none", i);
	return 0;
}

int bundle_index(struct bundle *bundle, const struct payload *payload,
		 struct chunkindex *ret_index, struct err *err)
{
	_cleanup_(chunkindex_clear) struct chunkindex index = { 0 };
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (bundle_pinned(bundle, &payload->index, &data, &len, err) < 0)
		return -1;
	if (chunkindex_decode(data, len, payload->size, &index, err) < 0 ||
	    blocks_check(payload, &index, err) < 0) {
		(void)err_prefix(err, "%s", payload->index.file);
		return bundle_prefix(bundle, err);
	}
	*ret_index = index;
	index.chunks = NULL;
	return 0;
}
