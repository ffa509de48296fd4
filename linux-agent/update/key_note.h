/* SPDX-License-Identifier: MIT */
/*
 * EFI/slotboot/keys.json: the updates of KEK, db and dbx that were tried on this machine, so that
 * there is one a boot, and an end to trying. What is done is not in it: the variables say so. Whoever
 * removes it has all of them tried again.
 */
#pragma once

#include "machine.h"
#include "manifest.h"

#define KEY_NOTE_FILE "keys.json"
#define KEY_NOTE_MAX_BYTES 16384
#define KEY_NOTE_MAX (SLOT_COUNT * MANIFEST_MAX_PAYLOADS)
#define KEY_TRIES 3

enum key_failure {
	KEY_FAILED_NOT,
	KEY_FAILED_UNKNOWN,	/* it was begun, and not ended: perhaps the power went */
	KEY_FAILED_REFUSED,	/* by the firmware, for its signature: not tried again */
	KEY_FAILED_FULL,
	KEY_FAILED_WRITE,	/* for another reason */
	KEY_FAILED_LOST,	/* the firmware said yes, and kept nothing */
	KEY_FAILURES
};

struct key_try {
	uint8_t sha256[32];	/* of the .auth file */
	unsigned tries;
	enum key_failure why;	/* of the last one */
};

struct key_note {
	char boot_id[37];	/* of the boot of the last one; "": none, or not known */
	struct key_try tried[KEY_NOTE_MAX];
	size_t count;
};

/* Total on any bytes: what cannot be read was not tried. */
void key_note_parse(const uint8_t *json, size_t len, struct key_note *ret_note);
/* The caller frees. EX_SOFTWARE. */
int key_note_format(const struct key_note *note, char **ret_json, struct err *err);

/* NULL: it was not tried. */
const struct key_try *key_note_find(const struct key_note *note, const uint8_t sha256[32]);
/* Whether it is not tried any more. */
bool key_try_is_last(const struct key_try *tried);

/* The machine's; empty if there is none. */
void key_note_read(const struct machine *machine, struct key_note *ret_note);
/* Durable on 0. EX_IOERR, EX_SOFTWARE. */
int key_note_write(struct machine *machine, const struct key_note *note, struct err *err);

/* "refused", "full" and so on; and words for people. */
const char *key_failure_text(enum key_failure why);
const char *key_failure_words(enum key_failure why);
