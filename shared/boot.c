/* SPDX-License-Identifier: MIT */
#include "boot.h"

/* Stores what the policy changed. Whether the slot of the step may start. */
static bool step_save(const struct boot_ops *ops, struct boot_policy *policy,
		      struct state *state, const struct boot_step *step, struct trace *trace)
{
	if (!step->save)
		return true;
	state->record = policy->record;
	trace->save_error = state_save(&ops->storage, STATE_SAVE_LOADER, state, NULL);
	policy->record.sequence = state->record.sequence;
	policy_boot_saved(policy, step, trace->save_error == SB_OK);
	return trace->save_error == SB_OK || !step->save_required;
}

static void step_arm(const struct boot_ops *ops, const struct record *record,
		     const struct boot_step *step, struct trace *trace)
{
	trace->watchdog = TRACE_WATCHDOG_OFF;
	if (step->watchdog_s > 0 && ops->watchdog_arm)
		trace->watchdog = ops->watchdog_arm(ops->ctx, record->watchdog,
						    step->watchdog_s);
}

/* An image that ran has left its measurements in the PCRs, and may have taken away what others need. */
static bool reset_wanted(const struct boot_ops *ops, const struct record *record)
{
	return (record->flags & RECORD_FLAG_RESET) || (ops->needs_reset && ops->needs_reset(ops->ctx));
}

/* Only once its failure is stored in both places: a record that fell back would have it start again
 * after each reset. */
static void reset_after(const struct boot_ops *ops, struct boot_policy *policy, struct state *state,
			const struct boot_step *step, enum slot_reason reason)
{
	enum sb_error mirror;

	if (reason != REASON_RETURNED || step->last_resort || !ops->reset ||
	    !reset_wanted(ops, &policy->record))
		return;
	state->record = policy->record;
	if (state_save(&ops->storage, STATE_SAVE_AGENT, state, &mirror) == SB_OK && mirror == SB_OK)
		ops->reset(ops->ctx);
	policy->record.sequence = state->record.sequence;
}

static void step_start(const struct boot_ops *ops, struct boot_policy *policy, struct state *state,
		       const struct boot_step *step, struct trace *trace)
{
	const struct slot *slot = &policy->record.slots[step->slot];
	bool check = step->check_digest && (slot->flags & SLOT_FLAG_DIGEST);
	struct trace with_start;
	struct trace_step ts = {
		.slot = (uint8_t)step->slot,
		.what = TRACE_STARTED,
		.last_resort = step->last_resort,
		.unchecked = step->unchecked,
	};

	step_arm(ops, &policy->record, step, trace);
	with_start = *trace;
	trace_add(&with_start, &ts);
	ops->report(ops->ctx, &with_start);
	ts.reason = ops->start(ops->ctx, step->slot, check ? slot->uki_sha256 : NULL,
			       slot->uki_size, &ts.efi_status);
	if (trace->watchdog != TRACE_WATCHDOG_OFF && ops->watchdog_disarm)
		ops->watchdog_disarm(ops->ctx);
	ts.what = TRACE_FAILED;
	trace_add(trace, &ts);
	policy_boot_failed(policy, step, ts.reason, ts.efi_status);
	reset_after(ops, policy, state, step, ts.reason);
}

/* Slots that policy_boot_begin() or the table condemned, for the trace. */
static void trace_condemned(const struct record *before, const struct record *after,
			    struct trace *trace)
{
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		const struct slot *s = &after->slots[slot];

		if (s->status != SLOT_BAD || before->slots[slot].status == SLOT_BAD)
			continue;
		trace_add(trace, &(struct trace_step){ .slot = (uint8_t)slot,
						       .what = TRACE_SKIPPED,
						       .reason = s->reason });
	}
}

static enum trace_reset reset_cause(const struct boot_ops *ops, const struct state *state)
{
	if (!ops->watchdog_fired || !policy_reset_matters(&state->record))
		return TRACE_RESET_UNKNOWN;
	return ops->watchdog_fired(ops->ctx, state->record.watchdog);
}

void boot_run(const struct boot_ops *ops, struct trace *ret_trace)
{
	struct trace trace = { .step_count = 0 };
	struct boot_policy policy;
	struct boot_step step;
	struct record before;
	struct state state;
	int once;

	state_load(&ops->storage, &state);
	if (state.left_behind && ops->hand_over)
		ops->hand_over(ops->ctx, state.successor);
	once = ops->once ? ops->once(ops->ctx) : -1;	/* no sooner: it is told to one loader */
	if (ops->entries && (state.record.flags & RECORD_FLAG_ENTRIES))
		ops->entries(ops->ctx);
	trace.source = state.source;
	trace.var_error = state.var_error;
	trace.mirror_error = state.mirror_error;
	trace.sequence = state.record.sequence;
	trace.reset = reset_cause(ops, &state);
	policy_boot_begin(&policy, state.source == STATE_LOST ? NULL : &state.record,
			  state.unmirrored, trace.reset == TRACE_RESET_WATCHDOG);
	if (once >= 0)
		policy_boot_once(&policy, (unsigned)once);
	trace.once = policy.once > 0;
	before = state.source == STATE_LOST ? policy.record : state.record;

	for (;;) {
		step = policy_boot_next(&policy);
		trace_condemned(&before, &policy.record, &trace);
		if (!step_save(ops, &policy, &state, &step, &trace))
			trace_add(&trace, &(struct trace_step){ .slot = (uint8_t)step.slot,
								.what = TRACE_SKIPPED,
								.reason = REASON_UNSAVED });
		else if (step.firmware)
			break;
		else
			step_start(ops, &policy, &state, &step, &trace);
		before = policy.record;
	}
	ops->report(ops->ctx, &trace);
	*ret_trace = trace;
}
