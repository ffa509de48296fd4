/* SPDX-License-Identifier: MIT */
/*
 * The files beside a slot's UKI, held against the signed manifest that vouches for it: each
 * is one of its payloads, with that digest, or a stranger; and none may be missing.
 */
#pragma once

#include "manifest.h"
#include "memfile.h"

#include <assert.h>
#include <stdbool.h>

struct beside {
	const struct manifest *manifest;	/* NULL: none vouches for anything */
	unsigned slot;
	uint32_t found;		/* bit per payload that was there, and right */
	char *stranger;		/* path of the first that no payload is, or NULL */
};

static_assert(MANIFEST_MAX_PAYLOADS <= 32, "a bit of found for each payload");

void beside_clear(struct beside *beside);

/* Which payload a file in the directory must be; NULL: none, and if a manifest vouches for
 * the slot it is noted as a stranger. EX_SOFTWARE. */
int beside_expect(struct beside *beside, const char *path, const char *name,
		  const struct payload **ret_payload, struct err *err);

/* Compares what was copied of it, bytes begin to file->size of the memory file, which
 * nobody else has; if it is the payload, that is found. EX_DATAERR: it is not, or it is not
 * the one of the right size; EX_IOERR. */
int beside_compare(struct beside *beside, const struct payload *payload, const char *path,
		   const struct memfile *file, uint64_t begin, struct err *err);

/* Once all files were seen. EX_DATAERR: one of the manifest is missing. EX_CONFIG: with Secure
 * Boot on there is a stranger. extra_dir for messages. */
int beside_check(const struct beside *beside, const char *extra_dir, bool secure_boot,
		 struct err *err);
