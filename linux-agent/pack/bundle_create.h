/* SPDX-License-Identifier: MIT */
/*
 * Making a bundle, on the build machine: needs neither root nor a slot. The same inputs
 * and RSA keys give the same bytes, in any time zone, with any number of threads.
 */
#pragma once

#include "cms.h"
#include "err.h"
#include "manifest.h"

#include <stdbool.h>
#include <stddef.h>

struct report;

struct bundle_image {
	const char *name;	/* stored as NAME.img.zst and beside it */
	const char *file;
	const char *root_hash;	/* lower-case hex, or NULL */
	bool by_reference;	/* its bytes are left out: the machines have them */
};

/* A credential, a sysext, a confext or an update of the firmware's keys, for beside the UKI; or a
 * file for the slot's directory. */
struct bundle_beside {
	enum payload_type type;
	const char *name;	/* without the file name's end: struct payload; "dbx-1" */
	const char *file;
};

/* An older image of a payload, from which a delta is made. */
struct bundle_base {
	const char *name;	/* of the payload: an image's, or "uki" */
	const char *file;
};

struct bundle_create_options {
	const char *output;	/* replaced only once the new one is complete */
	const char *compatible;
	const char *version;
	bool raise_floor;	/* struct manifest, raises_floor */
	const char *loader;	/* stored as loader.efi; NULL: none */
	const char *uki;	/* stored as uki.efi.zst and beside it */
	const char *addons[2];	/* for slot a and b, or NULL both; stored as slot-a.addon.efi.zst
				 * and slot-b.addon.efi.zst */
	const struct bundle_beside *besides;	/* stored as credential-1.zst and so on */
	size_t beside_count;
	const struct bundle_image *images;
	size_t image_count;
	const struct bundle_base *bases;
	size_t base_count;
	const struct cms_signer *signers;
	size_t signer_count;	/* 0: the bundle is not signed */
	bool no_blocks;		/* leave out the delta from any older image */
	const char *reuse;	/* an older bundle, a file: its frames are used again where a chunk
				 * holds the same; NULL: none. May be output */
	unsigned chunk_log;	/* 0: CHUNK_DEFAULT_LOG */
	unsigned threads;	/* 0: one for each processor */
	int level;		/* zstd's; 0: PACKER_LEVEL, PACKER_BLOCKS_LEVEL */
	struct report *report;	/* NULL: nothing is shown */
};

/* On success the bundle is complete, read back and durable under its name; on failure
 * nothing is left behind and an older bundle of that name is untouched. What can be said
 * of names and values is said before anything is packed. EX_NOINPUT, EX_NOPERM: an input
 * cannot be read; EX_DATAERR: an input is empty, not a UKI, changed while it was read, a name
 * or value is not allowed, or what the older bundle pins is damaged; EX_USAGE: the older bundle
 * is a URL; EX_IOERR: writing. Temporary files without a name, as large as the bundle, are in its
 * directory meanwhile. */
int bundle_create(const struct bundle_create_options *options, struct err *err);
