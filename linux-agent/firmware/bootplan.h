/* SPDX-License-Identifier: MIT */
/*
 * What to do to the boot entries, decided without any I/O.
 *
 * Of the entries for one of our files one is kept: one that is right already,
 * else the one earliest in BootOrder, else the lowest number. The others are
 * duplicates. A missing entry gets the lowest number from 1 on that no variable has
 * and BootOrder does not name: some firmware takes 0 for none. No more is made once
 * BOOT_LOOKALIKES_MAX foreign entries have its label: firmware has changed what was made
 * before. Foreign entries have no operation, ever; numbers that BootOrder names and no
 * variable has are foreign too. A thing that is given up, because the firmware has undone it
 * too often, has no operation either.
 *
 * Operations come in an order that survives a power cut after any of them:
 * entries are written, then BootOrder points at them, then what BootOrder no
 * longer points at is deleted. Planning again after the cut finishes the job.
 */
#pragma once

#include "vars.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOT_LOOKALIKES_MAX 4

enum boot_role {
	BOOT_LOADER,
	BOOT_DIRECT_A,
	BOOT_DIRECT_B,
	BOOT_TRIAL,	/* a new loader: its entry is for BootNext, and in BootOrder only while
			 * the files of the old one are replaced */
	BOOT_OTHER,	/* the loader on the other of two ESPs */
	BOOT_ROLE_COUNT,
	BOOT_FOREIGN = BOOT_ROLE_COUNT
};

/* What is written as one, so that firmware can undo it as one. Of a role: its entry. */
enum boot_thing {
	BOOT_THING_ORDER = BOOT_ROLE_COUNT,
	BOOT_THING_DUPLICATES,	/* that there are none */
	BOOT_THING_COUNT
};

struct boot_entry {
	struct vars_name name;	/* as the firmware spells it: Boot00ab is number 0xAB */
	uint16_t number;
	enum boot_role role;
	enum boot_oddity {
		BOOT_ODD_NOT,
		BOOT_ODD_UNREADABLE,	/* the firmware does not give it out */
		BOOT_ODD_MALFORMED,	/* no load option */
	} odd;			/* foreign all the same */
	enum boot_role called;	/* of a foreign one: whose label it has; BOOT_ROLE_COUNT: none */
	bool active;
	bool current;		/* ours, and its content is what is wanted */
	bool fixed;		/* ours, but cannot be rewritten: never kept */
};

struct boot_state {
	const struct boot_entry *entries;	/* at most one per number */
	size_t entry_count;
	const uint16_t *order;			/* BootOrder; NULL if there is none */
	size_t order_count;
	bool order_damaged;			/* written anew even if it looks right */
	bool wanted[BOOT_ROLE_COUNT];
	bool trial_leads;			/* BOOT_TRIAL comes first; else it has no place */
	unsigned lookalikes[BOOT_ROLE_COUNT];	/* foreign, but called as ours is */
	bool given_up[BOOT_THING_COUNT];	/* not to be written: quirks.h */
	int confirmed;				/* 1: B before A; else A before B */
};

struct boot_op {
	enum boot_op_kind {
		BOOT_OP_WRITE,	/* the role's content to the variable `name` */
		BOOT_OP_ORDER,	/* the plan's order to BootOrder */
		BOOT_OP_DELETE	/* the variable `name` */
	} kind;
	enum boot_role role;	/* of BOOT_OP_WRITE */
	struct vars_name name;
};

struct boot_plan {
	struct boot_op *ops;
	size_t op_count;
	uint16_t *order;
	size_t order_count;
	size_t ours;		/* the first so many of order are our entries */
	bool withheld[BOOT_THING_COUNT];	/* it differs, and is given up or crowded: no
						 * operation */
	bool crowded;		/* an entry that is wanted is not made: BOOT_LOOKALIKES_MAX */
};

/* The caller clears *ret_plan. EX_SOFTWARE: nothing is wanted (an empty BootOrder
 * is never planned), no number is free, or no memory. */
int boot_plan(const struct boot_state *state, struct boot_plan *ret_plan, struct err *err);
/* What the operation is about: an enum boot_role, or an enum boot_thing. */
unsigned boot_op_thing(const struct boot_op *op);
void boot_plan_clear(struct boot_plan *plan);
