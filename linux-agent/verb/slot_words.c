/* SPDX-License-Identifier: MIT */
#include "slot_words.h"

#include "cmdline.h"
#include "policy.h"

#include <stdarg.h>
#include <stdio.h>

struct text {
	char *at;
	size_t left;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= t->left)
		n = t->left ? (int)t->left - 1 : 0;
	t->at += n;
	t->left -= (size_t)n;
}

/* ", not found"; "" for those that nobody meets when an image is loaded. UEFI 2.10,
 * appendix D; the highest bit is that of an error. */
static const char *efi_status_words(uint64_t status)
{
	static const char *const words[] = {
		[0x01] = ", load error", [0x03] = ", unsupported", [0x09] = ", out of resources",
		[0x0e] = ", not found", [0x0f] = ", access denied", [0x1a] = ", security violation",
	};
	uint64_t code = status & ~(UINT64_C(1) << 63);

	return code < sizeof words / sizeof *words && words[code] ? words[code] : "";
}

void slot_words_of(const struct slot *slot, char *out, size_t cap)
{
	struct text t = { out, cap };

	say(&t, "%s", slot_status_text(slot->status));
	if (slot->status == SLOT_GOOD && (slot->flags & SLOT_FLAG_KEXEC_PROVEN))
		say(&t, ", proven by the firmware and by kexec");
	if (slot->status == SLOT_BAD)
		say(&t, ": %s", slot_reason_words(slot->reason));
	if (slot->status == SLOT_BAD && slot->efi_status)
		say(&t, " (EFI status 0x%llx%s)", (unsigned long long)slot->efi_status,
		    efi_status_words(slot->efi_status));
	if (slot->status == SLOT_TRIAL)
		say(&t, ", %u of %u tries left", slot->tries_left, slot->tries_granted);
	if (slot->status == SLOT_TRIAL && policy_slot_confirmed(slot, true))
		say(&t, ", marked good after a kexec, not yet after a firmware boot");
}

static const char *watchdog_use(const struct record *record)
{
	if (record->watchdog_s == 0 || record->watchdog_flags == 0)
		return "never armed";
	if (record->watchdog_flags & WATCHDOG_FLAG_GOOD)
		return "for all boots";
	return "for trials";
}

void slot_words_watchdog(const struct record *record, const struct trace *trace,
			 const char *identity, char *out, size_t cap)
{
	static const char *const boots[TRACE_WATCHDOG_COUNT] = {
		[TRACE_WATCHDOG_OFF] = "not armed in this boot",
		[TRACE_WATCHDOG_ARMED] = "armed in this boot",
		[TRACE_WATCHDOG_NOT_FOUND] = "the loader did not find it in this boot",
		[TRACE_WATCHDOG_FAILED] = "the loader could not start it in this boot",
	};
	static const char *const resets[TRACE_RESET_COUNT] = {
		[TRACE_RESET_UNKNOWN] = "",
		[TRACE_RESET_WATCHDOG] = "; it caused the last reset",
		[TRACE_RESET_OTHER] = "; the last reset was another (power, button, reboot)",
	};
	struct text t = { out, cap };

	if (record->watchdog == WATCHDOG_NONE && *identity)
		say(&t, "none that the loader can arm (Linux drives %s)", identity);
	else if (record->watchdog == WATCHDOG_NONE)
		say(&t, "none");
	else
		say(&t, "%s, %u s, %s", record_watchdog_text(record->watchdog), record->watchdog_s,
		    watchdog_use(record));
	if (record->watchdog != WATCHDOG_NONE && !*identity)
		say(&t, "; Linux drives none now");
	if (trace && (record->watchdog != WATCHDOG_NONE || trace->watchdog != TRACE_WATCHDOG_OFF))
		say(&t, "; %s%s", boots[trace->watchdog], resets[trace->reset]);
}

