/* SPDX-License-Identifier: MIT */
/*
 * Every byte of a bundle at hand that can be checked without a base: what the publisher
 * asks for, not a machine. A few chunks in memory at a time, on all processors.
 *
 *   frames   of each chunk give it, those of blocks where the block index has them and with
 *            its ids; all together the payload of the manifest's SHA-256
 *   BASE     each frame declares its chunk's length; a frame without regions gives it
 */
#pragma once

#include "bundle.h"

/* The signature was bundle_open()'s matter. EX_DATAERR names the entry and the chunk or
 * block; else as source->read(). */
int bundle_check(struct bundle *bundle, struct err *err);
