/* SPDX-License-Identifier: MIT */
/* The ESP and its disk, and the loader's two files. */
#include "doctor_checks.h"
#include "espdisk.h"
#include "io.h"
#include "loader_note.h"
#include "other_esp.h"

#include <errno.h>
#include <string.h>

static void esp_fault(struct findings *findings, const char *id, const char *what,
		      const struct err *why)
{
	struct finding *f = finding_add(findings, FINDING_FAULT, id);

	finding_say(f, what, "%s", what);
	finding_say(f, cause, "%s", why->text);
}

static void boot_flag(const struct machine *m, struct findings *findings)
{
	struct finding *f = finding_add(findings, FINDING_FAULT, "pmbr-boot");

	finding_say(f, what, "the protective MBR of %s has its boot flag set", m->esp.disk);
	finding_say(f, cause, "some firmware takes the disk for one without UEFI then, and removes "
		    "boot entries");
	finding_say(f, remedy, "parted %s disk_set pmbr_boot off", m->esp.disk);
}

void doctor_esp(const struct machine *machine, struct findings *findings)
{
	struct err why = { 0 };

	if (machine->esp_error.exit)
		esp_fault(findings, "esp-other", "this is not the disk that the machine runs from",
			  &machine->esp_error);
	if (esp_mount_check(&machine->esp, &why) < 0)
		esp_fault(findings, "esp-part-of-one", "the loader would write a part of the ESP only",
			  &why);
	if (machine->esp.pmbr_boot)
		boot_flag(machine, findings);
}

static void other_esp_lost(const struct machine *m, struct findings *findings)
{
	struct finding *f = finding_add(findings, FINDING_FAULT, "other-esp-lost");

	finding_say(f, what, "one of the two ESPs cannot be used; the machine boots from %s alone",
		    m->esp.dir);
	finding_say(f, cause, "%s", m->other_esp_error.text);
	finding_say(f, remedy, "replace the disk, or mount its ESP; then slotctl mark-good brings it "
		    "up");
}

static void other_esp_behind(const struct machine *m, const char *what, struct findings *findings)
{
	bool record_alone = what && strcmp(what, OTHER_ESP_RECORD) == 0;
	struct finding *f = finding_add(findings, record_alone ? FINDING_NOTE : FINDING_FAULT,
					record_alone ? "other-esp-record" : "other-esp-behind");

	f->repairable = true;
	finding_say(f, what, "the ESP at %s is not in step with the one at %s", m->other_esp.dir,
		    m->esp.dir);
	if (record_alone)
		finding_say(f, cause, "its state.bin does not hold the record in both copies: the "
			    "loader writes the variable alone");
	else if (what)
		finding_say(f, cause, "it holds another %s", what);
	else
		finding_say(f, cause, "its disk was away while the machine was updated, it is new, or "
			    "it could not be written");
	finding_say(f, remedy, "slotctl doctor --repair, or the next slotctl mark-good");
}

void doctor_other_esp(const struct machine *machine, struct findings *findings)
{
	enum other_esp_state state = other_esp_state(machine);
	const char *what = NULL;

	if (state == OTHER_ESP_LOST)
		other_esp_lost(machine, findings);
	else if (state == OTHER_ESP_BEHIND ||
		 (state == OTHER_ESP_IN_STEP && !other_esp_compare(machine, &what)))
		other_esp_behind(machine, what, findings);
}

static bool is_whole(const struct loader_file *file)
{
	return file->there && !file->why.exit;
}

static void loader_check(const struct loader_file *loader, const struct loader_file *fallback,
			 const struct loader_note *note, struct findings *findings)
{
	bool copy = loader_file_good(fallback);
	struct finding *f;

	if (loader_file_good(loader))
		return;
	f = finding_add(findings, FINDING_FAULT, loader->there ? "loader-damaged" : "loader-missing");
	finding_say(f, what, "the loader (%s) is %s", loader->path,
		    loader->there ? "damaged" : "missing");
	finding_say(f, cause, "%s", !loader->there	     ? "somebody has removed it, or the ESP is damaged"
				    : loader->why.exit ? loader->why.text
						       : "it is a program, but not slotboot");
	finding_say(f, remedy, "%s", !copy ? "slotctl loader install"
				     : loader_id_is(&note->promoted, fallback)
					     ? "slotctl mark-good, which puts it back from its copy"
					     : "reboot, by which the firmware starts its copy, and then "
					       "slotctl mark-good, which puts it back from there");
}

static void fallback_check(const struct loader_file *loader, const struct loader_file *fallback,
			   struct findings *findings)
{
	bool same = loader->len == fallback->len && loader->data && fallback->data &&
		    memcmp(loader->data, fallback->data, loader->len) == 0;
	struct finding *f;

	if (same || (!loader_file_good(loader) && loader_file_good(fallback)))
		return;
	if (is_whole(fallback) && !fallback->ours) {
		f = finding_add(findings, FINDING_NOTE, "fallback-foreign");
		finding_say(f, what, "%s is another system's", fallback->path);
		finding_say(f, cause, "firmware that has lost its entries starts that, and not slotboot");
		return;
	}
	f = finding_add(findings, FINDING_FAULT, !fallback->there      ? "fallback-missing"
						 : is_whole(fallback) ? "fallback-differs"
								      : "fallback-damaged");
	finding_say(f, what, "the loader's copy (%s) is %s", fallback->path,
		    !fallback->there ? "missing"
		    : is_whole(fallback) ? "another version than the loader"
					 : "damaged");
	finding_say(f, cause, "%s", fallback->there && fallback->why.exit ? fallback->why.text
						     : "it is what firmware starts that has lost its "
						       "boot entries");
	finding_say(f, remedy, "%s", loader_file_good(loader)
				       ? "slotctl mark-good, once the loader has booted this machine"
				       : "slotctl loader install");
}

void doctor_loader(const struct machine *machine, struct findings *findings)
{
	_cleanup_(loader_file_clear) struct loader_file loader = { 0 }, fallback = { 0 };
	struct loader_note note;

	loader_note_read(machine, &note);
	if (loader_file_read(machine, LOADER_HOME, &loader, NULL) < 0 ||
	    loader_file_read(machine, LOADER_FALLBACK, &fallback, NULL) < 0)
		return;
	loader_check(&loader, &fallback, &note, findings);
	fallback_check(&loader, &fallback, findings);
}
