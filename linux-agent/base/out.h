/* SPDX-License-Identifier: MIT */
/*
 * Where text leaves slotctl, for a terminal, a log or the journal. Much of it came from
 * outside: a server's answers, a manifest, names in certificates and file systems. One
 * filter, out_clean(), sees all of it: of errors in err.c, of progress in report.c, of
 * everything else here. JSON is ASCII.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* In place. "?" stands for what a terminal obeys or what hides what a text says: control
 * characters (C0, with newlines; DEL; C1), those of bidirectional text, the two separators
 * U+2028 and U+2029, each byte that is no UTF-8. Then URLs are masked (redact.h, with cap). */
void out_clean(char *text, size_t cap);

/* One line, or a part of it, to standard output, filtered; newlines that end fmt stay. */
void out_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same to standard error. */
void out_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints what was made with json_pack() and frees it; -1: there is nothing, or no memory.
 * flags are jansson's. */
int out_json(json_t *object, size_t flags);
