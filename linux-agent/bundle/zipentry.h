/* SPDX-License-Identifier: MIT */
/*
 * The entries of a ZIP that nobody vouches for yet. Bundles have few entries, all stored,
 * none encrypted, under plain names, and nothing in front, between or behind that a tool
 * might see otherwise: so this is a reader for them alone (docs/DESIGN.md says why it is
 * not libzip). Messages name the entry, not the file: the caller puts that in front.
 */
#pragma once

#include "bundle_source.h"

#define ZIPENTRY_NAME_MAX 127

struct zipentry {
	uint64_t offset;	/* of its first byte in the source */
	uint64_t size;
	uint32_t crc;
	bool first;		/* in the ZIP: nothing is in front of it */
};

struct ziparchive;

/* Reads the directory; the source must outlive the archive. EX_DATAERR: not a ZIP, truncated, inconsistent, a name twice or not
 * plain, an entry that is no file; else as source->read(). The caller closes. */
int ziparchive_open(struct bundle_source *source, struct ziparchive **ret_archive, struct err *err);
void ziparchive_close(struct ziparchive *archive);
void ziparchive_closep(struct ziparchive **archive);

/* The entry of this name, its local header checked against the directory; found: 1,
 * none: 0. -1: EX_DATAERR encrypted, compressed, headers that disagree, over one that was
 * found before. */
int ziparchive_find(struct ziparchive *archive, const char *name, struct zipentry *ret_entry,
		    struct err *err);

/* The directory has it, and says so of its size (may be NULL); nothing more is looked at. */
bool ziparchive_has(const struct ziparchive *archive, const char *name, uint64_t *ret_size);

/* Where in the source an entry is, from its local header on, and no more than a few bytes behind its
 * end; false: there is none. */
bool ziparchive_place(const struct ziparchive *archive, const char *name, struct source_range *ret_range);

/* Reads an entry of at most max bytes and checks its CRC. The caller frees. */
int zipentry_read(struct bundle_source *source, const char *name, const struct zipentry *entry,
		  uint64_t max, uint8_t **ret_data, size_t *ret_len, struct err *err);
