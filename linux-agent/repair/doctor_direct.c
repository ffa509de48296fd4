/* SPDX-License-Identifier: MIT */
/* Machines without the loader (direct.h): what they do without, and whether BootNext is as it
 * should be. */
#include "cmdline.h"
#include "direct.h"
#include "doctor_checks.h"
#include "io.h"
#include "loader_file.h"
#include "quirks.h"

static void lost_note(const struct machine *m, struct findings *findings)
{
	const struct config *config = m->config;
	bool unused = config->good_limit || config->check != CONFIG_CHECK_TRIAL ||
		      config->failover != CONFIG_FAILOVER_SAME_BOOT ||
		      config->entries != CONFIG_ENTRIES_HIDDEN ||
		      config->watchdog == CONFIG_WATCHDOG_ALWAYS;
	struct finding *f = finding_add(findings, FINDING_NOTE, "direct");

	finding_say(f, what, "this machine does without the loader (activation = direct)");
	finding_say(f, cause, "what is lost: tries are not counted (a trial has one); an image that does not "
		    "start is not compared with the record, nor followed by the other slot in the same boot, "
		    "other than by the firmware's own leave; no watchdog is armed before Linux; a good slot "
		    "that fails stays first in BootOrder%s",
		    unused ? "; good-limit, check, failover, loader-entries and watchdog = always have no effect"
			   : "");
	finding_say(f, remedy, "activation = loader, in slotboot.conf; then slotctl loader install, and "
		    "slotctl mark-good");
}

static void next_check(const struct machine *m, struct findings *findings)
{
	const char name = slot_letter(m->state.record.preferred);
	struct finding *f;

	if (m->direct_trial == DIRECT_TRIAL_IGNORED) {
		f = finding_add(findings, FINDING_FAULT, "boot-next-ignored");
		finding_say(f, what, "BootNext names slot %c, and this firmware has not looked at BootNext (resets in a row: "
			    "%u)", name, m->direct_ignored);
		finding_say(f, cause, "BootNext outlived a reset, so that the slot was not tried: the firmware "
			    "ignores it, or another entry was chosen by hand");
		f->repairable = m->direct_ignored >= QUIRKS_UNDONE_MAX;
		finding_say(f, remedy, "reboot once more; if it stays, an update of the firmware, or activation = "
			    "loader%s", f->repairable ? "; slotctl doctor --repair has it tried again" : "");
	} else if (m->direct_trial == DIRECT_TRIAL_MISSING) {
		f = finding_add(findings, FINDING_FAULT, "boot-next-missing");
		f->repairable = true;
		finding_say(f, what, "slot %c is to be tried, and BootNext does not name it", name);
		finding_say(f, cause, "somebody has taken it back, or it could not be set");
		finding_say(f, remedy, "slotctl doctor --repair");
	}
}

/* slotboot's own loader goes by the record. */
static void fallback_note(const struct machine *m, struct findings *findings)
{
	_cleanup_(loader_file_clear) struct loader_file file = { 0 };
	struct finding *f;

	if (loader_file_read(m, LOADER_FALLBACK, &file, NULL) < 0 || !file.there || loader_file_good(&file))
		return;
	f = finding_add(findings, FINDING_NOTE, "fallback-foreign");
	finding_say(f, what, "%s is not slotboot's loader", file.path);
	finding_say(f, cause, "firmware that has lost its entries starts that, whatever the slot record says; a copy of "
		    "a slot's UKI would start beside whatever that slot holds by then");
	finding_say(f, remedy, "remove it, unless it is another system's");
}

void doctor_direct(const struct machine *machine, struct findings *findings)
{
	lost_note(machine, findings);
	fallback_note(machine, findings);
	next_check(machine, findings);
}
