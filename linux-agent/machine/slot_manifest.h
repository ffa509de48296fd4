/* SPDX-License-Identifier: MIT */
#pragma once

#include "machine.h"
#include "manifest.h"

/* The manifest kept beside a slot's UKI on the ESP that is mounted there; NULL: none, or not to
 * be read. The caller frees. It is what was installed, but nobody checks its signature again. */
struct manifest *slot_manifest_read(const char *esp, unsigned slot);

/* Path of the file that a payload is in this slot: beside its UKI, or in its directory below
 * files= of the configuration. NULL: it is none, or there is no files=. The caller frees.
 * EX_SOFTWARE. */
int slot_payload_file(const struct machine *machine, unsigned slot, const struct payload *payload,
		      char **ret_path, struct err *err);
