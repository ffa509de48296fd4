/* SPDX-License-Identifier: MIT */
/*
 * A UKI and the image it boots are one pair: the root hash is on the UKI's command
 * line (roothash= for the image rootfs, usrhash= for usr), in the manifest, and in the
 * image's dm-verity tree (verity.h), which may be an image of its own: rootfs-verity,
 * usr-verity. The manifest then has the hash there. A bundle in which they differ would
 * end in a machine that does not mount its root.
 */
#pragma once

#include "manifest.h"
#include "ukifile.h"

/* Where the bundle has an image rootfs or usr: manifest and command line name the
 * same root hash, there or at the image that is its tree, or neither names one. EX_DATAERR. */
int roothash_check_cmdline(const struct manifest *manifest, const struct ukifile *uki,
			   struct err *err);

/* The whole check, for the build machine: files[i] holds payload i. EX_NOINPUT,
 * EX_DATAERR. A UKI that cannot be read is left to others, unless an image has a
 * root hash. */
int roothash_check_files(const struct manifest *manifest, const char *const *files,
			 struct err *err);
