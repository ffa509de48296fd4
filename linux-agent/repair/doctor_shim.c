/* SPDX-License-Identifier: MIT */
/* shim's file and its copy, where the configuration names one: there, whole, and such that the firmware
 * starts them. */
#include "doctor_checks.h"
#include "io.h"
#include "native.h"
#include "shim_file.h"

static void broken_say(const struct shim_file *file, const char *what, const char *missing, const char *damaged,
		       struct findings *findings)
{
	struct finding *f = finding_add(findings, FINDING_FAULT, file->there ? damaged : missing);

	finding_say(f, what, "%s (%s) is %s", what, file->path, file->there ? "damaged" : "missing");
	finding_say(f, cause, "%s", file->there ? file->why.text : "shim = FILE, in slotboot.conf, says that the "
		    "firmware starts the machine by it");
	finding_say(f, remedy, "put a shim there that this firmware starts, such as Debian's "
		    "/usr/lib/shim/shim" NATIVE_EFI ".efi.signed");
}

static void refused_say(const struct secureboot *rules, const struct shim_file *file, enum shim_place place,
			struct findings *findings)
{
	struct secureboot_verdict v;
	struct finding *f;

	if (!shim_file_judge(rules, file, &v) || v.answer != SECUREBOOT_REFUSED)
		return;
	f = finding_add(findings, FINDING_FAULT, place == SHIM_HOME ? "shim-refused" : "shim-copy-refused");
	finding_say(f, what, "%s shim%s (%s)", secureboot_would(v.answer), place == SHIM_HOME ? "" : "'s copy", file->path);
	finding_say(f, cause, "Secure Boot: %s", v.words);
	finding_say(f, remedy, "put a newer shim there, before the next reboot");
}

void doctor_shim(const struct machine *machine, struct findings *findings)
{
	_cleanup_(shim_file_clear) struct shim_file home = { 0 }, copy = { 0 };
	_cleanup_(secureboot_clear) struct secureboot rules = { .now = 0 };

	if (!machine->config->shim || shim_file_read(machine, machine->esp.dir, SHIM_HOME, &home, NULL) < 0 ||
	    shim_file_read(machine, machine->esp.dir, SHIM_FALLBACK, &copy, NULL) < 0)
		return;
	if (home.why.exit)
		broken_say(&home, "shim", "shim-missing", "shim-damaged", findings);
	if (copy.why.exit)
		broken_say(&copy, "shim's copy", "shim-copy-missing", "shim-copy-damaged", findings);
	if (machine->step == MACHINE_AT_VARS || secureboot_read(&machine->vars, &rules, NULL) < 0)
		return;
	refused_say(&rules, &home, SHIM_HOME, findings);
	if (shim_file_same(&home, &copy))
		refused_say(&rules, &copy, SHIM_FALLBACK, findings);
}
