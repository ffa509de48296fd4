/* SPDX-License-Identifier: MIT */
/* ACPI tables, by the pointers in the firmware's configuration table (ACPI 6.5,
 * 5.2.5 to 5.2.8). */
#pragma once

#include "loader.h"

/* The first table with that signature (4 letters) and how many bytes it says it
 * has. Its checksum is the caller's business. NULL: there is none. */
const uint8_t *acpi_find(const struct loader *l, const char *signature, size_t *ret_len);
