/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include "bytes.h"

enum { AT_STEPS = 24, STEP_BYTES = 12, AT_ONCE = 120, TRACE_VERSION = 1 };

_Static_assert(AT_STEPS + TRACE_STEPS * STEP_BYTES + 8 == TRACE_BYTES, "trace layout");

static const uint8_t magic[8] = { 'S', 'L', 'O', 'T', 'T', 'R', 'C', 'E' };

void trace_add(struct trace *trace, const struct trace_step *step)
{
	if (trace->step_count < TRACE_STEPS)
		trace->steps[trace->step_count++] = *step;
}

void trace_encode(const struct trace *trace, uint8_t ret_bytes[TRACE_BYTES])
{
	uint8_t *p = ret_bytes;

	bytes_zero(p, TRACE_BYTES);
	bytes_copy(p, magic, sizeof magic);
	p[8] = TRACE_VERSION;
	p[9] = (uint8_t)trace->source;
	p[10] = (uint8_t)trace->var_error;
	p[11] = (uint8_t)trace->mirror_error;
	p[12] = (uint8_t)trace->save_error;
	p[13] = (uint8_t)trace->step_count;
	p[14] = (uint8_t)trace->watchdog;
	p[15] = (uint8_t)trace->reset;
	p[AT_ONCE] = trace->once;
	le64_put(p + 16, trace->sequence);
	for (unsigned i = 0; i < trace->step_count; i++) {
		const struct trace_step *s = &trace->steps[i];
		uint8_t *q = p + AT_STEPS + i * STEP_BYTES;

		q[0] = s->slot;
		q[1] = (uint8_t)s->what;
		q[2] = (uint8_t)s->reason;
		q[3] = s->unchecked ? 2 : s->last_resort;
		le64_put(q + 4, s->efi_status);
	}
}

static bool step_decode(const uint8_t *p, struct trace_step *step)
{
	if (p[0] >= SLOT_COUNT || p[1] >= TRACE_WHAT_COUNT || p[2] >= REASON_COUNT || p[3] > 2)
		return false;
	step->slot = p[0];
	step->what = (enum trace_what)p[1];
	step->reason = (enum slot_reason)p[2];
	step->last_resort = p[3] > 0;
	step->unchecked = p[3] == 2;
	step->efi_status = le64_get(p + 4);
	return true;
}

enum sb_error trace_decode(const uint8_t *bytes, size_t len, struct trace *ret_trace)
{
	struct trace t = { .step_count = 0 };

	if (len != TRACE_BYTES)
		return len < TRACE_BYTES ? SB_SHORT : SB_LONG;
	if (!bytes_equal(bytes, magic, sizeof magic))
		return SB_MAGIC;
	if (bytes[8] != TRACE_VERSION)
		return SB_VERSION;
	if (bytes[9] > STATE_MIRROR_COPY || bytes[10] >= SB_ERROR_COUNT ||
	    bytes[11] >= SB_ERROR_COUNT || bytes[12] >= SB_ERROR_COUNT ||
	    bytes[13] > TRACE_STEPS || bytes[14] >= TRACE_WATCHDOG_COUNT ||
	    bytes[15] >= TRACE_RESET_COUNT || bytes[AT_ONCE] > 1)
		return SB_RANGE;
	t.source = (enum state_source)bytes[9];
	t.var_error = (enum sb_error)bytes[10];
	t.mirror_error = (enum sb_error)bytes[11];
	t.save_error = (enum sb_error)bytes[12];
	t.watchdog = (enum trace_watchdog)bytes[14];
	t.reset = (enum trace_reset)bytes[15];
	t.once = bytes[AT_ONCE];
	t.sequence = le64_get(bytes + 16);
	for (unsigned i = 0; i < bytes[13]; i++)
		if (!step_decode(bytes + AT_STEPS + i * STEP_BYTES, &t.steps[i]))
			return SB_RANGE;
	t.step_count = bytes[13];
	*ret_trace = t;
	return SB_OK;
}

void trace_plain(unsigned slot, struct trace *ret_trace)
{
	*ret_trace = (struct trace){
		.source = STATE_VARIABLE_COPY,
		.step_count = 1,
		.steps = { { .slot = (uint8_t)slot, .what = TRACE_STARTED } },
	};
}

/* By the bytes that would be written: nothing that they can say is left out. */
bool trace_is_plain(const struct trace *trace)
{
	uint8_t bytes[TRACE_BYTES], plain_bytes[TRACE_BYTES];
	struct trace plain;

	trace_plain(trace->steps[0].slot, &plain);
	plain.sequence = trace->sequence;
	trace_encode(trace, bytes);
	trace_encode(&plain, plain_bytes);
	return bytes_equal(bytes, plain_bytes, sizeof bytes);
}
