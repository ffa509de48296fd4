/* SPDX-License-Identifier: MIT */
/*
 * Two ESPs, of mirrored disks (esp= names two). One is at hand, machine->esp: the one that the
 * firmware booted from, else the first that can be used. All that is read is read there. The
 * other one is kept in step:
 *
 *   - the record names it exactly as long as it holds what the record says of the slots. So
 *     its loader believes the variable just then (state.h), and starts nothing old;
 *   - what is copied is content: the slots' files, the rollback floor, the proven loader; and
 *     the record as a whole, into its state.bin. Its counters are never read; its sequence is,
 *     so that the record which names it anew is the newer one there, too;
 *   - what it cannot keep up with leaves it out of the record, before the first byte of the
 *     slot is written, and is a warning. mark-good and doctor --repair bring it up again.
 *
 * docs/DESIGN.md has the reasons ("Two ESPs").
 */
#pragma once

#include "machine.h"

#include <stdbool.h>

enum other_esp_state {
	OTHER_ESP_NONE,		/* one ESP is configured */
	OTHER_ESP_IN_STEP,	/* the record names it */
	OTHER_ESP_BEHIND,	/* it is there, and the record does not name it */
	OTHER_ESP_LOST,		/* it cannot be used: machine->other_esp_error says why */
};

/* Of machine_open(): fills esp, other_esp and other_esp_error. EX_CONFIG, also: both have the
 * same GUID; EX_NOPERM. */
int other_esp_open(struct machine *machine, struct err *err);

bool other_esp_is_configured(const struct machine *machine);
enum other_esp_state other_esp_state(const struct machine *machine);
/* "in-step", "behind", "lost"; NULL: one ESP is configured. */
const char *other_esp_state_text(enum other_esp_state state);

#define OTHER_ESP_RECORD "slot record"
/* Whether it holds what the record says, to the last byte; reads both. False: *ret_what is
 * what differs: "slot a", "slot b", "rollback floor", "loader", OTHER_ESP_RECORD. */
bool other_esp_compare(const struct machine *machine, const char **ret_what);

/* Of machine_save(), after the record was stored: into its state.bin, too. What fails is in
 * other_esp_error. */
void other_esp_store(struct machine *machine);

/* An install, before the record says that the slot is written: names the ESPs that will
 * follow. */
void other_esp_begin(struct machine *machine);
/* ... after it, before the first byte: its UKI is removed, or the record leaves it out, which
 * is durable on 0. Errors as of machine_save(). */
int other_esp_clear_slot(struct machine *machine, unsigned slot, struct err *err);
/* ... when the slot is complete on this ESP: its files, read back, or the record in memory
 * leaves it out. */
void other_esp_copy_slot(struct machine *machine, unsigned slot);

/* Brings it up to the record as it is stored, and has the record name it: durable on 0. Writes
 * nothing if nothing changes. What cannot be brought up is left out, and in other_esp_error.
 * Errors as of machine_save(). */
int other_esp_bring_up(struct machine *machine, struct err *err);
