/* SPDX-License-Identifier: MIT */
/* The slot record, its mirror, and what is in the slots by it. */
#include "cmdline.h"
#include "doctor_checks.h"
#include "io.h"
#include "machine_entries.h"
#include "readback.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static void record_lost(const struct state *state, struct findings *findings)
{
	bool foreign = state->var_error == SB_FOREIGN || state->mirror_error == SB_FOREIGN;
	struct finding *f = finding_add(findings, FINDING_FAULT,
					foreign ? "record-foreign" : "record-lost");

	finding_say(f, what, "%s", foreign ? "the slot record is of another disk"
					   : "there is no slot record");
	finding_say(f, cause, "variable: %s; mirror: %s%s", sb_error_text(state->var_error),
		    sb_error_text(state->mirror_error),
		    foreign ? "; the disk is new in this machine, or was written anew" : "");
	finding_say(f, remedy, "slotctl mark-good makes one, if what runs now works");
}

static void variable_behind(const struct state *state, struct findings *findings)
{
	bool squatted = state->var_error == SB_ATTRIBUTES;
	struct finding *f = finding_add(findings, FINDING_FAULT,
					squatted ? "record-squatted" : "record-behind");

	f->repairable = !squatted;
	finding_say(f, what, "the slot record was read from its mirror on the ESP (variable: %s)",
		    state->var_error == SB_OK ? "older" : sb_error_text(state->var_error));
	finding_say(f, cause, "%s", squatted
			    ? "somebody has made a variable SlotState that is not slotboot's"
			    : "the firmware has lost the variable, brought an older one back, or "
			      "could not write it");
	finding_say(f, remedy, "%s", squatted ? "clear it in the firmware's setup"
					      : "slotctl doctor --repair");
}

static void firmware_forgets(const struct machine *m, struct findings *findings)
{
	struct quirks quirks;
	struct finding *f;

	machine_quirks_read(m, &quirks);
	if (quirks.of[QUIRK_RECORD].undone == 0)
		return;
	f = finding_add(findings, FINDING_NOTE, "firmware-forgets");
	finding_say(f, what, "this firmware has not kept the variable SlotState over the last resets "
		    "(%u)", quirks.of[QUIRK_RECORD].undone);
	finding_say(f, cause, "it takes variables and loses them at the reset, as firmware does that "
		    "has no store to write while Linux runs, or a flat battery; the mirror on the "
		    "ESP stands in");
	finding_say(f, remedy, "an update of the firmware, or a new battery; kexec wants signed "
		    "manifests meanwhile");
}

/* Open for writing, and nothing written. */
static bool mirror_unwritable(const struct machine *m, struct findings *findings)
{
	int fd = open(m->statefile.mirror, O_RDWR | O_CLOEXEC | O_NONBLOCK), error = errno;
	struct finding *f;

	if (fd >= 0)
		(void)close(fd);
	if (fd >= 0 || error == ENOENT)
		return false;
	f = finding_add(findings, FINDING_FAULT, "mirror-unwritable");
	finding_say(f, what, "the mirror of the slot record (%s) cannot be written",
		    m->statefile.mirror);
	finding_say(f, cause, "%s", strerror(error));
	if (error == EROFS)
		finding_say(f, remedy, "mount -o remount,rw %s; Linux makes a damaged FAT read-only: "
			    "fsck.vfat -n shows whether it is", m->esp.dir);
	else
		finding_say(f, remedy, "remove it, then slotctl mark-good makes it anew");
	return true;
}

static bool mirror_is_current(const struct machine *m)
{
	struct state state = m->state;

	state_compare(&m->storage, &state);
	for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++)
		if (!state.mirror_current[copy])
			return false;
	return true;
}

/* The mirror is the record, if it was read from there. */
static void mirror_behind(const struct machine *m, struct findings *findings)
{
	const struct state *state = &m->state;
	bool damaged = state->mirror_error != SB_OK;
	struct finding *f;

	if (state->source != STATE_VARIABLE_COPY || mirror_is_current(m))
		return;
	f = finding_add(findings, damaged ? FINDING_FAULT : FINDING_NOTE,
			damaged ? "mirror-damaged" : "mirror-behind");
	f->repairable = true;
	finding_say(f, what, "the mirror of the slot record does not hold it in both copies (%s)",
		    damaged ? sb_error_text(state->mirror_error) : "older");
	finding_say(f, cause, "%s", damaged ? "it is the second place, where the variable is lost"
					    : "the loader writes the variable alone; the next "
					      "mark-good brings the mirror up");
	finding_say(f, remedy, "slotctl doctor --repair");
}

void doctor_record(struct machine *machine, struct findings *findings)
{
	const struct state *state = &machine->state;

	if (state->source == STATE_LOST)
		record_lost(state, findings);
	else if (state->source == STATE_MIRROR_COPY && !machine->statefile.closed)
		variable_behind(state, findings);
	if (state->source != STATE_LOST && (state->record.flags & RECORD_FLAG_PROVISIONAL)) {
		struct finding *f = finding_add(findings, FINDING_FAULT, "record-provisional");

		finding_say(f, what, "the slot record was made by the loader, which found none");
		finding_say(f, remedy, "slotctl mark-good makes one that lasts");
	}
	firmware_forgets(machine, findings);
	if (!mirror_unwritable(machine, findings))
		mirror_behind(machine, findings);
}

static void digest_check(const struct machine *m, unsigned slot, const char *path,
			 struct findings *findings)
{
	const struct slot *s = &m->state.record.slots[slot];
	bool installed = s->flags & SLOT_FLAG_INSTALLED;
	struct disk_stat st = { 0 };
	struct err why = { 0 };
	uint8_t sha256[32];
	struct finding *f;

	if (!(s->flags & SLOT_FLAG_DIGEST))
		return;
	if (m->disk.stat(m->disk.ctx, path, &st) == 0 && st.size == s->uki_size &&
	    readback_sha256(&m->disk, path, st.size, NULL, sha256, &why) == 0 &&
	    memcmp(sha256, s->uki_sha256, sizeof sha256) == 0)
		return;
	f = finding_add(findings, FINDING_FAULT, "slot-digest");
	finding_say(f, what, "the UKI of slot %c is not the one of the slot record", slot_letter(slot));
	finding_say(f, cause, "%s", why.exit ? why.text : "it was replaced by hand, or is damaged");
	finding_say(f, remedy, installed ? "install the slot again"
			       : "if it was replaced on purpose, boot it and slotctl mark-good; else "
				 "install the slot again");
}

void doctor_slots(const struct machine *machine, struct findings *findings)
{
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		const struct slot *s = &machine->state.record.slots[slot];
		_cleanup_free_ char *path = NULL;
		struct finding *f;

		if (s->status == SLOT_EMPTY || machine_slot_file(machine, slot, "uki.efi", &path, NULL) < 0)
			continue;
		if (s->status == SLOT_WRITING) {
			f = finding_add(findings, FINDING_FAULT, "slot-writing");
			finding_say(f, what, "an install into slot %c was not completed", slot_letter(slot));
			finding_say(f, cause, "it runs just now, or was cut off: there is no slot to fall "
				    "back to");
			finding_say(f, remedy, "slotctl install");
		} else if (access(path, F_OK) < 0) {
			f = finding_add(findings, FINDING_FAULT, "slot-without-uki");
			finding_say(f, what, "slot %c (%s) has no UKI", slot_letter(slot),
				    slot_status_text(s->status));
			finding_say(f, cause, "%s: %s", path, strerror(errno));
			finding_say(f, remedy, "install the slot again");
		} else {
			digest_check(machine, slot, path, findings);
		}
	}
}
