/* SPDX-License-Identifier: MIT */
/* What image a UKI says it is: IMAGE_ID and IMAGE_VERSION of its .osrel (os-release(5)). */
#pragma once

#include "ukifile.h"

struct osrel {
	char *image_id;		/* NULL: it does not say */
	char *image_version;
};

/* text ends with a NUL. Total on any bytes: a line that is no assignment says nothing, and
 * of one key the last line counts. -1: no memory. Clear it in every case. */
int osrel_parse(const char *text, struct osrel *ret_osrel);

/* Of a UKI's profile 0; one without .osrel says nothing. EX_DATAERR, EX_IOERR. */
int osrel_read(const struct ukifile *uki, struct osrel *ret_osrel, struct err *err);
void osrel_clear(struct osrel *osrel);
