/* SPDX-License-Identifier: MIT */
/*
 * Every byte of a bundle at hand that can be checked without a base: what the publisher
 * asks for, not a machine. A chunk in memory at a time.
 *
 *   FULL     each frame gives its chunk, all together the payload of the manifest's
 *            SHA-256; the seek table is the one of these frames
 *   BLOCKS   each frame gives a block of its id; the blocks together give each chunk
 *   BASE     each frame declares its chunk's length; a frame without regions gives it
 */
#pragma once

#include "bundle.h"

/* The signature was bundle_open()'s matter. EX_DATAERR names the entry and the chunk or
 * block; else as source->read(). */
int bundle_check(struct bundle *bundle, struct err *err);
