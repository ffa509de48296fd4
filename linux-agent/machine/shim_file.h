/* SPDX-License-Identifier: MIT */
/*
 * Where the configuration names a shim, its files on an ESP:
 *
 *     EFI/slotboot/shimx64.efi    what the boot entries start; the name is the configuration's
 *     EFI/BOOT/BOOTX64.EFI        its copy, for firmware that has lost its entries
 *
 * Nothing here writes them: a new shim is somebody's decision. The other of two ESPs is given what this
 * one has (other_esp.h).
 */
#pragma once

#include "machine.h"
#include "secureboot.h"

enum shim_place { SHIM_HOME, SHIM_FALLBACK, SHIM_PLACES };

#define SHIM_MAX_BYTES (4u << 20)

struct shim_file {
	char *path;
	uint8_t *data;		/* NULL: it cannot be read */
	size_t len;
	bool there;
	struct err why;		/* why it is no whole EFI program for this machine; exit 0: it is */
};

/* Of the ESP that is mounted on dir. Only where a shim is configured. The caller clears in every case.
 * EX_SOFTWARE. */
int shim_file_read(const struct machine *machine, const char *dir, enum shim_place place,
		   struct shim_file *ret_file, struct err *err);
void shim_file_clear(struct shim_file *file);
/* Both are there, and hold the same. */
bool shim_file_same(const struct shim_file *a, const struct shim_file *b);

/* What the firmware would do with it: of shim's own lists none counts for shim itself. False: Secure Boot is off,
 * or it could not be read. */
bool shim_file_judge(const struct secureboot *rules, const struct shim_file *file,
		     struct secureboot_verdict *ret_verdict);
