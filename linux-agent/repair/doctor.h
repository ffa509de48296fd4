/* SPDX-License-Identifier: MIT */
/*
 * slotctl doctor: looks at all that a boot depends on, and says what is wrong, why, and
 * what to do. It opens as much of the machine as can be opened, and changes nothing.
 * doctor_repair() does what the reconciler of the boot entries and the record's own
 * repair can do, and no more: files are not its business.
 */
#pragma once

#include "err.h"
#include "finding.h"

/* The caller clears *findings in every case. -1: the configuration cannot be read, or a
 * permission is missing. */
int doctor_examine(const char *config, struct findings *findings, struct err *err);

/* Writes what is repairable among the findings; read back. Errors as of machine_open(), of
 * machine_repair() and of machine_sync_entries(). EX_IOERR also where the store of variables
 * is nearly full: then nothing is written. */
int doctor_repair(const char *config, struct err *err);
