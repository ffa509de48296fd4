/* SPDX-License-Identifier: MIT */
/*
 * The local header in front of each entry of a ZIP (APPNOTE 4.3.7), as bundles have
 * them: stored, not encrypted, sizes in front and not behind (no data descriptor).
 * It is checked against the directory.
 */
#pragma once

#include "bundle_source.h"

enum { ZIPLOCAL_NAME_MAX = 127, ZIPLOCAL_EXTRA_MAX = 64 };

struct ziplocal {
	char name[ZIPLOCAL_NAME_MAX + 1];
	uint32_t crc;
	uint64_t size;
	uint64_t header;	/* offset of this header */
	uint64_t data;		/* of its first byte */
	uint64_t next;		/* behind its last byte */
};

/* Reads the header at offset. EX_DATAERR: there is none, or an entry that a bundle
 * must not have; else as source->read(). */
int ziplocal_read(struct bundle_source *source, uint64_t offset, struct ziplocal *ret_local,
		  struct err *err);

/* The entry whose data begins at data: its header lies right in front. */
int ziplocal_find(struct bundle_source *source, uint64_t data, const char *name,
		  struct ziplocal *ret_local, struct err *err);
