/* SPDX-License-Identifier: MIT */
#include "cmdline.h"
#include "explain.h"
#include "intent.h"
#include "kexec.h"
#include "mark.h"
#include "options.h"
#include "trip.h"
#include "verbs.h"
#include "watchdog.h"

#include <stdio.h>

static void slot_print(const struct machine *m, unsigned slot)
{
	char text[256];

	explain_slot(&m->state.record.slots[slot], text, sizeof text);
	(void)printf("slot %c: %s\n", slot_letter(slot), text);
	if (m->warning)
		(void)printf("warning: %s\n", m->warning);
	if (m->uki_warning)
		(void)printf("WARNING: %s\n", m->uki_warning);
}

/* The watchdog that this system was started with: by the loader, as its trace says;
 * or perhaps by the system that jumped here, if a process or the kernel has it. */
static void watchdog_print(const struct machine *m, enum record_watchdog known)
{
	bool loader = !m->running.kexec && m->has_trace &&
		      m->trace.watchdog == TRACE_WATCHDOG_ARMED;
	char say[512];

	if (!loader && (!m->running.kexec || known == WATCHDOG_NONE))
		return;
	if (watchdog_release(m->config, known, say, sizeof say) == 0)
		(void)printf("watchdog: %s\n", say);
	else
		(void)printf("warning: %s\n", say);
}

int verb_mark_good(int argc, char **argv, struct err *err)
{
	static const char help[] =
		"Usage: slotctl mark-good [--config=FILE]\n"
		"\n"
		"Confirms the running slot and makes it preferred. Meant for a health check that\n"
		"runs at every boot: it writes nothing if nothing changes.\n"
		"\n"
		"After a firmware boot the slot becomes good. After a kexec it becomes a trial\n"
		"with fresh tries, so that its first cold boots are still counted.\n";
	enum record_watchdog known;
	struct machine machine;
	struct options o;
	int r = options_parse(argc, argv, 0, help, &o, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (o.operand_count > 0)
		return err_set(err, EX_USAGE, "mark-good takes no slot: only the running one can "
			       "be confirmed");
	r = machine_open(o.config, MACHINE_CHANGE, &machine, err);
	known = machine.state.record.watchdog;
	if (r == 0)
		r = mark_good(&machine, err);
	if (r == 0) {
		trip_arrive(&machine);
		slot_print(&machine, machine.running.slot);
		watchdog_print(&machine, known);
	}
	machine_close(&machine);
	return r;
}

static int mark_named(int argc, char **argv, const char *help, enum policy_event event,
		      bool needs_slot, struct err *err)
{
	struct machine machine;
	struct options o;
	unsigned slot = 0;
	int r = options_parse(argc, argv, 0, help, &o, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (o.operand_count > 1 || (needs_slot && o.operand_count == 0))
		return err_set(err, EX_USAGE, "%s: one slot must be named, a or b", argv[0]);
	if (o.operand_count == 1 && options_slot(o.operands[0], &slot, err) < 0)
		return -1;
	r = machine_open(o.config, MACHINE_CHANGE, &machine, err);
	if (r == 0 && o.operand_count == 0)
		slot = machine.running.slot;
	if (r == 0)
		r = kexec_cancel(machine.config, err);
	if (r == 0)
		(void)intent_forget(&machine);
	if (r == 0)
		r = mark_apply(&machine, event, slot, err);
	if (r == 0)
		slot_print(&machine, slot);
	machine_close(&machine);
	return r;
}

int verb_mark_bad(int argc, char **argv, struct err *err)
{
	return mark_named(argc, argv,
			  "Usage: slotctl mark-bad [a|b] [--config=FILE]\n"
			  "\n"
			  "Marks a slot (the running one by default) bad: the loader starts it only as\n"
			  "a last resort. The other becomes preferred, if it can be booted.\n",
			  ON_MARK_BAD, false, err);
}

int verb_mark_active(int argc, char **argv, struct err *err)
{
	return mark_named(argc, argv,
			  "Usage: slotctl mark-active a|b [--config=FILE]\n"
			  "\n"
			  "Prefers a slot from the next firmware boot on. One that is not good is tried\n"
			  "as after an install, with its tries counted.\n",
			  ON_MARK_ACTIVE, true, err);
}
