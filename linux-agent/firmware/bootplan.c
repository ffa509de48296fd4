/* SPDX-License-Identifier: MIT */
#include "bootplan.h"

#include "io.h"

#include <stdio.h>
#include <string.h>

/* The number's position in BootOrder; order_count if it is absent. */
static size_t order_find(const struct boot_state *state, uint16_t number)
{
	size_t i = 0;

	while (i < state->order_count && state->order[i] != number)
		i++;
	return i;
}

static const struct boot_entry *entry_find(const struct boot_state *state, uint16_t number)
{
	for (size_t i = 0; i < state->entry_count; i++)
		if (state->entries[i].number == number)
			return &state->entries[i];
	return NULL;
}

static bool entry_is_better(const struct boot_state *state, const struct boot_entry *a,
			    const struct boot_entry *b)
{
	size_t a_at = order_find(state, a->number), b_at = order_find(state, b->number);

	if (a->current != b->current)
		return a->current;
	if (a_at != b_at)
		return a_at < b_at;
	return a->number < b->number;
}

/* The role's entry to keep; NULL: there is none. Where no entry may be created, one that
 * cannot be rewritten is better than none. */
static const struct boot_entry *choose(const struct boot_state *state, enum boot_role role)
{
	const struct boot_entry *best = NULL;

	if (!state->wanted[role])
		return NULL;
	for (size_t i = 0; i < state->entry_count; i++) {
		const struct boot_entry *entry = &state->entries[i];

		if (entry->role != role || (entry->fixed && !state->given_up[role]))
			continue;
		if (!best || entry_is_better(state, entry, best))
			best = entry;
	}
	return best;
}

struct kept {
	const struct boot_entry *entry;	/* NULL: to be created, or not wanted */
	uint16_t number;
	bool there;			/* it exists once the plan is carried out */
};

/* The lowest free number that is at least *next, which then moves past it. */
static bool take_free_number(const struct boot_state *state, uint32_t *next,
			     uint16_t *ret_number)
{
	for (; *next <= UINT16_MAX; (*next)++) {
		uint16_t number = (uint16_t)*next;

		if (entry_find(state, number) ||
		    order_find(state, number) < state->order_count)
			continue;
		*ret_number = number;
		(*next)++;
		return true;
	}
	return false;
}

unsigned boot_op_thing(const struct boot_op *op)
{
	return op->kind == BOOT_OP_WRITE   ? (unsigned)op->role
	       : op->kind == BOOT_OP_ORDER ? BOOT_THING_ORDER
					   : BOOT_THING_DUPLICATES;
}

static void add_op(const struct boot_state *state, struct boot_plan *plan, enum boot_op_kind kind,
		   enum boot_role role, const struct vars_name *name)
{
	struct boot_op op = { .kind = kind, .role = role };

	if (name)
		op.name = *name;
	if (state->given_up[boot_op_thing(&op)])
		plan->withheld[boot_op_thing(&op)] = true;
	else
		plan->ops[plan->op_count++] = op;
}

/* False: all numbers are taken. */
static bool plan_new(const struct boot_state *state, enum boot_role role, uint32_t *next,
		     struct kept *kept, struct boot_plan *plan)
{
	struct vars_name name;

	if (state->given_up[role]) {
		plan->withheld[role] = true;
		return true;
	}
	if (state->lookalikes[role] >= BOOT_LOOKALIKES_MAX) {
		plan->crowded = plan->withheld[role] = true;
		return true;
	}
	if (!take_free_number(state, next, &kept->number))
		return false;
	kept->there = true;
	(void)snprintf(name.text, sizeof name.text, "Boot%04X", (unsigned)kept->number);
	add_op(state, plan, BOOT_OP_WRITE, role, &name);
	return true;
}

static bool plan_writes(const struct boot_state *state, struct kept kept[BOOT_ROLE_COUNT],
			struct boot_plan *plan)
{
	uint32_t next = 1;

	for (unsigned role = 0; role < BOOT_ROLE_COUNT; role++) {
		const struct boot_entry *entry = choose(state, role);

		kept[role] = (struct kept){ .entry = entry, .there = entry != NULL,
					    .number = entry ? entry->number : 0 };
		if (entry && !entry->current)
			add_op(state, plan, BOOT_OP_WRITE, role, &entry->name);
		if (!entry && state->wanted[role] &&
		    !plan_new(state, role, &next, &kept[role], plan))
			return false;
	}
	return true;
}

static void plan_order(const struct boot_state *state,
		       const struct kept kept[BOOT_ROLE_COUNT], struct boot_plan *plan)
{
	bool b_first = state->confirmed == 1;
	const enum boot_role roles[BOOT_ROLE_COUNT] = {
		BOOT_TRIAL,
		BOOT_LOADER,
		BOOT_OTHER,
		b_first ? BOOT_DIRECT_B : BOOT_DIRECT_A,
		b_first ? BOOT_DIRECT_A : BOOT_DIRECT_B,
	};

	for (size_t i = state->trial_leads ? 0 : 1; i < BOOT_ROLE_COUNT; i++)
		if (kept[roles[i]].there)
			plan->order[plan->order_count++] = kept[roles[i]].number;
	plan->ours = plan->order_count;
	for (size_t i = 0; i < state->order_count; i++) {
		const struct boot_entry *entry = entry_find(state, state->order[i]);

		if (!entry || entry->role == BOOT_FOREIGN)
			plan->order[plan->order_count++] = state->order[i];
	}
	if (plan->order_count == 0)
		return;
	if (state->order_damaged || plan->order_count != state->order_count ||
	    memcmp(plan->order, state->order, plan->order_count * sizeof *plan->order) != 0)
		add_op(state, plan, BOOT_OP_ORDER, BOOT_FOREIGN, NULL);
}

static void plan_deletes(const struct boot_state *state,
			 const struct kept kept[BOOT_ROLE_COUNT], struct boot_plan *plan)
{
	for (size_t i = 0; i < state->entry_count; i++) {
		const struct boot_entry *entry = &state->entries[i];

		if (entry->role != BOOT_FOREIGN && kept[entry->role].entry != entry)
			add_op(state, plan, BOOT_OP_DELETE, entry->role, &entry->name);
	}
}

static bool anything_wanted(const struct boot_state *state)
{
	for (unsigned role = 0; role < BOOT_ROLE_COUNT; role++)
		if (state->wanted[role])
			return true;
	return false;
}

int boot_plan(const struct boot_state *state, struct boot_plan *ret_plan, struct err *err)
{
	_cleanup_(boot_plan_clear) struct boot_plan plan = { 0 };
	struct kept kept[BOOT_ROLE_COUNT] = { 0 };

	if (!anything_wanted(state))
		return err_set(err, EX_SOFTWARE,
			       "refused to remove all of our boot entries at once");
	/* At most: a write per role, BootOrder, and every entry deleted. */
	plan.ops = calloc(BOOT_ROLE_COUNT + 1 + state->entry_count, sizeof *plan.ops);
	plan.order = calloc(BOOT_ROLE_COUNT + state->order_count, sizeof *plan.order);
	if (!plan.ops || !plan.order)
		return err_set(err, EX_SOFTWARE, "out of memory");
	if (!plan_writes(state, kept, &plan))
		return err_set(err, EX_SOFTWARE, "no free number for a boot entry");
	plan_order(state, kept, &plan);
	plan_deletes(state, kept, &plan);
	*ret_plan = plan;
	plan = (struct boot_plan){ 0 };
	return 0;
}

void boot_plan_clear(struct boot_plan *plan)
{
	free(plan->ops);
	free(plan->order);
	*plan = (struct boot_plan){ 0 };
}
