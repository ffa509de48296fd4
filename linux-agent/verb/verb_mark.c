/* SPDX-License-Identifier: MIT */
#include "cmdline.h"
#include "events.h"
#include "export.h"
#include "slot_words.h"
#include "kexec_intent.h"
#include "kexec.h"
#include "key_updates.h"
#include "loader_update.h"
#include "mark.h"
#include "options.h"
#include "out.h"
#include "policy.h"
#include "report.h"
#include "trip.h"
#include "verbs.h"
#include "watchdog.h"

#include <stdio.h>
#include <unistd.h>

void verb_print_warnings(const struct machine *machine)
{
	const char *priority = report_to_journal(STDOUT_FILENO) ? "<4>" : "";

	if (machine->warning)
		out_print("%swarning: %s\n", priority, machine->warning);
	if (machine->entries_error.exit)
		out_print("%swarning: " MACHINE_ENTRIES_WARNING "\n", priority,
			  machine->entries_error.text);
	if (machine->other_esp_error.exit)
		out_print("%swarning: " MACHINE_OTHER_ESP_WARNING "\n", priority,
			  machine->other_esp_error.text, machine->esp.dir);
}

static void slot_print(const struct machine *m, unsigned slot)
{
	char text[256];

	slot_words_of(&m->state.record.slots[slot], text, sizeof text);
	out_print("slot %c: %s\n", slot_letter(slot), text);
	verb_print_warnings(m);
	if (m->uki_warning)
		out_print("WARNING: %s\n", m->uki_warning);
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
		out_print("watchdog: %s\n", say);
	else
		out_print("warning: %s\n", say);
}

/* Say that this confirmation overrides an operator's choice. */
static void undone_print(const struct machine *m, const struct record *before)
{
	unsigned slot = m->running.slot;
	const struct slot *was = &before->slots[slot];

	if (m->state.source == STATE_LOST || was->status != SLOT_BAD)
		return;
	if (was->reason == REASON_OPERATOR || was->reason == REASON_ROLLED_BACK)
		out_print("warning: slot %c had been marked bad (%s); mark-good has undone that\n",
			  slot_letter(slot), slot_reason_words(was->reason));
}

/* Then only a last resort is left. */
static void none_left_print(const struct machine *m)
{
	const struct record *record = &m->state.record;

	if (!policy_slot_bootable(record, 0) && !policy_slot_bootable(record, 1))
		out_print("warning: no slot is fit to boot any more; one will be started as a last "
			  "resort\n");
}

/* The slot is confirmed; a problem with the loader is only a warning. */
static void loader_print(struct machine *m)
{
	struct loader_result result;
	struct err why = { 0 };

	if (loader_settle(m, &result, &why) < 0)
		out_print("%swarning: failed to look after the loader: %s\n",
			  report_to_journal(STDOUT_FILENO) ? "<4>" : "", why.text);
	else
		verb_print_loader(&result);
}

/* The slot is confirmed; a lost disk is only a warning, which slot_print() had. */
static void other_esp_print(struct machine *m)
{
	bool told = m->other_esp_error.exit;
	struct err why = { 0 };
	int r = mark_other_esp(m, &why);

	if (r < 0)
		out_print("%swarning: failed to bring the other ESP up: %s\n",
			  report_to_journal(STDOUT_FILENO) ? "<4>" : "", why.text);
	else if (m->other_esp_error.exit && !told)
		verb_print_warnings(m);
	else if (r > 0)
		out_print("the other ESP (%s) was behind, and is in step now\n", m->other_esp.dir);
}

/* Last, when slot, loader and the other ESP are what they are to be. */
static void keys_print(struct machine *m)
{
	const char *priority = report_to_journal(STDOUT_FILENO) ? "<4>" : "";
	struct key_update update;
	struct err why = { 0 };
	int r = key_updates_apply(m, &update, &why);

	if (r < 0)
		out_print("%swarning: failed to look after the firmware's keys: %s\n", priority, why.text);
	if (r > 0)
		(void)export_write(m, NULL);
	if (r > 0 && update.state == KEY_APPLIED)
		out_print("the firmware's %s has %s of slot %c's bundle now\n", efi_auth_name(update.variable),
			  update.name, slot_letter(update.slot));
	else if (r > 0)
		out_print("%swarning: %s is not applied, and %s: %s\n", priority, update.name,
			  update.state == KEY_FAILED ? "not tried again" : "tried again after the next boot",
			  why.text);
}

int mark_good_running(const char *config, struct err *err)
{
	enum record_watchdog known;
	struct machine machine;
	struct record before;
	int r = machine_open(config, MACHINE_CONFIRM, &machine, err);

	known = machine.state.record.watchdog;
	before = machine.state.record;
	if (r == 0)
		r = mark_good(&machine, err);
	if (r == 0) {
		trip_arrive(&machine);
		events_confirmed(&machine, &before);
		(void)export_write(&machine, NULL);
		slot_print(&machine, machine.running.slot);
		loader_print(&machine);
		other_esp_print(&machine);
		keys_print(&machine);
		undone_print(&machine, &before);
		watchdog_print(&machine, known);
	}
	machine_close(&machine);
	return r;
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
	struct options o;
	int r = options_parse(argc, argv, 0, help, &o, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (o.operand_count > 0)
		return err_set(err, EX_USAGE, "mark-good takes no slot: only the running one can "
			       "be confirmed");
	return mark_good_running(o.config, err);
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
		(void)kexec_intent_forget(&machine);
	if (r == 0)
		r = mark_apply(&machine, event, slot, err);
	if (r == 0)
		slot_print(&machine, slot);
	if (r == 0) {
		none_left_print(&machine);
		(void)export_write(&machine, NULL);
	}
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
