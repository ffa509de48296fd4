/* SPDX-License-Identifier: MIT */
/*
 * What a failed health check said, for status: EFI/slotboot/health.json on the ESP, beside
 * the ledger, so that the system in the other slot finds it. Nothing decides by it; it
 * counts only of a slot that the record has as bad for its health check.
 */
#pragma once

#include "health.h"
#include "machine.h"

#include <jansson.h>

#define HEALTH_NOTE_FILE "health.json"

struct health_note {
	struct health_finding finding;
	int64_t time;		/* seconds since 1970; 0: unknown */
};

/* True: the slot is bad for its health check, and there is a note of it. What is read is
 * filtered. */
bool health_note_read(const struct machine *machine, unsigned slot, struct health_note *ret_note);

/* Keeps the other slot's note. -1: it could not be written; then there is none. */
int health_note_write(const struct machine *machine, unsigned slot,
		      const struct health_finding *finding, struct err *err);

#define HEALTH_WORDS_BYTES (HEALTH_CHECK_BYTES + 2 * PROGRAM_LINE_BYTES)

/* "50-gateway: status 1: no route to host". */
void health_finding_words(const struct health_finding *finding, char *out, size_t cap);
