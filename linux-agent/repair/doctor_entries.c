/* SPDX-License-Identifier: MIT */
/* Describe what the reconciler would write, and what it leaves alone. */
#include "direct.h"
#include "doctor_checks.h"
#include "io.h"
#include "machine_entries.h"

#include <ctype.h>
#include <string.h>

#define REPAIR "slotctl doctor --repair"

/* A list of names for one line; only the first few of thousands. */
struct names {
	char text[128];
	size_t count;
};

enum { NAMES_SHOWN = 6 };

static void names_add(struct names *names, const char *name)
{
	size_t used = strlen(names->text);

	if (names->count++ < NAMES_SHOWN)
		(void)snprintf(names->text + used, sizeof names->text - used, "%s%s",
			       used ? ", " : "", name);
	else if (names->count == NAMES_SHOWN + 1)
		(void)snprintf(names->text + used, sizeof names->text - used, " and more");
}

/* NULL: nothing to note. */
static struct finding *names_note(struct findings *findings, const struct names *names,
				  const char *id)
{
	return names->count ? finding_add(findings, FINDING_NOTE, id) : NULL;
}

static const struct boot_entry *entry_of(const struct boot_view *view, const char *name)
{
	for (size_t i = 0; i < view->state.entry_count; i++)
		if (strcmp(view->entries[i].name.text, name) == 0)
			return &view->entries[i];
	return NULL;
}

static struct finding *fault(struct findings *findings, const char *id)
{
	struct finding *f = finding_add(findings, FINDING_FAULT, id);

	f->repairable = true;
	finding_say(f, remedy, "%s", REPAIR);
	return f;
}

static void write_op(const struct boot_view *view, const struct boot_op *op,
		     struct findings *findings)
{
	const struct boot_entry *entry = entry_of(view, op->name.text);
	bool wanted_active = view->contents[op->role].attributes != 0;
	struct finding *f;

	if (!entry) {
		f = fault(findings, "entry-missing");
		finding_say(f, what, "%s is missing", quirk_words(op->role));
		finding_say(f, cause, "the firmware has dropped it, or somebody has removed it; it is "
			    "made anew as %s", op->name.text);
	} else if (entry->active != wanted_active) {
		f = fault(findings, wanted_active ? "entry-inactive" : "entry-active");
		finding_say(f, what, "%s (%s) is %s", quirk_words(op->role), op->name.text,
			    entry->active ? "active" : "inactive");
		finding_say(f, cause, "%s", wanted_active
				    ? "the firmware passes it over"
				    : "its slot cannot be booted by the slot record");
	} else {
		f = fault(findings, "entry-differs");
		finding_say(f, what, "%s (%s) is not as it should be", quirk_words(op->role),
			    op->name.text);
		finding_say(f, cause, "its path, its label, its attributes or its command line were "
			    "changed");
	}
}

static void order_op(const struct boot_view *view, struct findings *findings)
{
	struct finding *f = fault(findings, view->has_order ? "order" : "order-missing");

	if (!view->has_order)
		finding_say(f, what, "there is no BootOrder");
	else if (view->state.order_damaged)
		finding_say(f, what, "BootOrder ends in half a number");
	else
		finding_say(f, what, "BootOrder does not begin with slotboot's entries in their order");
	finding_say(f, cause, "the firmware, or another system, has set it: the firmware starts "
		    "something else first, or what it finds by itself");
}

static void delete_op(const struct boot_view *view, const struct boot_op *op, bool direct,
		      struct findings *findings)
{
	const struct boot_entry *entry = entry_of(view, op->name.text);
	struct finding *f = fault(findings, "entry-duplicate");

	finding_say(f, what, "%s (%s) is %s", quirk_words(op->role), op->name.text,
		    view->contents[op->role].wanted ? "there more than once" : "not wanted");
	finding_say(f, cause, "%s", entry && entry->fixed
			    ? "the variable has attributes by which it cannot be rewritten"
			    : view->contents[op->role].wanted
			    ? "the firmware, or an installation, has made one more"
			    : direct && (op->role == BOOT_LOADER || op->role == BOOT_TRIAL)
			    ? "this machine does without the loader (activation = direct)"
			    : view->other ? "with two ESPs only the loaders have entries"
					  : "its slot is empty");
}

static void given_up(const struct machine_entries *e, bool direct, struct findings *findings)
{
	/* Whether what is left leads to a slot that is good nobody knows. */
	enum finding_level level = direct ? FINDING_FAULT : FINDING_NOTE;

	for (unsigned thing = 0; thing < BOOT_THING_COUNT; thing++) {
		struct finding *f;

		if (!e->view.state.given_up[thing] || !e->plan.withheld[thing])
			continue;
		f = finding_add(findings, level, "firmware-undoes");
		f->repairable = true;
		finding_say(f, what, "this firmware has undone %d writes of %s", QUIRKS_UNDONE_MAX,
			    quirk_words(thing));
		finding_say(f, cause, "slotctl leaves it alone now; the machine lives with the entries "
			    "that there are%s", direct ? "" : ", and with the loader's copy in EFI/BOOT");
		finding_say(f, remedy, "%san update of the firmware, and then %s, which tries again",
			    direct ? "activation = loader; or " : "", REPAIR);
	}
}

