/* SPDX-License-Identifier: MIT */
/*
 * A source that keeps what was read of another one, for a second reading: of a bundle on
 * a web server every chunk can then be verified before the slot is touched, and the slot
 * be written from what was verified. It is kept in a spool_file, each byte at its own
 * offset, so that only what was read takes room.
 *
 * When something came wrong (anew) all that was kept is dropped and, where it is wanted,
 * fetched again.
 */
#pragma once

#include "bundle_source.h"

/* Takes over source, which is remote; on failure it remains the caller's. directory is where
 * the file is made, and outlives it. EX_CONFIG: it cannot be made there. */
int spool_open(const char *directory, struct bundle_source *source, struct bundle_source **ret_source,
	       struct err *err);

/* From now on what is read is kept; at first it is not. */
void spool_keep(struct bundle_source *source);

/* Is there room for so many bytes more? EX_IOERR "no room": says how much there is. */
int spool_room(const struct bundle_source *source, uint64_t bytes, struct err *err);
