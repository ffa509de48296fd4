/* SPDX-License-Identifier: MIT */
/*
 * The loader's files on the ESP:
 *
 *     EFI/slotboot/slotbootx64.efi        what the boot entry starts
 *     EFI/slotboot/slotbootx64.new.efi    a new one, on trial
 *     EFI/BOOT/BOOTX64.EFI                the copy, for firmware that has lost its entries
 *     EFI/BOOT/grubx64.efi                the same where shim is (slotboot.conf), which is BOOTX64.EFI then
 *
 * A file is slotboot's by its SBAT component (the section .sbat has
 * "slotboot,1,slotboot,slotboot,VERSION,..."), which says its version as well.
 */
#pragma once

#include "err.h"
#include "machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOADER_MAX_BYTES (4u << 20)
#define LOADER_VERSION_BYTES 65		/* with its NUL */

enum loader_place {
	LOADER_HOME,
	LOADER_TRIAL,
	LOADER_FALLBACK,
	LOADER_ELSEWHERE,	/* none of them, or not known */
};

struct loader_file {
	char *path;
	uint8_t *data;		/* NULL: it cannot be read */
	size_t len;
	bool there;
	bool ours;
	struct err why;		/* why it is no whole EFI program for this machine; exit 0: it is */
	uint8_t sha256[32];
	char version[LOADER_VERSION_BYTES];	/* "": not known */
};

/* Total on any bytes: fills all but path, data, len and there. */
void loader_file_judge(struct loader_file *file);

/* Reads a file of the ESP past the page cache, and judges it. The caller clears *ret_file in
 * every case. EX_SOFTWARE. */
int loader_file_read(const struct machine *machine, enum loader_place place,
		     struct loader_file *ret_file, struct err *err);
/* The same of the ESP that is mounted on dir. */
int loader_file_read_at(const struct machine *machine, const char *dir, enum loader_place place,
			struct loader_file *ret_file, struct err *err);
void loader_file_clear(struct loader_file *file);

/* A whole program, and slotboot's. */
bool loader_file_good(const struct loader_file *file);

/* By which of them the firmware started the loader, in the last boot that went through it
 * (LoaderImageIdentifier), and the version that said so (LoaderInfo); "" : not known. */
enum loader_place loader_started(const struct machine *machine,
				 char ret_version[LOADER_VERSION_BYTES]);
