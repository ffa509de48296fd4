/* SPDX-License-Identifier: MIT */
/*
 * Firmware that undoes what is written: paths replaced, BootOrder put back, bytes added to
 * optional data. A write that was read back well, and after a reset has to be made again,
 * has been undone. After QUIRKS_UNDONE_MAX of the same thing in a row it is given up: not
 * written any more, until it is found as it should be, or slotctl doctor --repair.
 *
 * The file EFI/slotboot/quirks.json keeps the counts. Nothing that decides a boot is in it;
 * what a power cut takes of it is learned again.
 */
#pragma once

#include "bootplan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUIRKS_FILE "quirks.json"
#define QUIRKS_MAX_BYTES 4096
#define QUIRKS_UNDONE_MAX 3
#define QUIRKS_BOOT_ID_BYTES 37		/* with its NUL */

enum {
	QUIRK_RECORD = BOOT_THING_COUNT,	/* the variable SlotState */
	QUIRK_NEXT,	/* BootNext, which stands there after a reset: it was not looked at */
	QUIRK_COUNT
};

struct quirk {
	unsigned undone;		/* writes in a row; 0 to QUIRKS_UNDONE_MAX */
	uint64_t wish;			/* what was written last: bootentries_wish() */
	char boot_id[QUIRKS_BOOT_ID_BYTES];	/* of the system that wrote it; "": none did */
};

struct quirks {
	struct quirk of[QUIRK_COUNT];
};

/* Total on any bytes: what cannot be read is unknown. */
void quirks_parse(const uint8_t *json, size_t len, struct quirks *ret_quirks);
/* The caller frees. */
int quirks_format(const struct quirks *quirks, char **ret_json, struct err *err);

/* After a firmware boot of that boot_id: a thing is found that differs from what is wanted
 * now (wish), or does not. Whether the quirk has changed. */
bool quirk_judge(struct quirk *quirk, bool differs, uint64_t wish, const char *boot_id);

/* About to be written. */
void quirk_wrote(struct quirk *quirk, uint64_t wish, const char *boot_id);

bool quirk_is_given_up(const struct quirk *quirk);

/* The key in the file: "loader", "a", "b", "trial", "other", "order", "duplicates", "record",
 * "next"; and in words. */
const char *quirk_key(unsigned thing);
const char *quirk_words(unsigned thing);
