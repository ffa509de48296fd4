/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 as RFC 3629 has it (no overlong forms, no surrogates, nothing beyond U+10FFFF)
 * and UTF-16, little endian, as RFC 2781 has it (no lone surrogates).
 */
#pragma once

#include "bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the place of the number of bytes: the text ends with a NUL. */
#define UTF8_TO_NUL SIZE_MAX

/* Bytes, 1 to 4, of the code point that text begins with (a NUL is one of one byte);
 * 0 if it is none. left > 0: bytes that may be looked at. */
size_t utf8_get(const void *text, size_t left, uint32_t *ret_code);

/* Whether all of it is UTF-8. */
bool utf8_is(const char *text);

/* Writes a code point, 1 to 4 bytes; returns how many. */
size_t utf8_put(uint8_t *out, uint32_t code);

/* The same in bytes of UTF-16, 2 or 4. */
size_t utf16_get(const uint8_t *text, size_t left, uint32_t *ret_code);
size_t utf16_put(uint8_t *out, uint32_t code);
