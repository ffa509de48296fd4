/* SPDX-License-Identifier: MIT */
#include "events.h"

#include "cmdline.h"
#include "install_check.h"
#include "io.h"
#include "policy.h"
#include "systemd.h"

#include <syslog.h>

static char *version_of(const struct machine *m, unsigned slot)
{
	struct err ignored;
	bool verified;

	return install_check_slot_version(m, slot, &verified, &ignored);
}

static void event_send(const struct machine *m, const char *id, int priority, unsigned slot,
		       const char *reason, const char *did, const char *words)
{
	_cleanup_free_ char *version = version_of(m, slot);
	struct systemd_event event = { id, priority, slot_letter(slot), version, reason };

	systemd_journal(m->config->sysroot, &event, "slot %c%s%s %s%s%s", slot_letter(slot),
			version ? ", version " : "", version ? version : "", did,
			*words ? ": " : "", words);
}

void events_installed(const struct machine *machine, unsigned slot)
{
	event_send(machine, EVENT_INSTALLED, LOG_NOTICE, slot, NULL, "was installed", "");
}

void events_confirmed(const struct machine *machine, const struct record *before)
{
	const struct record *now = &machine->state.record;
	unsigned slot = machine->running.slot;

	if (policy_slot_confirmed(&now->slots[slot], machine->running.kexec) &&
	    !policy_slot_confirmed(&before->slots[slot], machine->running.kexec))
		event_send(machine, EVENT_CONFIRMED, LOG_NOTICE, slot, NULL, "is confirmed", "");
}

void events_unhealthy(const struct machine *machine, const char *words)
{
	event_send(machine, EVENT_UNHEALTHY, LOG_ERR, machine->running.slot,
	     slot_reason_text(REASON_HEALTH), "failed its health check", words);
}

void events_fell_back(const struct machine *machine, const char *words)
{
	unsigned slot = 1 - machine->running.slot;
	enum slot_reason reason = machine->state.record.slots[slot].reason;

	event_send(machine, EVENT_FELL_BACK, LOG_WARNING, slot, slot_reason_text(reason),
	     "was left", *words ? words : slot_reason_words(reason));
}
