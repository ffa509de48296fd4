/* SPDX-License-Identifier: MIT */
/* One at a time: a file that a process holds until it ends (machine.h says which). */
#pragma once

#include "err.h"

/* Takes the lock, waiting for at most wait_s seconds, and creating the file and its last
 * directory. Only its owner can open the file, or anyone could keep mark-good from
 * running; a symbolic link is refused. The lock ends when *ret_fd is closed.
 * EX_TEMPFAIL: another slotctl holds it (its process number is named). */
int lock_take(const char *path, unsigned wait_s, int *ret_fd, struct err *err);
