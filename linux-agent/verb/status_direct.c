/* SPDX-License-Identifier: MIT */
#include "status_direct.h"

#include "cmdline.h"
#include "direct.h"
#include "machine_entries.h"
#include "panic.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
	char *out;
	size_t cap;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *fmt, ...)
{
	size_t used = strlen(t->out);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(t->out + used, t->cap - used, fmt, ap);
	va_end(ap);
}

bool status_direct_is(const struct machine *machine)
{
	return machine_is_direct(machine) && machine->is_running && !machine->running.kexec &&
	       !machine->has_trace;
}

const char *status_direct_next(const struct machine *machine)
{
	static const char *const words[] = { NULL, "waiting", "ignored", "missing" };

	return words[machine->direct_trial];
}

/* Its last try was noted by a slotctl that ran in it: then its end is the entry behind. */
static bool was_there(const struct record *record, unsigned slot)
{
	bool started = false;

	for (unsigned i = 0; i < RECORD_ATTEMPTS; i++) {
		const struct attempt *a = &record->attempts[i];

		if (a->slot == slot && (a->event == ATTEMPT_STARTED || a->event == ATTEMPT_INSTALLED))
			started = a->event == ATTEMPT_STARTED;
	}
	return started;
}

/* Firmware says nothing of what it did with BootNext. */
static void say_end(struct text *t, const struct machine *m, unsigned slot)
{
	const struct slot *s = &m->state.record.slots[slot];
	const char name = slot_letter(slot);
	struct panic panic;

	if (s->status != SLOT_BAD || s->reason != REASON_TRIES)
		return;
	say(t, " Slot %c had its one try by BootNext, and did not come to mark-good: ", name);
	if (was_there(&m->state.record, slot))
		say(t, "its system was started, since slotctl ran in it, and ended before that.");
	else if (panic_read(m, slot, &panic))
		say(t, "a kernel panic was kept since it was installed, so that it has most likely been "
		    "started.");
	else
		say(t, "either the firmware did not start it, or it was started and failed (a panic, a hang, a "
		    "loss of power); nothing that is kept tells which.");
}

static void say_next(struct text *t, const struct machine *m)
{
	const char name = slot_letter(m->state.record.preferred);

	switch (m->direct_trial) {
	case DIRECT_TRIAL_NONE:
		return;
	case DIRECT_TRIAL_WAITING:
		say(t, " Slot %c is tried at the next boot.", name);
		return;
	case DIRECT_TRIAL_IGNORED:
		say(t, " Slot %c waits for its try: BootNext names it, and this firmware has not looked at "
		    "BootNext (resets in a row: %u).", name, m->direct_ignored);
		return;
	case DIRECT_TRIAL_MISSING:
		say(t, " Slot %c is to be tried, but BootNext does not name it any more: somebody has taken it "
		    "back; slotctl mark-active %c sets it again.", name, name);
		return;
	}
}

void status_direct_why(const struct machine *machine, char *out, size_t cap)
{
	const struct record *record = &machine->state.record;
	unsigned slot = machine->running.slot, preferred = record->preferred;
	struct text t = { out, cap };

	*out = 0;
	say(&t, "Slot %c was started by the firmware, without the loader (activation = direct).",
	    slot_letter(slot));
	if (record->slots[slot].status == SLOT_TRIAL && slot == preferred &&
	    machine->direct_trial == DIRECT_TRIAL_NONE)
		say(&t, " It is on trial, and this is its one try.");
	say_end(&t, machine, 1 - slot);
	say_next(&t, machine);
	if (slot != preferred && record->slots[preferred].status == SLOT_GOOD)
		say(&t, " Slot %c is the preferred one: the firmware has passed it over, or another entry was "
		    "chosen by hand.", slot_letter(preferred));
}
