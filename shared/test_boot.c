/* SPDX-License-Identifier: MIT */
/* The whole boot, with a storage and images that fail as each test likes. */
#include "boot.h"

#include "unittest.h"

struct machine {
	uint8_t var[RECORD_BYTES + 8];
	size_t var_len;			/* 0: missing */
	uint8_t mirror[STATE_MIRROR_COPIES][RECORD_BYTES];
	bool var_write_fails, var_forgets, mirror_write_fails;
	unsigned var_reads, var_writes, mirror_reads, mirror_writes;
	enum slot_reason fails[2];	/* REASON_NONE: it boots */
	char started[16];		/* "ab": what start() was asked for */
	bool digest_asked;
	enum trace_watchdog armable;	/* what watchdog_arm() answers */
	enum trace_reset fired;
	unsigned armed, arms, disarms, asked;	/* armed: seconds, 0 after a disarm */
	unsigned armed_at_start[2];
	struct trace trace;
	jmp_buf booted;
};

static enum sb_error var_read(void *ctx, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct machine *m = ctx;

	m->var_reads++;
	if (m->var_len == 0)
		return SB_NOT_FOUND;
	memcpy(buf, m->var, m->var_len < cap ? m->var_len : cap);
	*ret_len = m->var_len;
	return SB_OK;
}

static enum sb_error var_write(void *ctx, const uint8_t bytes[RECORD_BYTES])
{
	struct machine *m = ctx;

	m->var_writes++;
	if (m->var_write_fails)
		return SB_FULL;
	if (m->var_forgets)
		return SB_OK;
	memcpy(m->var, bytes, RECORD_BYTES);
	m->var_len = RECORD_BYTES;
	return SB_OK;
}

static enum sb_error mirror_read(void *ctx, unsigned copy, uint8_t buf[RECORD_BYTES])
{
	struct machine *m = ctx;

	m->mirror_reads++;
	memcpy(buf, m->mirror[copy], RECORD_BYTES);
	return SB_OK;
}

static enum sb_error mirror_write(void *ctx, unsigned copy, const uint8_t bytes[RECORD_BYTES])
{
	struct machine *m = ctx;

	m->mirror_writes++;
	if (m->mirror_write_fails)
		return SB_IO;
	memcpy(m->mirror[copy], bytes, RECORD_BYTES);
	return SB_OK;
}

static enum slot_reason start(void *ctx, unsigned slot, const uint8_t *digest, uint64_t size,
			      uint64_t *ret_efi_status)
{
	struct machine *m = ctx;

	(void)size;
	m->started[strlen(m->started)] = (char)('a' + (int)slot);
	m->digest_asked = digest != NULL;
	m->armed_at_start[slot] = m->armed;
	if (m->fails[slot] == REASON_NONE)
		longjmp(m->booted, 1);
	*ret_efi_status = 0x8000000000000001;
	return m->fails[slot];
}

static void report(void *ctx, const struct trace *trace)
{
	((struct machine *)ctx)->trace = *trace;
}

static enum trace_watchdog watchdog_arm(void *ctx, enum record_watchdog kind, unsigned seconds)
{
	struct machine *m = ctx;

	assert_int_equal(kind, WATCHDOG_ITCO);
	m->arms++;
	if (m->armable == TRACE_WATCHDOG_ARMED)
		m->armed = seconds;
	return m->armable;
}

static void watchdog_disarm(void *ctx)
{
	struct machine *m = ctx;

	m->disarms++;
	m->armed = 0;
}

static enum trace_reset watchdog_fired(void *ctx, enum record_watchdog kind)
{
	struct machine *m = ctx;

	assert_int_equal(kind, WATCHDOG_ITCO);
	assert_int_equal(m->var_writes, 0);
	m->asked++;
	return m->fired;
}

static struct state_ops storage_of(struct machine *m)
{
	return (struct state_ops){ m, var_read, var_write, mirror_read, mirror_write };
}

/* 'a', 'b', or '-' for back to the firmware. */
static char boot(struct machine *m)
{
	struct boot_ops ops = { m, storage_of(m), start, report,
				watchdog_arm, watchdog_disarm, watchdog_fired };
	struct trace trace;

	memset(m->started, 0, sizeof m->started);
	m->var_reads = m->var_writes = m->mirror_reads = m->mirror_writes = 0;
	m->armed = m->arms = m->disarms = m->asked = 0;
	if (setjmp(m->booted))
		return m->started[strlen(m->started) - 1];
	boot_run(&ops, &trace);
	return '-';
}

