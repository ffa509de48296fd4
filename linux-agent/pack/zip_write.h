/* SPDX-License-Identifier: MIT */
/*
 * Writing a bundle's ZIP: stored entries in the order of their ranks, each with the same
 * date and attributes, so that only contents and names decide the bytes.
 */
#pragma once

#include "err.h"
#include "manifest.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <zip.h>

/* The order of docs/FORMAT.md: the manifest, its signature, a loader, then for each payload its
 * small entries and its frames. */
enum {
	RANK_MANIFEST,
	RANK_SIGNATURE,
	RANK_LOADER,
	RANK_PAYLOADS,
	/* within a payload; bases add their number */
	RANK_INDEX = 0,
	RANK_BLOCKS_INDEX,
	RANK_DICTIONARY,
	RANK_BASE_INDEX,
	RANK_FULL = RANK_BASE_INDEX + MANIFEST_MAX_BASES,
	RANK_BASE,
	RANKS_EACH = RANK_BASE + MANIFEST_MAX_BASES,
};

struct zip_write_entry {
	unsigned rank;		/* each occurs once */
	const char *name;	/* the caller's, for as long as the list */
	uint8_t *data;		/* owned; NULL: the content is elsewhere */
	size_t len;
	FILE *file;		/* owned; all of it, from the start */
	zip_t *from;		/* the caller's, open until the ZIP is written; entry from_index */
	zip_uint64_t from_index;
};

struct zip_write {
	struct zip_write_entry entries[RANK_PAYLOADS + MANIFEST_MAX_PAYLOADS * RANKS_EACH];
	size_t count;
};

/* Each takes its content. */
void zip_write_add_data(struct zip_write *zip, unsigned rank, const char *name, uint8_t *data,
			size_t len);
void zip_write_add_file(struct zip_write *zip, unsigned rank, const char *name, FILE *file);

/* Copies an entry of another ZIP. */
void zip_write_add_copy(struct zip_write *zip, unsigned rank, const char *name, zip_t *from,
			zip_uint64_t index);

void zip_write_clear(struct zip_write *zip);

/* A file without a name in the directory that output will be in; the caller closes. */
int zip_write_temporary(const char *output, FILE **ret_file, struct err *err);

/* Writes the ZIP beside output and, if check (may be NULL) finds it good, puts it in its
 * place. On success it is complete and durable under that name; on failure nothing is left
 * behind and an older file of that name is untouched. Takes the files. EX_IOERR. */
int zip_write(struct zip_write *zip, const char *output,
	      int (*check)(const char *path, struct err *err), struct err *err);
