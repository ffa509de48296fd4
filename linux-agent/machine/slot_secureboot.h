/* SPDX-License-Identifier: MIT */
/* What this machine's firmware would do with what is in a slot, and with the loader
 * (secureboot.h): for status and doctor. */
#pragma once

#include "loader_file.h"
#include "secureboot.h"

/* Judges the slot's UKI and the addon that slotctl has put beside it; gives the worse answer.
 * False: Secure Boot is off, the slot is empty or being written, or it has no UKI. Reads the
 * UKI through the page cache. */
bool slot_secureboot(const struct machine *machine, const struct secureboot *rules, unsigned slot,
		     struct secureboot_verdict *ret_verdict);

/* Reads one of the loader's files and judges it. False: Secure Boot is off, or there is no whole
 * loader of slotboot's. The caller clears *ret_file in every case. */
bool slot_secureboot_place(const struct machine *machine, const struct secureboot *rules,
			   enum loader_place place, struct loader_file *ret_file,
			   struct secureboot_verdict *ret_verdict);

/* Judges a loader in memory. False: Secure Boot is off, or it could not be read. */
bool slot_secureboot_loader(const struct secureboot *rules, const struct loader_file *file,
			    struct secureboot_verdict *ret_verdict);
