/* SPDX-License-Identifier: MIT */
#include "cmdline.h"
#include "export.h"
#include "leave.h"
#include "kexec_intent.h"
#include "kexec.h"
#include "kexec_slot.h"
#include "lock.h"
#include "mark.h"
#include "options.h"
#include "out.h"
#include "report.h"
#include "trip.h"
#include "io.h"
#include "verbs.h"

#include <string.h>

/* Unload the old image together with its nonce; otherwise a failed load would leave it
 * staged, and the next shutdown would boot it. */
static int load(struct machine *m, unsigned slot, int64_t *ret_stage_ms, struct err *err)
{
	_cleanup_(kexec_image_freep) struct kexec_image *image = NULL;
	int64_t begin_ms = trip_clock_ms();

	if (kexec_slot_check(m, slot, err) < 0 || kexec_prepare(m, slot, &image, err) < 0 ||
	    kexec_cancel(m->config, err) < 0 || kexec_intent_make(m, slot, err) < 0 ||
	    (m->state.source != STATE_LOST && machine_save(m, err) < 0) ||
	    kexec_intent_load(m, slot, image, err) < 0)
		return -1;
	*ret_stage_ms = trip_clock_ms() - begin_ms;
	if (kexec_image_ignored(image))
		out_print("warning: addons not used: %s\n", kexec_image_ignored(image));
	if (!kexec_slot_is_known(m, slot))
		out_print("warning: slot %c was not installed by slotctl: its UKI is taken as "
			  "it stands\n", slot_letter(slot));
	out_print("slot %c is staged for kexec\n", slot_letter(slot));
	return 0;
}

/* The named slot, or by default the one an install left for a kexec, else the preferred
 * one. If load has staged it already, nothing is left to do. */
static int kexec_run(struct machine *m, const struct options *o, unsigned *ret_slot,
		     int64_t *ret_stage_ms, struct err *err)
{
	unsigned other = 1 - m->running.slot;
	bool exec = strcmp(o->operands[0], "exec") == 0;

	*ret_stage_ms = LEDGER_UNKNOWN;
	*ret_slot = m->state.record.slots[other].status == SLOT_KEXEC_TRIAL
			    ? other : m->state.record.preferred;
	if (exec && o->operand_count == 1 && kexec_is_loaded(m->config))
		return kexec_intent_staged(m, ret_slot, err);
	if (o->operand_count > 1 && options_slot(o->operands[1], ret_slot, err) < 0)
		return -1;
	return load(m, *ret_slot, ret_stage_ms, err);
}

/* Whatever comes of it, the record already says what the firmware starts next. */
static int leave(struct machine *m, enum activate how, unsigned slot, int64_t stage_ms,
		 struct err *err)
{
	const struct trip_times times = { LEDGER_UNKNOWN, stage_ms };
	struct report report;

	report_init(&report, false);
	if (leave_for(m, how, slot, &times, &report, err) == 0)
		return 0;
	return how == ACTIVATE_KEXEC ? -1 : err_prefix(err, "slot %c will be booted next",
						       slot_letter(slot));
}

/* Needs only the lock, so that it works on a machine in disorder. */
static int unload_alone(const struct options *o, struct err *err)
{
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_close_ int lock = -1;

	if (config_load(o->config, &config, err) < 0 ||
	    lock_take(config->lock, 0, &lock, err) < 0)
		return -1;
	return kexec_unload(err);
}

/* The intent goes with the image, where there is a record to take it from. */
static int unload(const struct options *o, struct err *err)
{
	struct machine machine;
	struct err disorder;
	bool opened;
	int r;

	if (o->operand_count != 1)
		return err_set(err, EX_USAGE, "kexec unload takes no slot");
	opened = machine_open(o->config, MACHINE_CHANGE, &machine, &disorder) == 0;
	r = opened ? kexec_unload(err) : 0;
	if (opened && r == 0 && machine.state.source != STATE_LOST && kexec_intent_forget(&machine))
		r = machine_save(&machine, err);
	machine_close(&machine);
	return opened ? r : unload_alone(o, err);
}

