/* SPDX-License-Identifier: MIT */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that text begins with (a NUL is one of one byte); 0 if it is none. */
size_t utf8_get(const char *text, uint32_t *ret_code);

/* Whether all of it is. */
bool utf8_is(const char *text);