static struct record stored(struct machine *m)
{
	struct state_ops ops = storage_of(m);
	struct state s;

	state_load(&ops, true, &s);
	return s.record;
}

static void machine_with(struct machine *m, enum slot_status a, enum slot_status b,
			 uint8_t preferred)
{
	struct record r;

	memset(m, 0, sizeof *m);
	record_init(&r);
	r.sequence = 7;
	r.preferred = preferred;
	r.slots[0] = (struct slot){ .status = a, .flags = SLOT_FLAG_DIGEST };
	r.slots[1] = (struct slot){ .status = b, .flags = SLOT_FLAG_DIGEST };
	for (int i = 0; i < 2; i++)
		if (r.slots[i].status == SLOT_TRIAL)
			r.slots[i].tries_left = r.slots[i].tries_granted = 2;
	record_encode(&r, m->var);
	m->var_len = RECORD_BYTES;
	record_encode(&r, m->mirror[0]);
}

static void a_steady_boot_reads_one_variable_and_writes_nothing(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_BAD, 0);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.var_reads, 1);
	assert_int_equal(m.mirror_reads + m.var_writes + m.mirror_writes, 0);
	assert_false(m.digest_asked);
}

static void an_unconfirmed_trial_falls_back_after_its_tries(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	assert_int_equal(boot(&m), 'b');
	assert_true(m.digest_asked);
	assert_int_equal(stored(&m).slots[1].tries_left, 1);
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(stored(&m).slots[1].tries_left, 0);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(stored(&m).slots[1].reason, REASON_TRIES);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.var_writes + m.mirror_reads, 0);
}

static void a_failure_costs_no_reboot_and_its_reason_is_kept(void **state)
{
	static const enum slot_reason reasons[] = { REASON_LOAD, REASON_DIGEST, REASON_RETURNED };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct machine m;
		struct record r;

		machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
		m.fails[1] = reasons[i];
		assert_int_equal(boot(&m), 'a');
		assert_string_equal(m.started, "ba");
		r = stored(&m);
		assert_int_equal(r.slots[1].status, SLOT_BAD);
		assert_int_equal(r.slots[1].reason, reasons[i]);
		assert_true(r.slots[1].efi_status == 0x8000000000000001);
		assert_int_equal(r.preferred, 0);
		assert_int_equal(m.trace.step_count, 2);
		assert_int_equal(m.trace.steps[0].what, TRACE_FAILED);
		assert_int_equal(m.trace.steps[1].what, TRACE_STARTED);
	}
}

static void a_try_that_cannot_be_stored_is_not_started(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	m.var_write_fails = m.mirror_write_fails = true;
	assert_int_equal(boot(&m), 'a');
	assert_string_equal(m.started, "a");
	assert_int_equal(m.trace.steps[0].reason, REASON_UNSAVED);
}

static void a_variable_that_forgets_is_noticed(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	m.var_forgets = m.mirror_write_fails = true;
	assert_int_equal(boot(&m), 'a');
}

static void tries_go_to_the_mirror_when_the_variable_does_not_take(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	m.var_write_fails = true;
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(stored(&m).slots[1].reason, REASON_TRIES);
}

static void the_mirror_stands_in_for_a_bad_variable(void **state)
{
	(void)state;
	for (int damage = 0; damage < 4; damage++) {
		struct machine m;

		machine_with(&m, SLOT_BAD, SLOT_GOOD, 1);
		if (damage == 0)
			m.var_len = 0;
		else if (damage == 1)
			m.var_len = RECORD_BYTES - 1;
		else if (damage == 2)
			m.var_len = RECORD_BYTES + 1;
		else
			m.var[40] ^= 1;
		assert_int_equal(boot(&m), 'b');
		assert_int_equal(m.trace.source, STATE_MIRROR_COPY);
		assert_int_not_equal(m.trace.var_error, SB_OK);
	}
}

