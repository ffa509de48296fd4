/* SPDX-License-Identifier: MIT */
#include "report.h"

#include "bli.h"
#include "cmdline.h"
#include "console.h"

static void slot_put(const struct loader *l, unsigned slot)
{
	char text[] = "slot ?";

	text[5] = slot_letter(slot);
	console_put(l, text);
}

/* " (variable: missing; mirror: wrong checksum)" */
static void sources_put(const struct loader *l, const struct trace *trace)
{
	console_put(l, " (variable: ");
	console_put(l, sb_error_text(trace->var_error));
	console_put(l, "; mirror: ");
	console_put(l, sb_error_text(trace->mirror_error));
	console_put(l, ")");
}

/* What was wrong with the record; whether anything was. */
static bool record_tell(const struct loader *l, const struct trace *trace)
{
	if (trace->source == STATE_LOST) {
		console_put(l, trace->var_error == SB_NOT_FOUND &&
					       trace->mirror_error == SB_NOT_FOUND
				       ? "slotboot: there is no slot record yet"
				       : "slotboot: the slot record is lost");
		sources_put(l, trace);
		return true;
	}
	if (trace->var_error != SB_OK) {
		console_put(l, "slotboot: the slot record was read from the mirror");
		sources_put(l, trace);
		return true;
	}
	return false;
}

static void step_tell(const struct loader *l, const struct trace *trace,
		      const struct trace_step *step)
{
	console_put(l, "slotboot: ");
	slot_put(l, step->slot);
	console_put(l, ": ");
	console_put(l, slot_reason_words(step->reason));
	if (step->what == TRACE_FAILED) {
		console_put(l, " (EFI status ");
		console_put_hex(l, step->efi_status);
		console_put(l, ")");
	} else if (step->reason == REASON_UNSAVED) {
		console_put(l, " (");
		console_put(l, sb_error_text(trace->save_error));
		console_put(l, ")");
	}
}

/* Each trouble once, one line each; the last line says what happens now. */
static void trouble_tell(struct loader *l, const struct trace *trace,
			 const struct trace_step *starting)
{
	unsigned end = starting ? trace->step_count - 1 : trace->step_count;
	bool told = false;

	if (!l->record_told)
		told = record_tell(l, trace);
	l->record_told = true;
	for (; l->steps_told < end; l->steps_told++) {
		if (told)
			console_put(l, "\r\n");
		step_tell(l, trace, &trace->steps[l->steps_told]);
		told = true;
	}
	if (!told && starting && !starting->last_resort)
		return;
	if (!told)
		console_put(l, "slotboot: no slot is fit to boot");
	if (!starting) {
		console_put(l, "; returning to the firmware\r\n");
		return;
	}
	console_put(l, "; starting ");
	slot_put(l, starting->slot);
	console_put(l, starting->unchecked ? " as the very last resort, its digest unchecked\r\n"
		       : starting->last_resort ? " as the last resort\r\n" : "\r\n");
}

/* After a plain boot slotctl does without SlotTrace: one that is there is of an earlier
 * start of the loader in this boot. */
static void trace_set(struct loader *l, const struct trace *trace)
{
	EFI_GUID guid = SLOTBOOT_GUID;
	CHAR16 name[] = L"SlotTrace";
	uint8_t bytes[TRACE_BYTES];
	EFI_STATUS status;

	if (trace_is_plain(trace)) {
		(void)l->rt->SetVariable(name, &guid, 0, 0, NULL);
		return;
	}
	trace_encode(trace, bytes);
	status = l->rt->SetVariable(name, &guid, VOLATILE_ATTRIBUTES, sizeof bytes, bytes);
	/* One with other attributes, which somebody else has made, goes only by deletion. */
	if (EFI_ERROR(status)) {
		(void)l->rt->SetVariable(name, &guid, 0, 0, NULL);
		(void)l->rt->SetVariable(name, &guid, VOLATILE_ATTRIBUTES, sizeof bytes, bytes);
	}
}

void report_trace(void *ctx, const struct trace *trace)
{
	struct loader *l = ctx;
	const struct trace_step *last =
		trace->step_count > 0 ? &trace->steps[trace->step_count - 1] : NULL;
	const struct trace_step *starting = last && last->what == TRACE_STARTED ? last : NULL;

	trouble_tell(l, trace, starting);
	trace_set(l, trace);
	if (starting)
		bli_selected(l, starting->slot);
}
