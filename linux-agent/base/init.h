/* SPDX-License-Identifier: MIT */
/* The init system, and running a program. sysroot is the configuration's: "" on a real machine. */
#pragma once

#include "err.h"

#include <stdbool.h>

bool init_is_systemd(const char *sysroot);

/* Where a program of the system is: the directories of init_run(), under sysroot. The
 * caller frees; NULL with errno. */
char *init_program_find(const char *sysroot, const char *name);

/* Runs a program to its end, with the signals of a shutdown blocked. It is looked for in
 * the system's own directories under sysroot, never by PATH. EX_UNAVAILABLE: it cannot be
 * run, or fails. */
int init_run(const char *sysroot, char *const argv[], struct err *err);
