/* SPDX-License-Identifier: MIT */
/* A repeat of the interrupted command leads to its end state. Stops quietly
 * where the power goes a second time. */
#include "explore.h"

#include "cmdline.h"

static bool run(struct world *w, enum op op, int arg, enum activate how, const char *why)
{
	struct step step = { .op = op, .arg = arg, .activate = how };
	uint8_t record[RECORD_BYTES];
	struct err err = { 0 };
	int r;

	op_prepare(w, &step);
	r = op_run(w, &step, record, &err);
	if (w->fault.dead)
		return false;
	if (r < 0)
		violation("%s: %s failed: %s", why, op_text(op), err.text);
	return r == 0;
}

static bool boot(struct world *w, const char *why)
{
	return run(w, OP_BOOT, 0, ACTIVATE_NONE, why);
}

static bool good(struct world *w, const char *why)
{
	return run(w, OP_GOOD, 0, ACTIVATE_NONE, why);
}

static struct slot slot_of(struct world *w, unsigned slot)
{
	return sim_state(w, false).record.slots[slot];
}

/* It stays where it is, and a health check at every boot writes nothing. */
static void settle(struct world *w)
{
	unsigned slot = w->session.running, writes;

	if (!good(w, "settling"))
		return;
	writes = w->fault.count;
	if (!good(w, "settling again"))
		return;
	if (w->fault.count != writes)
		violation("a second mark-good wrote something");
	check_copies(w);
	if (!w->session.kexec && slot_of(w, slot).status != SLOT_GOOD)
		violation("mark-good of slot %c did not make it good", slot_letter(slot));
	writes = w->fault.count;
	/* One that the firmware has passed over, for what reason nobody knows, stays preferred. */
	if (w->direct && !w->session.kexec && sim_state(w, false).record.preferred != slot &&
	    slot_of(w, 1 - slot).status == SLOT_GOOD)
		slot = 1 - slot;
	if (!boot(w, "settled"))
		return;
	if (w->session.running != slot)
		violation("slot %c was marked good, and the other one starts",
			  slot_letter(slot));
	if (w->good_limit == 0 && !w->session.kexec && slot_of(w, slot).status == SLOT_GOOD &&
	    w->fault.count != writes)
		violation("a steady boot wrote something");
}

/* Leaves for the freshly installed slot, as the step did. */
static bool enter(struct world *w, const struct step *step)
{
	unsigned other = 1 - w->session.running;

	if (step->activate == ACTIVATE_KEXEC)
		return run(w, OP_KEXEC, 0, ACTIVATE_NONE, "repeat");
	if (step->activate == ACTIVATE_NONE &&
	    !run(w, OP_ACTIVE, (int)other, ACTIVATE_NONE, "repeat"))
		return false;
	return boot(w, "repeat");
}

static void repeat_install(struct world *w, const struct job *job)
{
	const struct step *step = job->step;

	for (int round = 0; round < 3; round++) {
		if (sim_version_of(w, w->session.running, false) == step->arg) {
			settle(w);
			return;
		}
		if (!good(w, "before the repeat") ||
		    !run(w, OP_INSTALL, step->arg, step->activate, "repeat") ||
		    !enter(w, step))
			return;
		/* That is as far as it comes. */
		if (step->arg == w->broken || step->arg == w->hangs)
			return;
	}
	violation("the install does not come to its end");
}

static void repeat_bad(struct world *w, const struct step *step)
{
	unsigned slot = (unsigned)step->arg;

	if (!run(w, OP_BAD, step->arg, ACTIVATE_NONE, "repeat"))
		return;
	if (slot_of(w, slot).status != SLOT_BAD)
		violation("slot %c is not bad after mark-bad", slot_letter(slot));
	if (boot(w, "after mark-bad"))
		settle(w);
}

