/* SPDX-License-Identifier: MIT */
/* Keeps secrets out of messages, and out of the list of processes. */
#pragma once

#include "err.h"

#include <stddef.h>
#include <sys/stat.h>

/* In place, in each URL of text (RFC 3986): what stands between :// and @, and what
 * follows the ?, becomes "...": a user and a password, and what signs a URL of a store.
 * "https://me:pw@host/x?sig=1" reads "https://...@host/x?...". Where the text was cut (its
 * length is cap - 1) an authority without an end goes too. */
void redact_mask_urls(char *text, size_t cap);

/* Masks the URLs of a command line where every user of the machine can read it (/proc/PID/cmdline,
 * ps): main()'s argv, in place. An argument with a secret is replaced in argv by a copy, which lives
 * as long as the process; from then on this process leaves no core. EX_SOFTWARE. */
int redact_argv(int argc, char **argv, struct err *err);

/* Overwrites a text that is not needed any more. */
void redact_wipe(char *text);
/* That, and frees it; for _cleanup_. */
void redact_freep(char **text);

/* EX_CONFIG "others may read it ...": what is at path, for whoever reads a secret there. */
int redact_check_mode(const char *path, const struct stat *st, struct err *err);

/* A secret is about to be read: from now on this process leaves no core. */
void redact_keep(void);
