/* SPDX-License-Identifier: MIT */
/*
 * BootNext (UEFI 2.10 section 3.1.1): what the firmware is to start once, before BootOrder,
 * and forgets as it does so. Here it names the entry of a new loader, or, without the loader,
 * that of a slot on trial; path is that of its file (BOOTENTRIES_*), and bootentries.h makes the
 * entry. That another's order stands there already is the caller's business.
 */
#pragma once

#include "bootentries.h"
#include "err.h"
#include "espinfo.h"
#include "vars.h"

#include <stdbool.h>

enum boot_next {
	BOOT_NEXT_NONE,
	BOOT_NEXT_OURS,		/* an entry that leads to path, active or not */
	BOOT_NEXT_OTHER,
};

/* EX_IOERR. */
int bootnext_get(const struct vars *vars, const struct esp_info *esp, const char *path,
		 enum boot_next *ret_next, struct err *err);

/* Durable on 0, read back; writes nothing if it stands there already. EX_IOERR: also where there
 * is no such entry that is active. */
int bootnext_set(const struct vars *vars, const struct esp_info *esp, const char *path,
		 struct err *err);

/* Takes it back where it is ours; to be called while the entry is there. */
int bootnext_clear(const struct vars *vars, const struct esp_info *esp, const char *path,
		   struct err *err);

/* Whether BootOrder begins with the entry of the new loader: what has come of
 * struct boot_want's trial_leads. */
int bootnext_leads(const struct vars *vars, const struct esp_info *esp, bool *ret_leads,
		   struct err *err);
