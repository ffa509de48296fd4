/* SPDX-License-Identifier: MIT */
/*
 * SBAT (shim's SBAT.md): a generation number for each component of an EFI program, in its
 * section .sbat, and the lowest that shim still starts, in the variable SbatLevelRT. Both
 * are lines of comma-separated text that begin with a name and a number:
 *
 *     systemd-stub,1,The systemd Developers,systemd,257,https://systemd.io/
 *
 * Any bytes are safe.
 */
#pragma once

#include "err.h"

#include <stddef.h>
#include <stdint.h>

#define SBAT_MAX_BYTES (64 * 1024)
#define SBAT_MAX_ENTRIES 128

struct sbat_entry {
	const char *name;		/* into the text; not terminated */
	size_t name_len;
	unsigned generation;		/* 1 to 65535 */
};

struct sbat {
	struct sbat_entry entries[SBAT_MAX_ENTRIES];
	size_t count;
};

/* The text ends at len or at its first NUL, and must outlive *ret_sbat. Empty lines are passed
 * over, fields behind the second are not looked at. EX_DATAERR: a line without a name or a
 * generation, or too much of it; what is for the message. */
int sbat_parse(const char *what, const char *text, size_t len, struct sbat *ret_sbat,
	       struct err *err);

/* The first entry of the image whose generation is below the level's for that name; NULL:
 * none. *ret_wanted: the level's. */
const struct sbat_entry *sbat_revoked(const struct sbat *image, const struct sbat *level,
				      unsigned *ret_wanted);
