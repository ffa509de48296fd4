/* SPDX-License-Identifier: MIT */
/* What this machine's firmware would do with what is in a slot, and with the loader
 * (secureboot.h): for status and doctor. */
#pragma once

#include "loader_file.h"
#include "secureboot.h"

/* Of the slot's UKI, and of the addon that slotctl has put beside it: the worse answer. False:
 * Secure Boot is off, or there is no UKI. Reads the UKI, through the page cache. */
bool slot_secureboot(const struct machine *machine, const struct secureboot *rules, unsigned slot,
		     struct secureboot_verdict *ret_verdict);

/* False: Secure Boot is off, or there is no such file. */
bool slot_secureboot_loader(const struct secureboot *rules, const struct loader_file *file,
			    struct secureboot_verdict *ret_verdict);
