/* SPDX-License-Identifier: MIT */
/* The files of two ESPs that are kept the same, for other_esp.c: the other one is at hand in
 * each case. What is here counts; a file that is missing here is removed there. */
#pragma once

#include "machine.h"

#include <stdbool.h>

/* Whether both slots there hold what the record says. A slot that is empty or in writing has
 * no UKI. One whose UKI here is damaged, and there is the record's, is left as it is. */
bool other_esp_slots_are_same(const struct machine *machine);
/* The same, with the rollback floor and the loader; false: *ret_what is what differs. */
bool other_esp_files_are_same(const struct machine *machine, const char **ret_what);

/* Of a slot: what the loader and the stub would start. Durable on 0. EX_IOERR. */
int other_esp_remove_uki(const struct machine *machine, unsigned slot, struct err *err);
/* All files of a slot, the UKI removed first and written last; each is read back. Durable on
 * 0. EX_IOERR. */
int other_esp_copy_files(const struct machine *machine, unsigned slot, struct err *err);
/* What differs of slots and floor; of the loader's two files, one after the other. Durable on
 * 0. EX_IOERR. */
int other_esp_bring_up_files(const struct machine *machine, struct err *err);
int other_esp_bring_up_loader(const struct machine *machine, struct err *err);
