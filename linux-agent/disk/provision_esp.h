/* SPDX-License-Identifier: MIT */
/* What is on the ESP of a disk that is provisioned, beside what an install leaves in slot A. */
#pragma once

#include "esp_stage.h"
#include "record.h"

/* The loader (NULL: there is none) at its own and at the fallback path, the mirror of the record, the
 * directory of slot B, and loader/entries/slotboot-a.conf and -b.conf, which no update changes: so
 * that bootctl lists the slots, and another boot manager can start them. EX_DATAERR: no loader for this machine; EX_NOINPUT. */
int provision_esp_fill(struct esp_stage *stage, const uint8_t *loader, size_t loader_len,
		       const struct record *record, struct err *err);

/* The loader of a file, read before anything is planned; the caller frees. As above. */
int provision_loader_read(const char *path, uint8_t **ret_data, size_t *ret_len, struct err *err);
