/* SPDX-License-Identifier: MIT */
/*
 * EFI/slotboot/loader.json: which loader this machine was proven with, and the new one that
 * is on trial. The loader reads none of it. What a power cut takes of it is nothing that a
 * boot needs: then no loader is on trial, and what runs is learned again.
 */
#pragma once

#include "err.h"
#include "loader_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOADER_NOTE_FILE "loader.json"
#define LOADER_NOTE_MAX_BYTES 4096

struct loader_id {
	bool known;
	char version[LOADER_VERSION_BYTES];
	uint8_t sha256[32];
};

enum loader_failure {
	LOADER_FAILED_NOT,
	LOADER_FAILED_NOT_STARTED,	/* the firmware booted, and by another file */
	LOADER_FAILED_IGNORED,		/* ... and BootNext was left standing */
	LOADER_FAILED_SLOT,		/* it started, and a slot did not start under it */
	LOADER_FAILED_FILE,		/* its file is not what was written */
	LOADER_FAILED_ENTRIES,		/* it started, and cannot be put in front in BootOrder */
	LOADER_FAILURE_COUNT
};

struct loader_note {
	struct loader_id promoted;	/* the one that the files are to be */
	struct loader_id trial;		/* the new one */
	char boot_id[37];		/* of the system that put it on trial; "": not known */
	bool proven;			/* it has booted this machine; it is being promoted */
	struct loader_id failed;	/* the last one that did not */
	enum loader_failure failure;
};

/* Total on any bytes: what cannot be read is unknown. */
void loader_note_parse(const uint8_t *json, size_t len, struct loader_note *ret_note);
/* The caller frees. */
int loader_note_format(const struct loader_note *note, char **ret_json, struct err *err);

/* The machine's; empty if there is none. */
void loader_note_read(const struct machine *machine, struct loader_note *ret_note);
/* Durable on 0; writes nothing if nothing changes. */
int loader_note_write(struct machine *machine, const struct loader_note *note, struct err *err);

bool loader_id_is(const struct loader_id *id, const struct loader_file *file);
struct loader_id loader_id_of(const struct loader_file *file);

/* One word for machines, and "it was not started by ..." for people. */
const char *loader_failure_text(enum loader_failure failure);
const char *loader_failure_words(enum loader_failure failure);
