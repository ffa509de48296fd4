/* SPDX-License-Identifier: MIT */
/* What is on a disk before it is provisioned. Only reads. */
#pragma once

#include "layout.h"

/* Stands at the beginning of the disk, or of the ESP where the table is kept, from before the first byte
 * is written until all of it is there: neither a boot sector nor a file system. */
#define FOUND_MARK "slotboot: provisioning was begun here and not finished\n"

#define FOUND_OTHERS 126

struct found {
	bool cut_off;		/* an earlier run ended in the middle */
	bool adopted;		/* the partitions are there already; layout has them */
	struct layout layout;
	uint8_t old_esp[LAYOUT_GUID_BYTES];	/* of the table that is there; 0: none */
	uint64_t old_starts[FOUND_OTHERS + 2];	/* of the partitions that are there, bytes; 0: no more */
	struct layout_part others[FOUND_OTHERS];	/* not in layout; role and type say nothing */
	size_t other_count;
	char what[256];		/* for people: "a gpt partition table"; "": nothing */
};

/* sector_bytes 0: an image file, whose table may be in sectors of either size. arch: for the types
 * of what is adopted. EX_IOERR; EX_CONFIG: it has our labels, but not one of each. */
int found_look(const char *path, unsigned sector_bytes, uint64_t bytes, enum layout_arch arch,
	       struct found *ret_found, struct err *err);

/* Adopted partitions: adds to layout those of the further images of want, which have their GUID where
 * that is given, else their label. what may be filled anew, as by found_look(). EX_CONFIG: one is
 * missing, or there twice, or lies where it cannot be written; EX_IOERR. */
int found_images(const char *path, const struct layout_want *want, struct found *found, struct err *err);
