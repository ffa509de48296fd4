/* SPDX-License-Identifier: MIT */
/*
 * How the agent's libraries report a failure: they fill one struct err and
 * return -1; only main() prints it. A message names the action, the object
 * and the cause, and, where there is one, the fix:
 *
 *     failed to open slot b (/dev/nvme0n1p3): No space left on device
 *
 * The exit status is from sysexits.h and is chosen where the cause is known:
 *
 *     EX_USAGE 64        wrong command line
 *     EX_DATAERR 65      a refused bundle or image
 *     EX_NOINPUT 66      a named file does not exist or cannot be read
 *     EX_UNAVAILABLE 69  network or server; or the machine is not well
 *     EX_SOFTWARE 70     out of memory, a bug
 *     EX_OSERR 71        all is done, but the reboot was refused
 *     EX_IOERR 74        reading or writing a slot, the ESP or a variable
 *     EX_TEMPFAIL 75     busy: another slotctl holds the lock
 *     EX_NOPERM 77       a permission is missing
 *     EX_CONFIG 78       configuration, or a machine that is not set up
 *
 * and, of doctor, 1: it found faults.
 */
#pragma once

#include <sysexits.h>

struct err {
	int exit;		/* one of the above; 0 while nothing failed */
	char text[1024];	/* UTF-8, no newline, always terminated */
};

/* Fills err (which may be NULL) and returns -1, so that callers can write
 * return err_set(...). A message too long for text is cut; then it is filtered
 * (out_clean()). */
int err_set(struct err *err, int exit, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, with ": strerror(errno_value)" appended; the exit status is taken
 * from the errno where that says more (EACCES, EPERM: EX_NOPERM) and is `exit` otherwise. */
int err_errno(struct err *err, int exit, int errno_value, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "prefix: " before the message already there and returns -1. */
int err_prefix(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* That they return -1 is for the compiler to see, and for whoever analyses a caller: on the way
 * of an error no output was written. */
#define err_set(...) (err_set(__VA_ARGS__), -1)
#define err_errno(...) (err_errno(__VA_ARGS__), -1)
#define err_prefix(...) (err_prefix(__VA_ARGS__), -1)
