/* SPDX-License-Identifier: MIT */
/* The firmware of the machine that will boot from the disk, where that is this one. */
#pragma once

#include "provision.h"
#include "vars.h"

/* Puts the record into SlotState, in place of whatever is there; makes the entry of the loader (without
 * it that of slot A), first in BootOrder; removes the entries for slotboot's files on the ESP that was on
 * the disk before. What is found of an earlier installation is said. Further entries are mark-good's. All
 * of it is durable on 0, and can be done again. EX_IOERR, EX_NOPERM, EX_SOFTWARE. */
int provision_firmware(const struct vars *vars, const char *disk, const struct provision_result *done,
		       struct report *report, struct err *err);
