/* SPDX-License-Identifier: MIT */
/*
 * How often one whole cycle of an update writes EFI variables, in a machine where all goes
 * well: stores wear out, and each write of a boot entry changes what the firmware measures.
 * The figures are in docs/BENCHMARKS.md; more than they say is a violation, and so is less.
 */
#include "scenario.h"

#include <stdio.h>

enum { CYCLE_STEPS = 5, SETUP_STEPS = 5 };

static const struct cycle {
	const char *name;
	bool loader;		/* it is a file, and a new one comes along */
	bool two;		/* ESPs */
	bool direct;		/* without the loader */
	unsigned count;
	struct {
		struct step step;
		unsigned writes;
	} steps[CYCLE_STEPS];
} cycles[] = {
	{ "an update by reboot", false, false, false, 3, {
		{ { .op = OP_INSTALL, .arg = 2, .activate = ACTIVATE_REBOOT }, 4 },
		{ { .op = OP_BOOT }, 1 },
		{ { .op = OP_GOOD }, 2 } } },
	{ "an update by kexec", false, false, false, 5, {
		{ { .op = OP_INSTALL, .arg = 2, .activate = ACTIVATE_KEXEC }, 5 },
		{ { .op = OP_KEXEC }, 0 },
		{ { .op = OP_GOOD }, 1 },
		{ { .op = OP_BOOT }, 1 },
		{ { .op = OP_GOOD }, 2 } } },
	{ "a new loader", true, false, false, 3, {
		{ { .op = OP_LOADER, .arg = 1 }, 2 },
		{ { .op = OP_BOOT }, 0 },
		{ { .op = OP_GOOD }, 3 } } },
	{ "a boot of a good slot, and mark-good", false, false, false, 2, {
		{ { .op = OP_BOOT }, 0 },
		{ { .op = OP_GOOD }, 0 } } },
	{ "two ESPs, an update by reboot", false, true, false, 3, {
		{ { .op = OP_INSTALL, .arg = 2, .activate = ACTIVATE_REBOOT }, 2 },
		{ { .op = OP_BOOT }, 1 },
		{ { .op = OP_GOOD }, 1 } } },
	{ "two ESPs, an update with one away", false, true, false, 5, {
		{ { .op = OP_PULL }, 0 },
		{ { .op = OP_INSTALL, .arg = 2, .activate = ACTIVATE_REBOOT }, 2 },
		{ { .op = OP_BOOT }, 1 },
		{ { .op = OP_RETURN }, 0 },
		{ { .op = OP_GOOD }, 2 } } },
	{ "without the loader, an update by reboot", false, false, true, 3, {
		{ { .op = OP_INSTALL, .arg = 2, .activate = ACTIVATE_REBOOT }, 5 },
		{ { .op = OP_BOOT }, 0 },
		{ { .op = OP_GOOD }, 2 } } },
};

/* What the step writes; it must not fail. */
static unsigned writes_of(struct world *w, const struct step *step)
{
	uint8_t record[RECORD_BYTES];
	struct err err = { 0 };

	op_prepare(w, step);
	w->fault.var_writes = 0;
	if (op_run(w, step, record, &err) < 0)
		violation("counting writes: %s failed: %s", op_text(step->op), err.text);
	return w->fault.var_writes;
}

/* Two versions, both good: what a machine in the field is before an update. */
static void settled_make(const struct cycle *cycle, struct world *ret_world)
{
	static const struct step setup[SETUP_STEPS] = {
		{ .op = OP_BOOT }, { .op = OP_GOOD },
		{ .op = OP_INSTALL, .arg = 1, .activate = ACTIVATE_REBOOT },
		{ .op = OP_BOOT }, { .op = OP_GOOD },
	};
	struct scenario scenario = { .loader = cycle->loader, .two = cycle->two,
				     .direct = cycle->direct };

	scenario_begin(&scenario, ret_world);
	for (unsigned i = 0; i < SETUP_STEPS; i++)
		(void)writes_of(ret_world, &setup[i]);
}

void writes_check(void)
{
	for (unsigned c = 0; c < sizeof cycles / sizeof cycles[0]; c++) {
		const struct cycle *cycle = &cycles[c];
		struct world w;
		unsigned total = 0;

		settled_make(cycle, &w);
		(void)printf("writes of variables, %s:", cycle->name);
		for (unsigned i = 0; i < cycle->count; i++) {
			const struct step *step = &cycle->steps[i].step;
			unsigned n = writes_of(&w, step);

			(void)printf(" %s %u", op_text(step->op), n);
			total += n;
			if (n != cycle->steps[i].writes)
				violation("%s: %s writes %u variables, not %u", cycle->name,
					  op_text(step->op), n, cycle->steps[i].writes);
		}
		(void)printf("; together %u\n", total);
	}
}
