/* SPDX-License-Identifier: MIT */
/*
 * A bundle opened for reading. The install steps see only this interface, so
 * that a reader which streams over range requests can take the place of the
 * present one (which fetches a remote bundle to a temporary file first).
 *
 * bundle_open() succeeds only if the manifest carries a good signature from
 * the keyring; nothing in a struct bundle is unauthenticated, except payload
 * bytes until bundle_check() or bundle_extract() has hashed them.
 */
#pragma once

#include "err.h"
#include "manifest.h"

#include <stdbool.h>

struct cms_rules;
struct fetch_options;
struct bundle;

struct bundle_options {
	const char *keyring;		/* PEM file of trusted certificates; NULL: do not
					 * check (bundle info only, says so) */
	const struct cms_rules *rules;	/* of the signature; NULL: the defaults of cms.h */
	const char *download_dir;	/* for the unlinked temporary file */
	const struct fetch_options *fetch;	/* for URLs; may be NULL for a path */
};

/* where is a path, or a file://, http:// or https:// URL. The caller closes.
 * EX_NOINPUT no such file; EX_UNAVAILABLE network or server; EX_DATAERR not a
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

/* Called with the payload's bytes in order, at most 1 MiB each; -1 (with err
 * filled) stops the extraction and is handed through. */
typedef int bundle_sink_fn(void *ctx, const uint8_t *data, size_t len, struct err *err);

/* Hands every byte of the payload to sink (NULL: only check) and verifies size
 * and SHA-256; -1 with EX_DATAERR when they differ, when the entry is missing
 * or encrypted, or decompresses badly. The sink may have seen wrong bytes then.
 * Never hands out more than payload->size bytes. *cancel, where not NULL, is
 * looked at between chunks: EX_TEMPFAIL "cancelled by a signal". */
int bundle_extract(struct bundle *bundle, const struct payload *payload,
		   bundle_sink_fn *sink, void *ctx, const volatile int *cancel,
		   struct err *err);
