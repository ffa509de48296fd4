/* SPDX-License-Identifier: MIT */
/* Lines on the firmware's console, written only when something is wrong. */
#pragma once

#include "loader.h"

/* ASCII; a machine without a console swallows it. */
void console_put(const struct loader *l, const char *text);
/* "0x800000000000000e" */
void console_put_hex(const struct loader *l, uint64_t value);
