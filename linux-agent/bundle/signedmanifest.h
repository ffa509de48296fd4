/* SPDX-License-Identifier: MIT */
/* A manifest and its signature as two files of one stem, "DIR/manifest" or "DIR/floor-1",
 * with .json and .p7s behind it: what an install leaves beside a UKI. */
#pragma once

#include "cms.h"
#include "manifest.h"

struct signed_manifest {
	struct manifest *manifest;
	char *signer;		/* who signed it: the subjects */
	uint8_t *json, *p7s;	/* the files */
	size_t json_len, p7s_len;
};

/* 1: the signature holds by keyring and rules (cms.h); the caller clears. 0: there is no
 * STEM.p7s. -1: EX_DATAERR, it does not hold, or it stands alone; EX_CONFIG: the keyring
 * or a revocation list; EX_IOERR; EX_SOFTWARE. */
int signed_manifest_read(const char *stem, const char *keyring, const struct cms_rules *rules,
			 struct signed_manifest *ret_manifest, struct err *err);

/* The same of one that is kept on this machine and was good when it came: the dates of
 * certificates do not matter any more. */
int signed_manifest_read_kept(const char *stem, const char *keyring, const struct cms_rules *rules,
			      struct signed_manifest *ret_manifest, struct err *err);
void signed_manifest_clear(struct signed_manifest *manifest);
