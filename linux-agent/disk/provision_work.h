/* SPDX-License-Identifier: MIT */
/* What a first installation works on (provision.h): its plan in words, and its steps 2 to 5. */
#pragma once

#include "bundle.h"
#include "found.h"
#include "install_payload.h"
#include "machine.h"
#include "provision.h"
#include "target.h"

struct provision {
	const struct provision_options *options;
	struct install_options how;
	struct install install;
	struct machine machine;
	struct bundle *bundle;
	struct target target;
	struct found found;
	struct layout layout;
	uint64_t time;			/* of files and the record; 0: now */
	uint8_t *loader;		/* of a file; NULL: the bundle's, which install.loader has, or
					 * none (direct) */
	size_t loader_len;
	uint8_t *shim;			/* NULL: the configuration names none */
	size_t shim_len;
	uint8_t *entry_options;		/* of slot A's own entry; NULL: none */
	size_t entry_options_len;
};

/* To the report: what is there, what will be written. */
void provision_report(const struct provision *p);

/* All that is written, in the order of provision.h. EX_IOERR, EX_DATAERR, EX_UNAVAILABLE,
 * EX_SOFTWARE. */
int provision_write(struct provision *p, struct err *err);
