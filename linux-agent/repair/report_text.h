/* SPDX-License-Identifier: MIT */
/* Text of others (the journal, the kernel's log, a configuration) made fit for a bug tracker. */
#pragma once

#include <stddef.h>

/* In place, line by line: URLs are masked (redact.h); and what follows a word that announces a
 * secret ("token", "password", "secret", "authorization", "bearer", "api-key", "pin-value"; as
 * "password=...", "Authorization: ...") is "..." to the end of the line. Control characters
 * but newlines become "?". */
void report_text_redact(char *text);

/* In place: the lines that have one of the words (NULL ends them), in any case. */
void report_text_keep(char *text, const char *const words[]);
