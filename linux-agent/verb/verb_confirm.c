/* SPDX-License-Identifier: MIT */
#include "cmdline.h"
#include "confirm.h"
#include "direct.h"
#include "events.h"
#include "export.h"
#include "health_note.h"
#include "io.h"
#include "leave.h"
#include "lock.h"
#include "options.h"
#include "out.h"
#include "report.h"
#include "verbs.h"

#include <errno.h>
#include <stdio.h>

static const char help[] =
	"Usage: slotctl confirm [--give-up] [--config=FILE]\n"
	"\n"
	"Checks the health of the running slot: the programs of health.d, failed units, the\n"
	"units of health-units. If all is well for health-settle seconds, the slot is marked\n"
	"good. If not within health-deadline, a slot on trial is marked bad, and the machine\n"
	"reboots into the other one at once.\n"
	"\n"
	"  --give-up    check nothing: the slot on trial was not confirmed in time\n";

static void found_print(void *ctx, const struct health_finding *finding)
{
	char words[HEALTH_WORDS_BYTES];

	(void)ctx;
	if (finding) {
		health_finding_words(finding, words, sizeof words);
		out_print("%snot well: %s\n", report_to_journal(STDOUT_FILENO) ? "<5>" : "", words);
	} else {
		out_print("all checks hold\n");
	}
	(void)fflush(stdout);
}

/* Two concurrent runs: the second would undo the first. */
static int confirm_lock(const struct machine *m, int *ret_lock, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s.confirm", m->config->lock) < 0) {
		path = NULL;
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the lock");
	}
	return lock_take(path, 0, ret_lock, err);
}

static int stay(const struct machine *m, const char *words, struct err *err)
{
	return err_set(err, EX_UNAVAILABLE, "slot %c is not well (%s), and not on trial (%s): nothing "
		       "is changed", slot_letter(m->running.slot), words,
		       slot_status_text(m->state.record.slots[m->running.slot].status));
}

static void warning_print(const struct err *why)
{
	if (why->exit)
		out_print("%swarning: %s\n", report_to_journal(STDOUT_FILENO) ? "<4>" : "", why->text);
}

/* The record is read anew: the checks took their time. */
static int fail(const struct options *o, const struct health_finding *finding, struct err *err)
{
	struct err note_error = { 0 }, entries_error = { 0 };
	char words[HEALTH_WORDS_BYTES];
	struct machine m;
	int r = machine_open(o->config, MACHINE_CONFIRM, &m, err);

	health_finding_words(finding, words, sizeof words);
	if (r == 0 && !confirm_is_on_trial(&m)) {
		r = o->give_up ? 0 : stay(&m, words, err);
	} else if (r == 0) {
		r = confirm_fail(&m, finding, &note_error, &entries_error, err);
		warning_print(&note_error);
		warning_print(&entries_error);
		verb_print_warnings(&m);
		if (r == 0)
			events_unhealthy(&m, words);
		(void)export_write(&m, NULL);
		if (r < 0)
			(void)err_prefix(err, "the health check failed (%s)", words);
		else if (leave_reboot_now(m.config->sysroot, err) < 0)
			r = err_prefix(err, "slot %c is marked bad (%s) and slot %c will be booted next",
				       slot_letter(m.running.slot), words,
				       slot_letter(1 - m.running.slot));
		else
			r = err_set(err, EX_UNAVAILABLE, "slot %c failed its health check (%s): it is "
				    "marked bad, and the machine reboots into slot %c",
				    slot_letter(m.running.slot), words,
				    slot_letter(1 - m.running.slot));
	}
	machine_close(&m);
	return r;
}

/* Without the loader it is slotctl that stores the try, and with it that the slot was started:
 * should the system end here, the other one can say so. What fails, fails again at mark-good,
 * which also makes the record of a new disk, whose old one is not confirmed by storing it. */
static void arrive(const struct options *o)
{
	struct err why = { 0 };
	struct machine m;

	if (machine_open(o->config, MACHINE_CONFIRM, &m, &why) == 0 && m.judged && !m.state.unmirrored &&
	    machine_save(&m, &why) == 0)
		(void)direct_arm(&m, &why);
	machine_close(&m);
}

static int confirm(const struct options *o, const struct machine *m, struct err *err)
{
	struct health_finding finding;

	if (o->give_up && !confirm_is_on_trial(m)) {
		out_print("slot %c is not on trial: nothing to give up\n", slot_letter(m->running.slot));
		return 0;
	}
	if (o->give_up)
		health_blame(m->config, &program_clock_posix, &finding);
	else if (health_watch(m->config, &program_clock_posix, found_print, NULL, &finding))
		return mark_good_running(o->config, err);
	return fail(o, &finding, err);
}

int verb_confirm(int argc, char **argv, struct err *err)
{
	_cleanup_close_ int lock = -1;
	struct machine machine;
	struct options o;
	int r = options_parse(argc, argv, TAKES_GIVE_UP, help, &o, err);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (o.operand_count > 0)
		return err_set(err, EX_USAGE, "confirm takes no slot: only the running one can be checked");
	r = machine_open(o.config, MACHINE_LOOK, &machine, err);
	if (r == 0 && !machine.is_running) {
		*err = machine.running_error;
		r = -1;
	}
	if (r == 0)
		r = confirm_lock(&machine, &lock, err);
	if (r == 0 && machine.judged)
		arrive(&o);
	if (r == 0)
		r = confirm(&o, &machine, err);
	machine_close(&machine);
	return r;
}