static void the_higher_sequence_wins(void **state)
{
	struct machine m;
	struct record r;

	(void)state;
	machine_with(&m, SLOT_TRIAL, SLOT_GOOD, 0);
	r = stored(&m);
	r.sequence++;
	r.preferred = 1;
	record_encode(&r, m.mirror[1]);
	assert_int_equal(boot(&m), 'b');
	machine_with(&m, SLOT_TRIAL, SLOT_GOOD, 0);
	r.sequence = 6;
	record_encode(&r, m.mirror[1]);
	assert_int_equal(boot(&m), 'a');
}

static void everything_lost_boots_a_then_b_and_says_so(void **state)
{
	struct machine m;

	(void)state;
	memset(&m, 0, sizeof m);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.trace.source, STATE_LOST);
	m.fails[0] = REASON_LOAD;
	assert_int_equal(boot(&m), 'b');
	m.fails[1] = REASON_LOAD;
	assert_int_equal(boot(&m), '-');
	assert_int_equal(m.var_writes + m.mirror_writes, 0);
}

static void the_last_resort_checks_digests_and_then_the_firmware_goes_on(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_BAD, SLOT_BAD, 1);
	m.fails[0] = m.fails[1] = REASON_DIGEST;
	assert_int_equal(boot(&m), '-');
	assert_string_equal(m.started, "ab");
	assert_true(m.digest_asked);
	assert_int_equal(m.var_writes, 0);
}

static void the_agent_reports_success_only_if_the_variable_took(void **state)
{
	struct machine m;
	struct state_ops ops;
	struct state s;
	enum sb_error mirror;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_EMPTY, 0);
	ops = storage_of(&m);
	state_load(&ops, true, &s);
	m.var_write_fails = true;
	assert_int_equal(state_save(&ops, STATE_SAVE_AGENT, &s, &mirror), SB_FULL);
	assert_int_equal(m.mirror_writes, 0);
	m.var_write_fails = false;
	m.mirror_write_fails = true;
	assert_int_equal(state_save(&ops, STATE_SAVE_AGENT, &s, &mirror), SB_OK);
	assert_int_equal(mirror, SB_IO);
}

/* A cut while a copy is overwritten must leave the other: never the newest. */
static void the_mirror_overwrites_its_older_copy(void **state)
{
	struct machine m;
	struct state_ops ops;
	struct state s;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_EMPTY, 0);
	ops = storage_of(&m);
	for (int i = 0; i < 4; i++) {
		uint8_t before[RECORD_BYTES];
		unsigned newest;

		state_load(&ops, true, &s);
		newest = s.mirror_newest;
		memcpy(before, m.mirror[newest], sizeof before);
		assert_int_equal(state_save(&ops, STATE_SAVE_AGENT, &s, NULL), SB_OK);
		assert_memory_equal(m.mirror[newest], before, sizeof before);
	}
}

/* The steady boot does not look at the mirror; when a failure makes it write there
 * after all, it must not take the newest copy for the older one. */
static void the_loader_overwrites_the_older_copy_without_having_looked(void **state)
{
	(void)state;
	for (unsigned newest = 0; newest < STATE_MIRROR_COPIES; newest++) {
		struct machine m;
		uint8_t before[RECORD_BYTES];

		machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
		memset(m.mirror, 0, sizeof m.mirror);
		memcpy(m.mirror[newest], m.var, RECORD_BYTES);
		memcpy(before, m.var, sizeof before);
		m.var_write_fails = true;
		m.fails[0] = REASON_LOAD;
		assert_int_equal(boot(&m), 'b');
		assert_int_equal(m.mirror_writes, 1);
		assert_memory_equal(m.mirror[newest], before, sizeof before);
	}
}

/* A flat battery: what is stored reads back, and is gone with the power. */
static void tries_end_also_where_the_variable_is_lost_at_every_boot(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	for (int i = 0; i < 3; i++) {
		m.var_len = 0;
		assert_int_equal(boot(&m), i < 2 ? 'b' : 'a');
	}
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	m.var_len = 0;
	m.mirror_write_fails = true;
	assert_int_equal(boot(&m), 'a');
}

static void good_limit_counts_in_the_mirror_when_the_variable_does_not_take(void **state)
{
	struct machine m;
	struct record r;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
	r = stored(&m);
	r.good_limit = 2;
	record_encode(&r, m.var);
	m.var_write_fails = true;
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(boot(&m), 'b');
}

