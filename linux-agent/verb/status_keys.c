/* SPDX-License-Identifier: MIT */
#include "status_keys.h"

#include "cmdline.h"
#include "io.h"
#include "key_updates.h"
#include "out.h"

json_t *status_keys_json(const struct machine *machine)
{
	_cleanup_(key_updates_freep) struct key_updates *all = NULL;
	json_t *list = json_array();

	if (key_updates_find(machine, &all, NULL) < 0)
		return list;
	for (size_t i = 0; i < all->count; i++) {
		struct key_update *u = &all->list[i];
		char sha256[65], slot[2] = { slot_letter(u->slot), 0 };

		hex_encode(u->sha256, sizeof u->sha256, sha256);
		out_clean(u->words, sizeof u->words);
		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", u->name, "variable",
					efi_auth_name(u->variable), "slot", slot, "sha256", sha256, "state",
					key_state_text(u->state), "reason", key_reason_text(u->reason), "words",
					u->words));
	}
	return list;
}

static void update_print(const struct key_update *u)
{
	static const char *const states[KEY_STATES] = {
		"is applied", "is applied after the next boot", "waits", "warning: failed",
	};

	out_print("keys       %s (of slot %c) %s%s%s\n", u->name, slot_letter(u->slot), states[u->state],
		  *u->words ? ": " : "", u->words);
}

void status_keys_print(const struct machine *machine)
{
	_cleanup_(key_updates_freep) struct key_updates *all = NULL;

	if (key_updates_find(machine, &all, NULL) < 0)
		return;
	for (size_t i = 0; i < all->count; i++)
		update_print(&all->list[i]);
}
