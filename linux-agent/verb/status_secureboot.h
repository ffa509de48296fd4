/* SPDX-License-Identifier: MIT */
/* What the firmware would do with slots and loader, for verb_status.c. */
#pragma once

#include "machine.h"
#include "slot_secureboot.h"

#include <jansson.h>

struct status_secureboot {
	bool known;			/* the variables could be read */
	struct secureboot rules;
	struct {
		bool there;
		struct secureboot_verdict verdict;
	} slots[SLOT_COUNT], loader;
};

/* The caller clears *ret_status. */
void status_secureboot_find(const struct machine *machine, struct status_secureboot *ret_status);
void status_secureboot_clear(struct status_secureboot *status);

/* New references, or NULL. */
json_t *status_secureboot_json(const struct status_secureboot *status);
json_t *status_secureboot_slot_json(const struct status_secureboot *status, unsigned slot);

void status_secureboot_print(const struct status_secureboot *status);
void status_secureboot_print_slot(const struct status_secureboot *status, unsigned slot);