static void a_trace_survives_encoding_and_refuses_nonsense(void **state)
{
	struct trace in = { .source = STATE_MIRROR_COPY, .var_error = SB_CHECKSUM,
			    .watchdog = TRACE_WATCHDOG_NOT_FOUND,
			    .reset = TRACE_RESET_OTHER, .sequence = 77 }, out;
	uint8_t bytes[TRACE_BYTES + 1] = { 0 }, again[TRACE_BYTES];

	(void)state;
	for (int i = 0; i < 10; i++)
		trace_add(&in, &(struct trace_step){ .slot = 1, .what = TRACE_FAILED,
						     .reason = REASON_LOAD, .efi_status = 5 });
	assert_int_equal(in.step_count, TRACE_STEPS);
	trace_encode(&in, bytes);
	assert_int_equal(trace_decode(bytes, TRACE_BYTES, &out), SB_OK);
	trace_encode(&out, again);
	assert_memory_equal(bytes, again, TRACE_BYTES);
	assert_int_equal(bytes[14], TRACE_WATCHDOG_NOT_FOUND);
	assert_int_equal(bytes[15], TRACE_RESET_OTHER);
	assert_int_equal(trace_decode(bytes, TRACE_BYTES - 1, &out), SB_SHORT);
	assert_int_equal(trace_decode(bytes, TRACE_BYTES + 1, &out), SB_LONG);
	for (unsigned at = 0; at < 28; at++) {
		uint8_t was = bytes[at];

		if (at >= 16 && at < 24)
			continue;	/* any value */
		bytes[at] = 0xff;
		assert_int_not_equal(trace_decode(bytes, TRACE_BYTES, &out), SB_OK);
		bytes[at] = was;
	}
}

static void a_trace_is_plain_only_if_its_slot_says_it_all(void **state)
{
	uint8_t bytes[TRACE_BYTES];
	struct trace trace;

	(void)state;
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		trace_plain(slot, &trace);
		trace.sequence = 7;
		assert_true(trace_is_plain(&trace));
		assert_int_equal(trace.steps[0].slot, slot);
	}
	trace_encode(&trace, bytes);
	/* Any other value of any field, and of any field of its step. */
	for (unsigned at = 9; at < 36; at++) {
		uint8_t was = bytes[at];

		if ((at >= 16 && at < 24) || at == 24)
			continue;	/* the sequence, the slot */
		bytes[at] = was == 1 ? 2 : 1;
		if (trace_decode(bytes, TRACE_BYTES, &trace) == SB_OK && trace_is_plain(&trace))
			fail_msg("byte %u is not looked at", at);
		bytes[at] = was;
	}
	assert_int_equal(trace_decode(bytes, TRACE_BYTES, &trace), SB_OK);
	trace_add(&trace, &(struct trace_step){ .slot = 0, .what = TRACE_STARTED });
	assert_false(trace_is_plain(&trace));
	trace.step_count = 0;
	assert_false(trace_is_plain(&trace));
}

static void watchdog_put(struct machine *m, uint8_t flags)
{
	struct record r = stored(m);

	r.watchdog = WATCHDOG_ITCO;
	r.watchdog_flags = flags;
	r.watchdog_s = 60;
	record_encode(&r, m->var);
	m->armable = TRACE_WATCHDOG_ARMED;
}

static void a_trial_starts_with_the_watchdog_and_hands_over_without(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	watchdog_put(&m, WATCHDOG_FLAG_TRIAL);
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(m.armed, 60);
	assert_int_equal(m.trace.watchdog, TRACE_WATCHDOG_ARMED);
	m.fails[1] = REASON_RETURNED;
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.armed_at_start[1], 60);
	assert_int_equal(m.armed_at_start[0], 0);
	assert_int_equal(m.disarms, 1);
	assert_int_equal(m.trace.watchdog, TRACE_WATCHDOG_OFF);
}

static void back_at_the_firmware_the_watchdog_is_off(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	watchdog_put(&m, WATCHDOG_FLAG_TRIAL | WATCHDOG_FLAG_GOOD);
	m.fails[0] = m.fails[1] = REASON_RETURNED;
	assert_int_equal(boot(&m), '-');
	assert_int_equal(m.arms, 2);
	assert_int_equal(m.disarms, 2);
	assert_int_equal(m.armed, 0);
}

