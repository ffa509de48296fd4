/* SPDX-License-Identifier: MIT */
/*
 * What a boot entry for one of our files on an ESP looks like. Without shim its path is the file's. Where
 * esp->shim names a shim, its path is shim's, and the optional data has what shim is to start (shim's
 * load-options.c): the file's path, in UTF-16, then a NUL, or a blank and what the file itself is to
 * be given:
 *
 *     HD(...)/File(\EFI\slotboot\shimx64.efi)   "\EFI\slotboot\slotbootx64.efi"
 *     HD(...)/File(\EFI\slotboot\shimx64.efi)   "\EFI\slotboot\a\uki.efi @1"
 *
 * shim without options, as somebody makes such an entry by hand, starts the loader (grubx64.efi).
 */
#pragma once

#include "err.h"
#include "espinfo.h"

/* Whether Boot#### of these bytes leads to the file, itself or by shim. path as in loadoption.h.
 * False for whatever does not parse. */
bool espentry_leads(const struct esp_info *esp, const uint8_t *data, size_t len, const char *path);

/* Whether it does so in the way in which such entries are made now. */
bool espentry_is_made_so(const struct esp_info *esp, const uint8_t *data, size_t len, const char *path);

/* The path that an entry for the file gets: its own, or shim's. */
const char *espentry_path(const struct esp_info *esp, const char *path);

/* The optional data that it gets, of those for the file itself (options, which may be NULL). The caller
 * frees. EX_SOFTWARE. */
int espentry_options(const struct esp_info *esp, const char *path, const uint8_t *options, size_t options_len,
		     uint8_t **ret_data, size_t *ret_len, struct err *err);
