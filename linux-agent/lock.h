/* SPDX-License-Identifier: MIT */
/* One change at a time: every verb that changes something holds this lock. */
#pragma once

#include "err.h"

/* Takes the lock without waiting, creating the file and its last directory. Only
 * its owner can open the file, or anyone could keep mark-good from running. The
 * lock ends when *ret_fd is closed. EX_TEMPFAIL: another slotctl holds it (its
 * process number is named). */
int lock_take(const char *path, int *ret_fd, struct err *err);