static void crowded(struct findings *findings)
{
	struct finding *f = finding_add(findings, FINDING_FAULT, "entries-crowded");

	finding_say(f, what, "there are %d boot entries with our label that lead elsewhere",
		    BOOT_LOOKALIKES_MAX);
	finding_say(f, cause, "this firmware changes entries that were made, so that no more are");
	finding_say(f, remedy, "efibootmgr -v shows them, efibootmgr -B -b NUMBER removes one");
}

/* What others have made is left alone, and told. */
static void foreign_note(const struct boot_view *view, struct findings *findings)
{
	struct names malformed = { 0 }, unreadable = { 0 }, lower = { 0 }, elsewhere = { 0 };
	struct finding *f;

	for (size_t i = 0; i < view->state.entry_count; i++) {
		const struct boot_entry *entry = &view->entries[i];
		const char *name = entry->name.text;

		if (entry->odd == BOOT_ODD_MALFORMED)
			names_add(&malformed, name);
		if (entry->odd == BOOT_ODD_UNREADABLE)
			names_add(&unreadable, name);
		if (strpbrk(name + 4, "abcdef"))
			names_add(&lower, name);
		if (entry->role == BOOT_FOREIGN && entry->odd == BOOT_ODD_NOT &&
		    entry->called < BOOT_ROLE_COUNT)
			names_add(&elsewhere, name);
	}
	if ((f = names_note(findings, &malformed, "entry-malformed"))) {
		finding_say(f, what, "no boot entries, by their bytes: %s", malformed.text);
		finding_say(f, cause, "somebody else has written them; slotctl leaves them alone");
	}
	if ((f = names_note(findings, &unreadable, "entry-unreadable"))) {
		finding_say(f, what, "boot entries that cannot be read: %s", unreadable.text);
		finding_say(f, cause, "the firmware gives an error for them; slotctl takes them for "
			    "another system's, and makes its own anew if they were among them");
	}
	if ((f = names_note(findings, &lower, "entry-lowercase"))) {
		finding_say(f, what, "boot entries with lower-case digits: %s", lower.text);
		finding_say(f, cause, "UEFI has upper-case ones; some firmware does not find them");
	}
	if ((f = names_note(findings, &elsewhere, "entry-foreign"))) {
		finding_say(f, what, "boot entries called slotboot that lead elsewhere: %s",
			    elsewhere.text);
		finding_say(f, cause, "they are of another disk, or the firmware has changed their "
			    "path");
		finding_say(f, remedy, "if that disk is gone: efibootmgr -B -b NUMBER");
	}
}

static void absent_note(const struct boot_view *view, struct findings *findings)
{
	struct names absent = { 0 };
	struct finding *f;

	for (size_t i = 0; i < view->state.order_count; i++) {
		bool there = false;
		char name[9];

		for (size_t k = 0; !there && k < view->state.entry_count; k++)
			there = view->entries[k].number == view->order[i];
		(void)snprintf(name, sizeof name, "Boot%04X", (unsigned)view->order[i]);
		if (!there)
			names_add(&absent, name);
	}
	f = names_note(findings, &absent, "order-names-absent");
	if (!f)
		return;
	finding_say(f, what, "BootOrder names entries that are not there: %s", absent.text);
	finding_say(f, cause, "they were removed, or a device that the firmware makes entries for is "
		    "not there now; firmware passes them over");
}

void doctor_entries(const struct machine *machine, struct findings *findings)
{
	_cleanup_(machine_entries_clear) struct machine_entries e = { 0 };
	struct err why = { 0 };

	if (machine_entries_plan(machine, &e, &why) < 0) {
		struct finding *f = finding_add(findings, FINDING_FAULT, "entries");

		finding_say(f, what, "the boot entries cannot be looked at");
		finding_say(f, cause, "%s", why.text);
		return;
	}
	for (size_t i = 0; i < e.plan.op_count; i++) {
		const struct boot_op *op = &e.plan.ops[i];

		if (op->kind == BOOT_OP_WRITE)
			write_op(&e.view, op, findings);
		else if (op->kind == BOOT_OP_ORDER)
			order_op(&e.view, findings);
		else
			delete_op(&e.view, op, machine_is_direct(machine), findings);
	}
	if (e.plan.crowded)
		crowded(findings);
	given_up(&e, machine_is_direct(machine), findings);
	foreign_note(&e.view, findings);
	absent_note(&e.view, findings);
}
