/* SPDX-License-Identifier: MIT */
/*
 * Making a bundle, on the build machine: needs neither root nor a slot. The
 * same inputs and an RSA key give the same bytes, in any time zone.
 */
#pragma once

#include "err.h"

#include <stddef.h>

struct bundle_image {
	const char *name;	/* stored as NAME.img.zst */
	const char *file;
	const char *root_hash;	/* lower-case hex, or NULL */
};

struct bundle_create_options {
	const char *output;	/* replaced only once the new one is complete */
	const char *compatible;
	const char *version;
	const char *uki;	/* stored as uki.efi.zst */
	const struct bundle_image *images;
	size_t image_count;
	const char *key;	/* PEM, unencrypted */
	const char *cert;	/* PEM; the signer's first, then any intermediates */
};

/* On success the bundle is complete, read back and durable under its name; on
 * failure nothing is left behind and an older bundle of that name is untouched.
 * EX_NOINPUT, EX_NOPERM: an input cannot be read; EX_DATAERR: an input is empty,
 * not a UKI, changed while it was read, or a name or value is not allowed;
 * EX_IOERR: writing. */
int bundle_create(const struct bundle_create_options *options, struct err *err);
