/* SPDX-License-Identifier: MIT */
/*
 * The firmware's boot entries: BootOrder and Boot#### (UEFI 2.10 section 3.1).
 *
 *     loader, direct entry of the confirmed slot, direct entry of the other,
 *     every foreign entry in the order found
 *
 * With two ESPs (other_esp.h of the room machine):
 *
 *     loader, loader on the other ESP, every foreign entry in the order found
 *
 * A new loader on trial has an entry, too, which BootNext names (bootnext.h); it stands in
 * front of them only while the files of the old one are replaced.
 *
 * Entries are told apart by device path. The label counts only where firmware has
 * left no path to go by: such an entry is taken over together with its number, or one
 * more would be made at each boot. What to do is decided without I/O in bootplan.h;
 * here it is read, applied and read back: entries first, then BootOrder, deletions
 * last, so that a power cut at any point leaves a BootOrder whose entries exist.
 */
#pragma once

#include "bootplan.h"
#include "err.h"
#include "espinfo.h"
#include "native.h"
#include "record.h"
#include "vars.h"

#include <stdbool.h>

#define BOOTENTRIES_LOADER_PATH "\\EFI\\slotboot\\slotboot" NATIVE_EFI ".efi"
#define BOOTENTRIES_TRIAL_PATH "\\EFI\\slotboot\\slotboot" NATIVE_EFI ".new.efi"
/* Of the slots' UKIs. */
#define BOOTENTRIES_A_PATH "\\EFI\\slotboot\\a\\uki.efi"
#define BOOTENTRIES_B_PATH "\\EFI\\slotboot\\b\\uki.efi"
extern const char *const bootentries_slot_path[SLOT_COUNT];

struct boot_want {
	bool loader;			/* an entry for the loader, active */
	bool trial;			/* one for a new loader ... */
	bool trial_leads;		/* ... and in front of all */
	const struct esp_info *other;	/* the other ESP; NULL: there is none at hand */
	bool other_loader;		/* an entry for the loader there */
	struct {
		bool present;		/* false: our entry for the slot is removed */
		bool active;
		const uint8_t *options;	/* optional data; the caller's, or NULL */
		size_t options_len;
	} direct[SLOT_COUNT];
	int confirmed;	/* slot that comes first among the direct ones; -1: none, a first */
};

/* What an entry of a role is to hold. */
struct boot_content {
	bool wanted;
	uint32_t attributes;
	const uint8_t *options;
	size_t options_len;
};

/* The variables as found, held against what is wanted. */
struct boot_view {
	const struct esp_info *other;	/* the want's */
	struct boot_state state;	/* points into the two below; nothing is given up */
	struct boot_entry *entries;
	uint16_t *order;
	bool has_order;			/* there is a variable BootOrder */
	struct boot_content contents[BOOT_ROLE_COUNT];	/* options are the want's */
};

/* Writes nothing. The caller clears *ret_view, and keeps want's options as long. EX_IOERR. */
int bootentries_read(const struct vars *vars, const struct esp_info *esp,
		     const struct boot_want *want, struct boot_view *ret_view, struct err *err);
void boot_view_clear(struct boot_view *view);

/* Carries out a plan that was made of the view. Errors as of bootentries_sync(). */
int bootentries_apply(const struct vars *vars, const struct esp_info *esp,
		      const struct boot_view *view, const struct boot_plan *plan, struct err *err);

/* A number for what the plan wants of a thing: another one for another content, the same
 * whatever is there now. Of BootOrder our own entries in front. */
uint64_t bootentries_wish(const struct esp_info *esp, const struct boot_view *view,
			  const struct boot_plan *plan, unsigned thing);

/* Reads, plans and applies. Makes BootOrder and our entries as wanted; foreign entries are neither written
 * nor renumbered nor moved among themselves. Writes only what differs. Durable on
 * 0. EX_IOERR (also: foreign entries with the label of one that is missing keep it
 * from being made, while the others are), EX_NOPERM; EX_SOFTWARE: nothing at all is
 * wanted. */
int bootentries_sync(const struct vars *vars, const struct esp_info *esp,
		     const struct boot_want *want, struct err *err);

/* Sets or clears LOAD_OPTION_ACTIVE on the slot's direct entries, and nothing
 * else of them. None is fine. Durable on 0. */
int bootentries_set_active(const struct vars *vars, const struct esp_info *esp, int slot,
			   bool active, struct err *err);
