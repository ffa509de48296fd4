/* SPDX-License-Identifier: MIT */
/*
 * The small JSON files beside the loader, EFI/slotboot/NAME on the ESP, that say what the
 * record has no room for: ledger.h, quirks.h, loader_note.h. None of them is needed to boot.
 */
#pragma once

#include "machine.h"

#include <jansson.h>

/* *ret_len 0: it is not there, cannot be read, or is larger than max. The caller frees. */
void esp_note_read(const struct machine *machine, const char *name, size_t max, uint8_t **ret_json,
		   size_t *ret_len);

/* The text of such a file; takes root, which may be NULL: no memory for it. The caller frees.
 * EX_SOFTWARE. */
int esp_note_format(const char *name, json_t *root, char **ret_json, struct err *err);

/* Durable once it returns 0. EX_IOERR, EX_SOFTWARE. */
int esp_note_write(struct machine *machine, const char *name, const char *json, struct err *err);

/* 0 also where there is none. EX_IOERR, EX_SOFTWARE. */
int esp_note_remove(struct machine *machine, const char *name, struct err *err);
