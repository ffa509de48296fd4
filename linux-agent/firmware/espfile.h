/* SPDX-License-Identifier: MIT */
/*
 * Files of ours on the ESP:
 *
 *     EFI/slotboot/state.bin          the mirror of the slot record
 *     EFI/slotboot/a/uki.efi          slot a's UKI, and b/ likewise
 *     EFI/slotboot/a/uki.efi.extra.d/   what else the bundle has for beside it (manifest.h)
 *     EFI/slotboot/a/uki.index        its chunk index,
 *     EFI/slotboot/a/manifest.json    what was installed, and its signature:
 *     EFI/slotboot/a/manifest.p7s     the bundle's own bytes
 *
 * A slot's directory is written only while the slot is in writing, so its files
 * need no atomic replacement: they are removed and written anew, which also
 * lets a UKI be replaced on an ESP without room for a third one.
 */
#pragma once

#include "disk.h"
#include "err.h"
#include "record.h"

#include <stdbool.h>

#define ESP_OURS "EFI/slotboot"

/* "ESP/EFI/slotboot/a/NAME"; name NULL: the directory. The caller frees. */
int espfile_path(const char *esp, unsigned slot, const char *name, char **ret_path,
		 struct err *err);

/* Removes, writes, flushes the file and its directory: durable on 0. */
int espfile_write(const struct disk *disk, const char *path, const uint8_t *data,
		  size_t len, struct err *err);

/* Removes a file if it is there: durable on 0, also where an earlier removal was
 * not flushed. */
int espfile_remove(const struct disk *disk, const char *path, struct err *err);

/* Creates the directory that path is in, if it is not there: durable on 0. The one above must
 * be there. */
int espfile_make_parent(const struct disk *disk, const char *path, struct err *err);

/* As espfile_write(), from the first size bytes of fd, after espfile_make_parent(). */
int espfile_copy(const struct disk *disk, const char *path, int fd, uint64_t size,
		 const volatile int *cancel, struct err *err);

/* The file `to` becomes what `from` is, on another ESP: its directories below root are made,
 * it is written anew as by espfile_write(), read back, and compared by SHA-256. Durable on 0.
 * EX_IOERR. */
int espfile_mirror(const struct disk *disk, const char *from, const char *root, const char *to,
		   struct err *err);

/* Whether both hold the same bytes, or neither is there. What cannot be read is not the same. */
bool espfile_same(const struct disk *disk, const char *a, const char *b);

/* Whether the slot's directory can take a UKI, its index, the manifest and its signature and
 * what lies beside the UKI, of this size together, in place of the UKI it has and of freed
 * bytes of other files, with some clusters to spare. EX_DATAERR: too large. */
int espfile_check_room(const struct disk *disk, const char *esp, unsigned slot,
		       uint64_t size, uint64_t freed, struct err *err);
