/* SPDX-License-Identifier: MIT */
/*
 * The seek table of the published zstd seekable format (version 0.1.0): a skippable frame
 * behind the last frame, which zstd -d passes over and seekable readers find from the end.
 *
 *   0   4  0x184D2A5E, a skippable frame
 *   4   4  bytes that follow
 *   8   8  for each frame: its length, the bytes it holds; 4 each
 *   .   4  number of frames
 *   .   1  descriptor: 0, no checksums
 *   .   4  0x8F92EAB1
 *
 * slotctl itself goes by the signed chunk index, never by this table.
 */
#pragma once

#include "chunkindex.h"

/* The table for the frames of a FULL entry. The caller frees. EX_SOFTWARE: out of memory. */
int zstd_seekable_table_make(const struct chunkindex *index, uint8_t **ret_table, size_t *ret_len,
			     struct err *err);

/* What that table's length is. */
size_t zstd_seekable_table_size(const struct chunkindex *index);
