/* SPDX-License-Identifier: MIT */
/* Updates of the firmware's keys that have failed, or that wait for what neither a boot nor the next
 * install brings: somebody has to do something, or they wait for ever. */
#include "cmdline.h"
#include "doctor_checks.h"
#include "io.h"
#include "key_updates.h"
#include "native.h"

/* What ends the waiting or the failing, and whether that is somebody's to do. A reason that is not
 * here goes away by itself. */
static const struct remedy {
	enum finding_level level;
	const char *words;
} remedies[KEY_REASONS] = {
	[KEY_REASON_UNSIGNED] = { FINDING_FAULT, "install the slot again, from a bundle of a signer whom the keyring "
				  "knows" },
	[KEY_REASON_OFF] = { FINDING_NOTE, "turn Secure Boot on in the firmware's menu" },
	[KEY_REASON_SETUP] = { FINDING_NOTE, "enroll a PK, which ends Setup Mode" },
	[KEY_REASON_UNREADABLE] = { FINDING_FAULT, "write that variable anew by its whole list, in the firmware's "
				    "menu or with efi-updatevar" },
	[KEY_REASON_SLOT_A] = { FINDING_FAULT, "bring it again with the next version, whose image the firmware "
				"goes on to start" },
	[KEY_REASON_SLOT_B] = { FINDING_FAULT, "bring it again with the next version, whose image the firmware "
				"goes on to start" },
	[KEY_REASON_LOADER] = { FINDING_FAULT, "slotctl loader install FILE, with one that the firmware goes on to "
				"start; or a bundle that brings one" },
	[KEY_REASON_SHIM] = { FINDING_FAULT, "a shim that the firmware goes on to start, beside the loader and as "
			      "EFI/BOOT/BOOT" NATIVE_EFI_CAPITALS ".EFI; and shim = FILE in slotboot.conf, if that "
			      "does not name it yet" },
	[KEY_REASON_DAMAGED] = { FINDING_FAULT, "install the slot again" },
	[KEY_REASON_REFUSED] = { FINDING_FAULT, "bring it with the next version, signed by whom the variable names; "
				 "where it was signed for another kind of machine, leave it out there" },
	[KEY_REASON_GIVEN_UP] = { FINDING_FAULT, "make room, if the store is full; then remove EFI/slotboot/"
				  KEY_NOTE_FILE " from the ESP, and run slotctl mark-good" },
};

/* The other slot's next image ends its waiting. Its own slot's would take it away with the image. */
static bool is_own(const struct key_update *u)
{
	return u->slot == (u->reason == KEY_REASON_SLOT_A ? 0 : 1);
}

static const struct remedy *remedy_of(const struct key_update *u)
{
	bool of_slot = u->reason == KEY_REASON_SLOT_A || u->reason == KEY_REASON_SLOT_B;

	if (!remedies[u->reason].words || (of_slot && !is_own(u)))
		return NULL;
	return &remedies[u->reason];
}

static void update_check(const struct key_update *u, struct findings *findings)
{
	const struct remedy *remedy = remedy_of(u);
	struct finding *f;

	if (!remedy)
		return;
	f = finding_add(findings, remedy->level, u->state == KEY_FAILED ? "key-failed" : "key-waits");
	finding_say(f, what, "the update %s of the firmware's %s (of slot %c) %s", u->name,
		    efi_auth_name(u->variable), slot_letter(u->slot),
		    u->state == KEY_FAILED ? "has failed" : "waits, and not for the next boot or install");
	finding_say(f, cause, "%s", u->words);
	finding_say(f, remedy, "%s", remedy->words);
}

void doctor_keys(const struct machine *machine, struct findings *findings)
{
	_cleanup_(key_updates_freep) struct key_updates *all = NULL;

	if (key_updates_find(machine, &all, NULL) < 0)
		return;
	for (size_t i = 0; i < all->count; i++)
		update_check(&all->list[i], findings);
}