int verb_kexec(int argc, char **argv, struct err *err)
{
	static const char help[] =
		"Usage: slotctl kexec load|exec [a|b] [--config=FILE]\n"
		"       slotctl kexec explain [a|b] [--json] [--config=FILE]\n"
		"       slotctl kexec unload [--config=FILE]\n"
		"\n"
		"load    stages a slot's kernel, initrd and command line (default: the preferred\n"
		"        slot); the next systemctl kexec, or slotctl kexec exec, jumps into it\n"
		"exec    jumps into what is staged, or stages a slot and jumps\n"
		"explain foretells whether that will work, and why not; it loads nothing\n"
		"unload  forgets what is staged\n"
		"\n"
		"What the firmware boots next stays as it is.\n";
	struct machine machine;
	struct options o;
	int r = options_parse(argc, argv, TAKES_JSON, help, &o, err);
	bool exec, explain;
	int64_t stage_ms;
	unsigned slot;

	if (r != 0)
		return r < 0 ? -1 : 0;
	explain = o.operand_count > 0 && strcmp(o.operands[0], "explain") == 0;
	if (o.operand_count < 1 || o.operand_count > 2 ||
	    (strcmp(o.operands[0], "load") != 0 && strcmp(o.operands[0], "exec") != 0 &&
	     strcmp(o.operands[0], "unload") != 0 && !explain))
		return err_set(err, EX_USAGE, "kexec: load, exec, explain or unload must be named");
	if (o.json && !explain)
		return err_set(err, EX_USAGE, "kexec: --json goes with explain");
	if (explain)
		return kexec_explain(&o, err);
	if (strcmp(o.operands[0], "unload") == 0)
		return unload(&o, err);
	exec = strcmp(o.operands[0], "exec") == 0;
	r = machine_open(o.config, MACHINE_CHANGE, &machine, err);
	if (r == 0)
		r = kexec_run(&machine, &o, &slot, &stage_ms, err);
	if (r == 0)
		r = leave(&machine, exec ? ACTIVATE_KEXEC : ACTIVATE_NONE, slot, stage_ms, err);
	machine_close(&machine);
	return r;
}

/* The new kernel is staged before the record changes: a load that fails changes
 * nothing. */
static int rollback_run(struct machine *m, enum activate how, bool force, unsigned *ret_slot,
			int64_t *ret_stage_ms, struct err *err)
{
	unsigned other = 1 - m->running.slot;
	int r;

	*ret_slot = other;
	*ret_stage_ms = LEDGER_UNKNOWN;
	if (!policy_slot_confirmed(&m->state.record.slots[other], true) ||
	    !policy_slot_bootable(&m->state.record, other))
		return err_set(err, EX_CONFIG, "there is nothing to roll back to: slot %c is %s, "
			       "not confirmed", slot_letter(other),
			       slot_status_text(m->state.record.slots[other].status));
	if (how == ACTIVATE_KEXEC && kexec_intent_check_allowed(m, force, err) < 0)
		return -1;
	r = how == ACTIVATE_KEXEC ? load(m, other, ret_stage_ms, err) : kexec_cancel(m->config, err);
	if (r == 0 && how != ACTIVATE_KEXEC)
		(void)kexec_intent_forget(m);
	if (r == 0)
		r = mark_apply(m, ON_ROLLBACK_FROM, m->running.slot, err);
	if (r < 0) {
		(void)kexec_cancel(m->config, NULL);
		return -1;
	}
	(void)export_write(m, NULL);
	out_print("slot %c is preferred now\n", slot_letter(other));
	verb_print_warnings(m);
	return 0;
}

int verb_rollback(int argc, char **argv, struct err *err)
{
	static const char help[] =
		"Usage: slotctl rollback --activate=none|reboot|kexec [--config=FILE]\n"
		"\n"
		"Prefers the other slot. The running one stays good if it is; otherwise it is\n"
		"marked bad.\n"
		"\n"
		"  --activate=none    takes effect at the next firmware boot\n"
		"  --activate=reboot  reboots now\n"
		"  --activate=kexec   jumps into the other slot now\n"
		"  --force            by kexec although the last one never came to mark-good\n";
	struct machine machine;
	struct options o;
	int64_t stage_ms;
	unsigned slot;
	int r = options_parse(argc, argv, TAKES_ACTIVATE | TAKES_FORCE, help, &o, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (o.operand_count > 0)
		return err_set(err, EX_USAGE, "rollback takes no slot: it goes to the other one");
	r = machine_open(o.config, MACHINE_CHANGE, &machine, err);
	if (r == 0)
		r = rollback_run(&machine, o.activate, o.force, &slot, &stage_ms, err);
	if (r == 0)
		r = leave(&machine, o.activate, slot, stage_ms, err);
	machine_close(&machine);
	return r;
}
