/* SPDX-License-Identifier: MIT */
/* The parts of doctor.h: each looks at one thing, and adds to the findings. */
#pragma once

#include "finding.h"
#include "machine.h"

/* Below this many bytes free the store counts as nearly full: Linux keeps 5120 back, since
 * there are boards that a full store has bricked, and an update needs about two thousand. */
#define DOCTOR_STORE_MIN 8192

/* closed: vars_mount.h */
void doctor_store(const struct vars_store *store, bool closed, struct findings *findings);
bool doctor_store_is_full(const struct vars_store *store);
/* Of our entries and BootOrder, which the kernel makes mutable. */
void doctor_immutable(const struct machine *machine, const struct vars_store *store,
		      struct findings *findings);
/* The machine is open. */
void doctor_entries(const struct machine *machine, struct findings *findings);
void doctor_record(struct machine *machine, struct findings *findings);
void doctor_slots(const struct machine *machine, struct findings *findings);
/* Of the machine at least the ESP is known. */
void doctor_esp(const struct machine *machine, struct findings *findings);
/* Of two. The machine is open. */
void doctor_other_esp(const struct machine *machine, struct findings *findings);
void doctor_loader(const struct machine *machine, struct findings *findings);
/* Where one is configured. */
void doctor_shim(const struct machine *machine, struct findings *findings);
/* Instead of doctor_loader(), without the loader: what is lost, and BootNext. */
void doctor_direct(const struct machine *machine, struct findings *findings);
/* What Secure Boot refuses, or may: of the slots (where they are known) and the loader. */
void doctor_secureboot(const struct machine *machine, struct findings *findings);
/* Updates of KEK, db and dbx that have failed, or wait for what does not come by itself. The machine
 * is open. */
void doctor_keys(const struct machine *machine, struct findings *findings);
