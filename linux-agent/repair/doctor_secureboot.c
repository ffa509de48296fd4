/* SPDX-License-Identifier: MIT */
/* What the firmware would refuse at the next start: revoked since it was installed, or never
 * signed for this machine. */
#include "cmdline.h"
#include "doctor_checks.h"
#include "io.h"
#include "slot_secureboot.h"

static void refused_say(const struct secureboot_verdict *v, struct finding *f)
{
	finding_say(f, cause, "Secure Boot: %s", v->words);
}

static void slot_check(const struct machine *m, const struct secureboot *rules, unsigned slot,
		       struct findings *findings)
{
	struct secureboot_verdict v;
	struct finding *f;
	bool refused;

	if (!slot_secureboot(m, rules, slot, &v) || v.answer == SECUREBOOT_STARTS)
		return;
	refused = v.answer == SECUREBOOT_REFUSED;
	f = finding_add(findings, refused ? FINDING_FAULT : FINDING_NOTE,
			refused ? "slot-refused" : "slot-uncertain");
	finding_say(f, what, "%s slot %c", secureboot_would(v.answer), slot_letter(slot));
	refused_say(&v, f);
	if (refused)
		finding_say(f, remedy, "install an image that it starts%s: %s",
			    m->is_running && m->running.slot == slot ? ", before the next reboot" : "",
			    secureboot_remedy(v.rule));
}

static void loader_check(const struct machine *m, const struct secureboot *rules,
			 enum loader_place place, struct findings *findings)
{
	_cleanup_(loader_file_clear) struct loader_file file = { 0 };
	struct secureboot_verdict v;
	struct finding *f;

	if (!slot_secureboot_place(m, rules, place, &file, &v) || v.answer != SECUREBOOT_REFUSED)
		return;
	f = finding_add(findings, FINDING_FAULT, place == LOADER_HOME ? "loader-refused"
									: "fallback-refused");
	finding_say(f, what, "%s the loader%s (%s)", secureboot_would(v.answer),
		    place == LOADER_HOME ? "" : "'s copy", file.path);
	refused_say(&v, f);
	finding_say(f, remedy, "slotctl loader install FILE, with one that it starts: %s",
		    secureboot_remedy(v.rule));
}

void doctor_secureboot(const struct machine *machine, struct findings *findings)
{
	_cleanup_(secureboot_clear) struct secureboot rules = { .now = 0 };

	if (secureboot_read(&machine->vars, &rules, NULL) < 0 || !rules.on)
		return;
	for (unsigned slot = 0; machine->step == MACHINE_OPEN && slot < SLOT_COUNT; slot++)
		slot_check(machine, &rules, slot, findings);
	loader_check(machine, &rules, LOADER_HOME, findings);
	loader_check(machine, &rules, LOADER_FALLBACK, findings);
}
