/* SPDX-License-Identifier: MIT */
/*
 * Every byte of a bundle file that can be checked without a base: what the publisher asks
 * for, not a machine. One pass over each entry, in order, a chunk in memory at a time.
 *
 *   FULL     each frame gives its chunk, all together the payload of the manifest's
 *            SHA-256; the seek table is the one of these frames
 *   BLOCKS   each frame gives a block of its id; the blocks together give each chunk
 *   BASE     each frame declares its chunk's length; a frame without regions gives it
 */
#pragma once

#include "err.h"
#include "manifest.h"

/* path is a file, m its manifest, whose signature is the caller's matter. EX_DATAERR names
 * the entry and the chunk or block; EX_NOINPUT. */
int bundle_check(const char *path, const struct manifest *m, struct err *err);
