/* SPDX-License-Identifier: MIT */
/*
 * The kernel command line of a UKI: `{slot}` becomes a or b, `{SLOT}` A or B.
 * The loader hands the result over in LoadOptions, kexec as its command line,
 * a direct boot entry as optional data; all three come from here.
 */
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CMDLINE_MAX (64 * 1024)

/* 'a' or 'b' */
char slot_letter(unsigned slot);

/* Bytes up to the first NUL (objcopy and ukify pad with them), less white
 * space at the end. */
size_t cmdline_length(const uint8_t *text, size_t len);

/* Whether it holds {slot} or {SLOT}. */
bool cmdline_has_slot(const uint8_t *text, size_t len);

/* Copies text to ret_text (cap bytes) with the slot filled in, terminated by a
 * NUL that *ret_len does not count. Never longer than text. SB_LONG: cap. */
enum sb_error cmdline_fill(const uint8_t *text, size_t len, unsigned slot, char *ret_text,
			   size_t cap, size_t *ret_len);

/* The value of the last "key=value" word, in place; NULL if there is none. Ends
 * at *ret_len. Words are parted by white space outside double quotes. */
const char *cmdline_get(const char *text, const char *key, size_t *ret_len);
