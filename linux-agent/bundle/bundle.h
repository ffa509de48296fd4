/* SPDX-License-Identifier: MIT */
/*
 * A bundle opened for reading: a file, or an object on a web server.
 *
 * bundle_open() succeeds only if the manifest carries a good signature from the
 * keyring. Index entries and dictionaries are pinned by the manifest, chunks by
 * their index; frames are nobody's word until what they yield was hashed.
 */
#pragma once

#include "chunkindex.h"
#include "manifest.h"
#include "zipentry.h"

#include <stdbool.h>

struct chunkdict;
struct cms_rules;
struct bundle;

struct bundle_options {
	const char *keyring;		/* PEM file of trusted certificates; NULL: do not
					 * check (bundle info only, says so) */
	const struct cms_rules *rules;	/* of the signature; NULL: the defaults of cms.h */
	struct bundle_source_options source;	/* what it points to outlives the bundle */
	bool verify_first;		/* what is read of a remote one is kept: spool.h */
};

/* where is a path, or a file://, http:// or https:// URL. The caller closes.
 * Errors as bundle_source_open(); EX_DATAERR not a
 * ZIP, truncated, no or bad manifest, unsigned, wrong signer, expired. */
int bundle_open(const char *where, const struct bundle_options *options,
		struct bundle **ret_bundle, struct err *err);
void bundle_close(struct bundle *bundle);
void bundle_closep(struct bundle **bundle);

/* Valid until bundle_close(). */
const struct manifest *bundle_manifest(const struct bundle *bundle);

/* The manifest's and the signature's very bytes, kept beside the installed UKI. */
void bundle_manifest_bytes(const struct bundle *bundle, const uint8_t **ret_json,
			   size_t *ret_json_len, const uint8_t **ret_p7s,
			   size_t *ret_p7s_len);

/* "CN=..., O=..." of the signer, or NULL if the signature was not checked. */
const char *bundle_signer(const struct bundle *bundle);

/* These entries are read soon: they are fetched at once, up to PREFETCH_BYTES. A hint. */
enum { BUNDLE_SOON_MAX = 32 };
void bundle_soon(struct bundle *bundle, const struct pinned_entry *const *entries, size_t count);

/* Reads an entry whose size and SHA-256 the manifest has. EX_DATAERR: it is missing
 * or differs; else as source->read(). The caller frees. */
int bundle_pinned(struct bundle *bundle, const struct pinned_entry *pinned, uint8_t **ret_data,
		  size_t *ret_len, struct err *err);

/* A payload's chunk index, checked: chunks in blocks only where the manifest has blocks. Errors as
 * bundle_pinned(). The caller clears. */
int bundle_index(struct bundle *bundle, const struct payload *payload,
		 struct chunkindex *ret_index, struct err *err);

/* The dictionary of a payload's frames; NULL where it has none. EX_DATAERR: it is none; errors as
 * bundle_pinned(). chunkdict_free() frees it. */
int bundle_dictionary(struct bundle *bundle, const struct payload *payload,
		      struct chunkdict **ret_dict, struct err *err);

/* Where an entry of frames lies in the source, at least size bytes long. EX_DATAERR. */
int bundle_frames(struct bundle *bundle, const char *file, uint64_t size,
		  struct zipentry *ret_entry, struct err *err);

/* What the ZIP's directory says of an entry that the manifest names; nobody vouches for it. */
uint64_t bundle_entry_size(const struct bundle *bundle, const char *file);

/* What was read is wrong, for the reason in err: whether it may be read once more. If so
 * it will be fetched anew. *tries: how often it was read, 1 at first. */
#define BUNDLE_TRIES_MAX 3
bool bundle_again(const struct bundle *bundle, unsigned *tries, const struct err *err);

struct bundle_source *bundle_source(const struct bundle *bundle);

/* "bundle WHERE: " before the message, and behind EX_DATAERR what source->doubt() says; -1. */
int bundle_prefix(const struct bundle *bundle, struct err *err);

/* --- bundle_extract.c ------------------------------------------------------ */

/* The frames of chunk i, as they are in entry (bundle_frames()): index->chunks[i].frame bytes, to be read
 * chunk after chunk. Errors as source->read(), without the bundle's name. */
int bundle_chunk_read(struct bundle *bundle, const struct zipentry *entry, const struct chunkindex *index,
		      uint32_t i, uint8_t *frames, struct err *err);

/* Called with the payload's bytes in order, at most 1 MiB each; -1 (with err
 * filled) stops the extraction and is handed through. */
typedef int bundle_sink_fn(void *ctx, const uint8_t *data, size_t len, struct err *err);

/* Hands every byte of the payload to sink (NULL: only check), each chunk after its
 * SHA-256 proved right; -1 with EX_DATAERR when one differs, or that of the whole
 * payload, or the frames are missing or damaged. Of an image by reference the index is
 * checked, and a sink is EX_DATAERR. *cancel, where not NULL, is looked at between chunks:
 * EX_TEMPFAIL "cancelled by a signal". */
int bundle_extract(struct bundle *bundle, const struct payload *payload,
		   bundle_sink_fn *sink, void *ctx, const volatile int *cancel,
		   struct err *err);