static void repeat_active(struct world *w, const struct step *step)
{
	unsigned slot = (unsigned)step->arg;

	if (!run(w, OP_ACTIVE, step->arg, ACTIVATE_NONE, "repeat") ||
	    !boot(w, "after mark-active"))
		return;
	if (w->session.running != slot && !w->ghost.flipped)
		violation("slot %c was marked active and does not start", slot_letter(slot));
	settle(w);
}

static void repeat_rollback(struct world *w, const struct job *job)
{
	unsigned from = job->before->session.running;

	struct record record = sim_state(w, false).record;

	if (w->session.running == from && policy_slot_bootable(&record, 1 - from)) {
		if (!run(w, OP_ROLLBACK, 0, ACTIVATE_NONE, "repeat") ||
		    !boot(w, "after rollback"))
			return;
		if (w->session.running == from)
			violation("slot %c starts after the rollback from it",
				  slot_letter(from));
	}
	settle(w);
}

/* As long as it runs and is on trial, the check fails; and it runs no more. */
static void repeat_health(struct world *w, const struct job *job)
{
	unsigned from = job->before->session.running;
	struct state state = sim_state(w, false);
	const struct slot *slot = &state.record.slots[from];

	if (w->session.running == from && !sim_is_lost(&state) &&
	    (slot->status == SLOT_TRIAL || slot->status == SLOT_KEXEC_TRIAL) &&
	    policy_slot_bootable(&state.record, 1 - from)) {
		if (!run(w, OP_HEALTH, 0, ACTIVATE_NONE, "repeat") ||
		    !boot(w, "after a failed health check"))
			return;
		if (w->session.running == from && !w->ghost.flipped)
			violation("slot %c starts after its health check has failed",
				  slot_letter(from));
	}
	settle(w);
}

/* Put on trial again, it comes to where it belongs, or is gone. */
static void repeat_loader(struct world *w, const struct job *job)
{
	int version = job->step->arg;
	bool works = !w->next_ignored && version != w->loader_broken;
	int want = works ? version : simfirmware_version(w, NAME_LOADER);

	if (!good(w, "before the repeat") || !boot(w, "before the repeat") ||
	    !good(w, "before the repeat") || !run(w, OP_LOADER, version, ACTIVATE_NONE, "repeat") ||
	    !boot(w, "repeat") || !good(w, "repeat"))
		return;
	if (simfirmware_version(w, NAME_LOADER) != want ||
	    simfirmware_version(w, NAME_FALLBACK) != want || simdisk_find(w, NAME_LOADER_TRIAL))
		violation("the trial of a loader does not come to its end");
	settle(w);
}

/* Both disks are there in the end, and it does not matter from which one it boots. */
static void both_settle(struct world *w)
{
	unsigned slot;

	w->other_lost = false;
	if (!w->session.up || !good(w, "both disks are there"))
		return;
	check_other(w);
	if (!boot(w, "both disks are there") || !good(w, "both disks are there"))
		return;
	slot = w->session.running;
	simdisk_swap(w);
	if (!boot(w, "from the other disk") || !good(w, "from the other disk"))
		return;
	if (w->session.running != slot)
		violation("from the other disk the other slot starts");
	check_other(w);
}

static void repeat(struct world *w, const struct job *job)
{
	const struct step *step = job->step;

	switch (step->op) {
	case OP_INSTALL:
	case OP_BREAKS:
		repeat_install(w, job);
		break;
	case OP_BAD:
		repeat_bad(w, step);
		break;
	case OP_ACTIVE:
		repeat_active(w, step);
		break;
	case OP_ROLLBACK:
		repeat_rollback(w, job);
		break;
	case OP_HEALTH:
		repeat_health(w, job);
		break;
	case OP_LOADER:
		repeat_loader(w, job);
		break;
	default:
		settle(w);
		break;
	}
}

void recover(struct world *w, const struct job *job)
{
	if (w->session.lost && !good(w, "the record was lost"))
		return;
	repeat(w, job);
	if (w->two && !w->fault.dead)
		both_settle(w);
}
