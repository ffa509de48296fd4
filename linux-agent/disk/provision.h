/* SPDX-License-Identifier: MIT */
/*
 * A first installation: an empty disk, or an image file, is given partitions, an ESP with the loader,
 * slot A from a signed bundle, and the record of all that. Slot A is on trial, slot B empty. Where
 * the configuration says activation = direct there is no loader, and nothing in EFI/BOOT.
 *
 *   1. what is on the disk; the bundle, as any install checks it; the plan. Nothing
 *      has been written until here, and with dry_run nothing is
 *   2. a mark that says that this was begun; the old tables and the beginnings of
 *      file systems are wiped; flushed
 *   3. the images into slot A, each chunk after its hash proved right; read back
 *   4. the ESP but for its boot sector; the new second table and the entries of the first; flushed
 *   5. the ESP's boot sector, flushed and all read back; last of all the
 *      block with the MBR and, in sectors of 512 bytes, the header of the first table
 *
 * Without a protective MBR nothing takes a disk for a GPT's, so that nothing half-made boots. Where the
 * partitions are there already (adopted) the tables stay untouched, and the ESP's boot
 * sector comes last. After a cut the next run finds the mark and starts over.
 */
#pragma once

#include "config.h"
#include "disk.h"
#include "layout.h"
#include "record.h"
#include "report.h"

/* The partitions of an image, in both slots. */
struct provision_image_size {
	const char *name;		/* the image's */
	uint64_t bytes;
};

struct provision_options {
	const char *disk;		/* block device, or image file */
	const char *bundle;		/* path or URL */
	const char *loader;		/* its file; NULL: the bundle's, or loader_default. Without the
					 * loader (activation = direct) only NULL */
	const char *loader_default;
	const char *shim;		/* its file; NULL: shim_default, if the configuration names a shim */
	const char *shim_default;
	struct config *config;		/* keyring, compatible (NULL: the bundle's), tries, ...; images are
					 * replaced */
	uint64_t image_bytes;		/* of an image file that is to be made; 0: it is there */
	unsigned sector_bytes;		/* 0: the device's, or 512 */
	uint64_t esp_bytes, slot_bytes, data_bytes;	/* as in layout.h */
	bool data_rest;
	struct provision_image_size image_sizes[LAYOUT_IMAGES];	/* slot_bytes is the first image's */
	size_t image_size_count;
	const char *seed;		/* NULL: random GUIDs, and times of now */
	const char *guid;		/* of the partitions, but for the last digit; NULL: provision_root.h */
	const char *wipe;		/* what is on this disk may go; NULL */
	unsigned tries;			/* 0: the configuration's */
	bool dry_run;
	unsigned threads;		/* that decode */
	const struct disk *io;		/* the machine's, or a test's */
	struct report *report;
};

/* Of what was done, for the firmware's boot entries. The caller clears, only after success. */
struct provision_result {
	struct layout layout;
	bool device, adopted, unread;	/* unread: the kernel still has the old table */
	uint8_t old_esp[LAYOUT_GUID_BYTES];	/* of the ESP that was there; 0: none */
	uint8_t record[RECORD_BYTES];	/* as in the mirror */
	bool direct;			/* there is no loader: slot a has the entry */
	const char *shim;		/* the configuration's path of shim (espentry.h), or NULL */
	uint8_t *options;		/* optional data of that; NULL for none */
	size_t options_len;
};
void provision_result_clear(struct provision_result *result);

/* EX_USAGE; EX_NOINPUT; EX_DATAERR: the bundle, or it does not fit; EX_CONFIG: something is on the disk
 * that wipe does not name, or more tries than direct gives; EX_IOERR: in use, or the disk;
 * EX_UNAVAILABLE: a program, the network. */
int provision_run(const struct provision_options *options, struct provision_result *ret_result,
		  struct err *err);
