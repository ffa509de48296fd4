/* SPDX-License-Identifier: MIT */
/* What is on the ESP of a disk that is provisioned, beside what an install leaves in slot A. */
#pragma once

#include "esp_stage.h"
#include "record.h"

/* What the firmware starts, and what that starts; the caller's. */
struct provision_programs {
	const uint8_t *loader;		/* NULL: there is none */
	size_t loader_len;
	const uint8_t *shim;		/* NULL: the firmware starts the loader itself */
	size_t shim_len;
	const char *shim_name;
};

/* The loader at its own and at the fallback path, or behind shim, which has the fallback path then; the mirror of the
 * record, the directory of slot B, and loader/entries/slotboot-a.conf and -b.conf, which no update changes: so
 * that bootctl lists the slots, and another boot manager can start them. EX_DATAERR: no loader for this machine; EX_NOINPUT. */
int provision_esp_fill(struct esp_stage *stage, const struct provision_programs *programs,
		       const struct record *record, struct err *err);

/* The loader or shim of a file, read before anything is planned; what ("loader", as its option is called) is for
 * messages. The caller frees. As above. */
int provision_program_read(const char *path, const char *what, uint8_t **ret_data, size_t *ret_len, struct err *err);
