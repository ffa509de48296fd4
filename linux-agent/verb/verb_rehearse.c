/* SPDX-License-Identifier: MIT */
#include "cmdline.h"
#include "export.h"
#include "leave.h"
#include "kexec.h"
#include "mark.h"
#include "options.h"
#include "out.h"
#include "report.h"
#include "verbs.h"

#include <stdio.h>

/* Whether there is anything to rehearse; a refusal fills err. */
static int rehearsal_due(const struct machine *m, bool *ret_due, struct err *err)
{
	unsigned slot = m->running.slot;
	const struct slot *s = &m->state.record.slots[slot];

	*ret_due = s->status != SLOT_GOOD;
	if (s->status == SLOT_GOOD || policy_slot_confirmed(s, m->running.kexec))
		return 0;
	return err_set(err, EX_CONFIG, "slot %c is not confirmed (%s): slotctl mark-good first, and "
		       "only if it works", slot_letter(slot), slot_status_text(s->status));
}

/* Unload the staged kernel: systemd would jump into it at the next reboot. */
static int rehearse(struct machine *m, enum activate how, struct err *err)
{
	unsigned slot = m->running.slot;
	struct report report;
	bool due;

	if (rehearsal_due(m, &due, err) < 0 || kexec_cancel(m->config, err) < 0 ||
	    (due && mark_apply(m, ON_MARK_ACTIVE, slot, err) < 0))
		return -1;
	(void)export_write(m, NULL);
	if (due)
		out_print("slot %c: the next firmware boot tries it; %u of %u tries left\n",
			  slot_letter(slot), m->state.record.slots[slot].tries_left,
			  m->state.record.slots[slot].tries_granted);
	else
		out_print("slot %c: the firmware has proven it already\n", slot_letter(slot));
	verb_print_warnings(m);
	if (!due || how == ACTIVATE_NONE)
		return 0;
	report_init(&report, false);
	if (leave_for(m, how, slot, NULL, &report, err) == 0)
		return 0;
	return err_prefix(err, "slot %c will be tried at the next boot", slot_letter(slot));
}

int verb_rehearse(int argc, char **argv, struct err *err)
{
	static const char help[] =
		"Usage: slotctl rehearse --activate=none|reboot [--config=FILE]\n"
		"\n"
		"Has the firmware boot the running slot at the next reboot, on trial: the proof\n"
		"that a slot reached by kexec still lacks. The slot must be marked good; after\n"
		"the reboot mark-good makes it good for the firmware too.\n"
		"\n"
		"  --activate=none    at the next reboot, whenever that is\n"
		"  --activate=reboot  reboots now\n";
	struct machine machine;
	struct options o;
	int r = options_parse(argc, argv, TAKES_ACTIVATE, help, &o, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (o.operand_count > 0)
		return err_set(err, EX_USAGE, "rehearse takes no slot: it is about the running one");
	if (o.activate == ACTIVATE_KEXEC)
		return err_set(err, EX_USAGE, "--activate=kexec: a rehearsal is a firmware boot; none "
			       "or reboot");
	r = machine_open(o.config, MACHINE_CHANGE, &machine, err);
	if (r == 0)
		r = rehearse(&machine, o.activate, err);
	machine_close(&machine);
	return r;
}