static void a_watchdog_that_is_not_there_stops_nothing(void **state)
{
	static const enum trace_watchdog answers[] = { TRACE_WATCHDOG_NOT_FOUND,
						       TRACE_WATCHDOG_FAILED };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct machine m;

		machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
		watchdog_put(&m, WATCHDOG_FLAG_TRIAL);
		m.armable = answers[i];
		assert_int_equal(boot(&m), 'b');
		assert_int_equal(m.trace.watchdog, answers[i]);
		/* It may be half armed. */
		m.fails[1] = REASON_RETURNED;
		assert_int_equal(boot(&m), 'a');
		assert_int_equal(m.disarms, 1);
	}
}

static void a_steady_boot_does_not_touch_the_watchdog(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_BAD, 0);
	watchdog_put(&m, WATCHDOG_FLAG_TRIAL);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.arms + m.disarms + m.asked, 0);
	assert_int_equal(m.trace.reset, TRACE_RESET_UNKNOWN);
}

static void a_trial_that_hangs_falls_back_with_the_reason(void **state)
{
	struct machine m;
	struct record r;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	watchdog_put(&m, WATCHDOG_FLAG_TRIAL);
	assert_int_equal(boot(&m), 'b');
	m.fired = TRACE_RESET_WATCHDOG;
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(m.asked, 1);
	assert_int_equal(m.var_writes, 1);
	assert_int_equal(m.trace.reset, TRACE_RESET_WATCHDOG);
	r = stored(&m);
	assert_int_equal(r.attempts[RECORD_ATTEMPTS - 2].event, ATTEMPT_FAILED);
	assert_int_equal(r.attempts[RECORD_ATTEMPTS - 2].reason, REASON_WATCHDOG);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(stored(&m).slots[1].reason, REASON_WATCHDOG);
	assert_int_equal(m.trace.steps[0].reason, REASON_WATCHDOG);
}

static void a_loader_without_a_watchdog_boots(void **state)
{
	struct machine m;
	struct boot_ops ops;
	struct trace trace;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	watchdog_put(&m, WATCHDOG_FLAG_TRIAL);
	m.fails[0] = m.fails[1] = REASON_LOAD;
	ops = (struct boot_ops){ .ctx = &m, .storage = storage_of(&m), .start = start,
				 .report = report };
	boot_run(&ops, &trace);
	assert_string_equal(m.started, "ba");
	assert_int_equal(trace.watchdog, TRACE_WATCHDOG_OFF);
	assert_int_equal(trace.reset, TRACE_RESET_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_steady_boot_reads_one_variable_and_writes_nothing),
		cmocka_unit_test(an_unconfirmed_trial_falls_back_after_its_tries),
		cmocka_unit_test(a_failure_costs_no_reboot_and_its_reason_is_kept),
		cmocka_unit_test(a_try_that_cannot_be_stored_is_not_started),
		cmocka_unit_test(a_variable_that_forgets_is_noticed),
		cmocka_unit_test(tries_go_to_the_mirror_when_the_variable_does_not_take),
		cmocka_unit_test(the_mirror_stands_in_for_a_bad_variable),
		cmocka_unit_test(the_higher_sequence_wins),
		cmocka_unit_test(everything_lost_boots_a_then_b_and_says_so),
		cmocka_unit_test(the_last_resort_checks_digests_and_then_the_firmware_goes_on),
		cmocka_unit_test(the_agent_reports_success_only_if_the_variable_took),
		cmocka_unit_test(the_mirror_overwrites_its_older_copy),
		cmocka_unit_test(the_loader_overwrites_the_older_copy_without_having_looked),
		cmocka_unit_test(tries_end_also_where_the_variable_is_lost_at_every_boot),
		cmocka_unit_test(good_limit_counts_in_the_mirror_when_the_variable_does_not_take),
		cmocka_unit_test(a_trial_starts_with_the_watchdog_and_hands_over_without),
		cmocka_unit_test(back_at_the_firmware_the_watchdog_is_off),
		cmocka_unit_test(a_watchdog_that_is_not_there_stops_nothing),
		cmocka_unit_test(a_steady_boot_does_not_touch_the_watchdog),
		cmocka_unit_test(a_trial_that_hangs_falls_back_with_the_reason),
		cmocka_unit_test(a_loader_without_a_watchdog_boots),
		cmocka_unit_test(a_trace_survives_encoding_and_refuses_nonsense),
		cmocka_unit_test(a_trace_is_plain_only_if_its_slot_says_it_all),
	};

	return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}