static void why_reset(struct text *t, const struct trace *trace)
{
	for (unsigned i = 0; i < trace->step_count; i++)
		if (trace->steps[i].reason == REASON_WATCHDOG)
			return;		/* its step says so */
	if (trace->reset == TRACE_RESET_WATCHDOG)
		say(t, "The hardware watchdog had reset the machine. ");
}

static void why_source(struct text *t, const struct trace *trace)
{
	if (trace->source == STATE_MIRROR_COPY)
		say(t, "The variable SlotState was not used (%s); the mirror on the ESP was. ",
		    trace->var_error == SB_OK ? "older than the mirror"
					      : sb_error_text(trace->var_error));
	if (trace->source == STATE_LOST && trace->var_error == SB_NOT_FOUND &&
	    trace->mirror_error == SB_NOT_FOUND)
		say(t, "There was no slot record yet. ");
	else if (trace->source == STATE_LOST)
		say(t, "The slot record was lost (variable: %s; mirror: %s), so the loader "
		    "tried a, then b. ", sb_error_text(trace->var_error),
		    sb_error_text(trace->mirror_error));
	if (trace->save_error != SB_OK)
		say(t, "The loader could not store the record (%s). ",
		    sb_error_text(trace->save_error));
}

static void why_step(struct text *t, const struct trace_step *step, const struct running *r)
{
	char slot = slot_letter(step->slot);

	if (step->what == TRACE_STARTED && step->slot == r->slot)
		say(t, "Slot %c was started%s.", slot,
		    step->last_resort ? " as the last resort" : "");
	else if (step->what == TRACE_STARTED)
		say(t, "The loader started slot %c, but slot %c runs.", slot,
		    slot_letter(r->slot));
	else if (step->efi_status)
		say(t, "Slot %c failed in this boot: %s (EFI status 0x%llx%s). ", slot,
		    slot_reason_words(step->reason), (unsigned long long)step->efi_status,
		    efi_status_words(step->efi_status));
	else
		say(t, "Slot %c %s: %s. ", slot,
		    step->what == TRACE_FAILED ? "failed in this boot" : "was passed over",
		    slot_reason_words(step->reason));
}

static void why_firmware(struct text *t, const struct state *state, const struct trace *trace,
			 const struct running *r)
{
	const struct slot *s = &state->record.slots[r->slot];
	bool first = trace->step_count == 1 && trace->steps[0].what == TRACE_STARTED;

	why_reset(t, trace);
	why_source(t, trace);
	if (first && trace->source != STATE_LOST && trace->steps[0].slot == r->slot &&
	    !trace->steps[0].last_resort) {
		say(t, "Slot %c was started: it was %s", slot_letter(r->slot), trace->once
		    ? "wanted for this boot alone (LoaderEntryOneShot)" : "the preferred slot");
		if (s->status == SLOT_TRIAL)
			say(t, ", on trial (%u of %u tries left)", s->tries_left,
			    s->tries_granted);
		say(t, ".");
		return;
	}
	if (trace->step_count > 0 && trace->steps[0].last_resort)
		say(t, "No slot was fit to boot. ");
	for (unsigned i = 0; i < trace->step_count; i++)
		why_step(t, &trace->steps[i], r);
	if (trace->step_count == 0 || trace->steps[trace->step_count - 1].what != TRACE_STARTED)
		say(t, "The loader gave up and returned to the firmware, which went on with "
		    "BootOrder; slot %c runs.", slot_letter(r->slot));
}

void slot_words_why(const struct state *state, const struct trace *trace,
		    const struct running *running, char *out, size_t cap)
{
	struct text t = { out, cap };

	say(&t, "%s", "");
	if (running->kexec)
		say(&t, "Slot %c was jumped to by kexec; the firmware and the loader had no part "
		    "in it.", slot_letter(running->slot));
	else if (trace)
		why_firmware(&t, state, trace, running);
	else
		say(&t, "Slot %c was booted by the firmware without the loader (it left no trace): "
		    "check BootOrder and \\EFI\\slotboot\\ on the ESP.",
		    slot_letter(running->slot));
}
