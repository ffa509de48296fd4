/* SPDX-License-Identifier: MIT */
/* The whole boot, with a storage and images that fail as each test likes. */
#include "boot.h"

#include "unittest.h"

struct machine {
	uint8_t var[RECORD_BYTES + 8];
	size_t var_len;			/* 0: missing */
	uint8_t mirror[STATE_MIRROR_COPIES][RECORD_BYTES];
	bool no_mirror;			/* there is no state.bin */
	int first_copy;			/* the one that was written first, if it is -1 before */
	const uint8_t *esp;
	bool var_write_fails, var_forgets, var_squatted, mirror_write_fails;
	unsigned mirror_fails_at;	/* which write of it does; 0: none */
	unsigned var_reads, var_writes, mirror_reads, mirror_writes;
	enum slot_reason fails[2];	/* REASON_NONE: it boots */
	char started[16];		/* "ab": what start() was asked for */
	bool digest_asked;
	enum trace_watchdog armable;	/* what watchdog_arm() answers */
	enum trace_reset fired;
	unsigned armed, arms, disarms, asked;	/* armed: seconds, 0 after a disarm */
	unsigned armed_at_start[2];
	unsigned resets;
	int once;			/* the slot wanted, + 1; 0: none */
	struct trace trace;
	jmp_buf booted;
};

static const uint8_t here[RECORD_GUID_BYTES] = { 1, 2, 3 }, there[RECORD_GUID_BYTES] = { 9 };

static enum sb_error var_read(void *ctx, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct machine *m = ctx;

	m->var_reads++;
	if (m->var_squatted)
		return SB_ATTRIBUTES;
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
	if (m->var_squatted)
		return SB_ATTRIBUTES;
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
	if (m->no_mirror)
		return SB_NOT_FOUND;
	memcpy(buf, m->mirror[copy], RECORD_BYTES);
	return SB_OK;
}

static enum sb_error mirror_write(void *ctx, unsigned copy, const uint8_t bytes[RECORD_BYTES])
{
	struct machine *m = ctx;

	m->mirror_writes++;
	if (m->first_copy < 0)
		m->first_copy = (int)copy;
	if (m->no_mirror)
		return SB_NOT_FOUND;
	if (m->mirror_write_fails || m->mirror_writes == m->mirror_fails_at)
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

/* As if it did not work: the boot goes on. */
static void reset(void *ctx)
{
	((struct machine *)ctx)->resets++;
}

/* Asked before anything is read or written; told once. */
static int once(void *ctx)
{
	struct machine *m = ctx;
	int slot = m->once - 1;

	assert_int_equal(m->var_reads + m->var_writes, 0);
	m->once = 0;
	return slot;
}

static struct state_ops storage_of(struct machine *m)
{
	return (struct state_ops){ m, var_read, var_write, mirror_read, mirror_write, m->esp };
}

/* 'a', 'b', or '-' for back to the firmware. */
static char boot(struct machine *m)
{
	struct boot_ops ops = { m, storage_of(m), start, report,
				watchdog_arm, watchdog_disarm, watchdog_fired, reset, once };
	struct trace trace;

	memset(m->started, 0, sizeof m->started);
	m->var_reads = m->var_writes = m->mirror_reads = m->mirror_writes = 0;
	m->armed = m->arms = m->disarms = m->asked = m->resets = 0;
	if (setjmp(m->booted))
		return m->started[strlen(m->started) - 1];
	boot_run(&ops, &trace);
	return '-';
}

static struct record stored(struct machine *m)
{
	struct state_ops ops = storage_of(m);
	struct state s;

	state_load(&ops, &s);
	return s.record;
}

static void machine_with(struct machine *m, enum slot_status a, enum slot_status b,
			 uint8_t preferred)
{
	struct record r;

	memset(m, 0, sizeof *m);
	m->esp = here;
	record_init(&r);
	record_adopt(&r, here);
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
	record_encode(&r, m->mirror[1]);
}

static void a_steady_boot_writes_nothing(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_BAD, 0);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.var_reads, 1);
	assert_int_equal(m.var_writes + m.mirror_writes, 0);
	assert_true(trace_is_plain(&m.trace));
	assert_false(m.digest_asked);
}

/* "slotboot-b.efi" in LoaderEntryOneShot: b's try is stored before it starts, the trace says
 * why it ran, and the next boot is as ever. */
static void a_slot_that_is_wanted_once_is_started_once(void **state)
{
	uint8_t bytes[TRACE_BYTES];
	struct machine m;
	struct trace back;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_BAD, 0);
	m.once = 2;
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(stored(&m).slots[1].status, SLOT_TRIAL);
	assert_int_equal(stored(&m).slots[1].tries_left, 0);
	assert_int_equal(stored(&m).preferred, 0);
	assert_true(m.trace.once && m.digest_asked);
	assert_false(trace_is_plain(&m.trace));
	trace_encode(&m.trace, bytes);
	assert_int_equal(trace_decode(bytes, sizeof bytes, &back), SB_OK);
	assert_true(back.once);
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.var_writes + m.mirror_writes, 0);
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
	m.once = 2;
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(m.var_writes + m.mirror_writes, 0);
}

/* Also then it writes nothing, as long as the digest is right. */
static void with_check_always_a_good_slot_is_looked_at_too(void **state)
{
	struct machine m;
	struct record r;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
	r = stored(&m);
	r.flags |= RECORD_FLAG_CHECK;
	record_encode(&r, m.var);
	assert_int_equal(boot(&m), 'a');
	assert_true(m.digest_asked);
	assert_int_equal(m.var_writes, 0);
	assert_int_equal(stored(&m).flags, RECORD_FLAG_CHECK);
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
	assert_int_equal(m.var_writes + m.mirror_writes, 0);
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

static void record_put(struct machine *m, uint64_t sequence, const uint8_t *esp, uint8_t preferred)
{
	struct record r;

	assert_int_equal(record_decode(m->var, RECORD_BYTES, &r), SB_OK);
	r.sequence = sequence;
	r.preferred = preferred;
	record_adopt(&r, esp);
	record_encode(&r, m->var);
}

static void everything_lost_boots_a_then_b_and_says_so(void **state)
{
	struct machine m;

	(void)state;
	memset(&m, 0, sizeof m);
	m.esp = here;
	assert_int_equal(boot(&m), 'a');
	assert_int_equal(m.trace.source, STATE_LOST);
	assert_int_equal(stored(&m).flags, RECORD_FLAG_PROVISIONAL);
	m.fails[0] = REASON_LOAD;
	assert_int_equal(boot(&m), 'b');
	m.fails[1] = REASON_LOAD;
	assert_int_equal(boot(&m), '-');
}

/* A flat battery, or a disk that is new in the machine: a hanging a must not be started
 * for ever, wherever a try can be stored, and be it in one place alone. */
static void with_the_record_lost_a_hanging_a_hands_over_to_b(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct machine m;
		char seen[8] = "";

		memset(&m, 0, sizeof m);
		m.esp = here;
		m.var_write_fails = i == 1;
		m.mirror_write_fails = i == 2;
		m.no_mirror = i == 3;
		for (int n = 0; n < 4; n++)
			seen[n] = boot(&m);
		assert_string_equal(seen, "aaab");
	}
}

/* A stick with our own signed loader: whatever is on it, the machine's record stays. */
static void a_record_of_another_disk_is_neither_believed_nor_written(void **state)
{
	(void)state;
	for (int mirror = 0; mirror < 2; mirror++) {
		uint8_t before[RECORD_BYTES];
		struct machine m;
		char seen[8] = "";

		machine_with(&m, SLOT_GOOD, SLOT_GOOD, 1);
		memset(m.mirror, 0, sizeof m.mirror);
		m.no_mirror = !mirror;
		m.esp = there;
		memcpy(before, m.var, sizeof before);
		for (int n = 0; n < 4; n++)
			seen[n] = boot(&m);
		assert_string_equal(seen, mirror ? "aaab" : "aaaa");
		assert_memory_equal(m.var, before, sizeof before);
		assert_int_equal(m.var_writes, 0);
		assert_int_equal(m.trace.var_error, SB_FOREIGN);
	}
}

/* Such a stick in a machine whose variables were cleared leaves a record that is
 * nobody's: the machine's own loader may replace it. */
static void a_provisional_record_of_another_disk_is_replaced(void **state)
{
	struct machine m;

	(void)state;
	memset(&m, 0, sizeof m);
	m.no_mirror = true;
	m.esp = there;
	assert_int_equal(boot(&m), 'a');
	m.esp = here;
	for (int n = 0; n < 4; n++)
		assert_int_equal(boot(&m), n < 3 ? 'a' : 'b');
}

static void a_loader_from_the_network_writes_nothing(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 1);
	m.esp = NULL;
	m.fails[0] = REASON_LOAD;
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(m.var_reads + m.var_writes + m.mirror_reads + m.mirror_writes, 0);
}

/* The variable store fell back to what it held before the update. */
static void an_older_variable_that_comes_back_undoes_no_update(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 1);
	record_put(&m, 5, here, 0);
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(m.trace.source, STATE_MIRROR_COPY);
	assert_int_equal(m.var_writes + m.mirror_writes, 0);
}

/* ... and does so at each reset: the tries must end all the same. */
static void tries_end_also_where_an_older_variable_comes_back(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
	for (int n = 0; n < 3; n++) {
		uint8_t old[RECORD_BYTES];

		record_put(&m, 5, here, 1);
		memcpy(old, m.var, sizeof old);
		assert_int_equal(boot(&m), n < 2 ? 'b' : 'a');
		memcpy(m.var, old, sizeof old);
	}
}

static void a_mirror_absurdly_far_ahead_is_damage(void **state)
{
	struct state_ops ops;
	struct machine m;
	struct state s;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 1);
	record_put(&m, RECORD_SEQUENCE_MAX, here, 0);
	memcpy(m.mirror[0], m.var, RECORD_BYTES);
	memcpy(m.var, m.mirror[1], RECORD_BYTES);
	assert_int_equal(boot(&m), 'b');
	memcpy(m.mirror[1], m.mirror[0], RECORD_BYTES);
	assert_int_equal(boot(&m), 'b');
	assert_int_equal(m.trace.mirror_error, SB_RANGE);
	/* The agent leaves none of it, and the numbers go on. */
	ops = storage_of(&m);
	state_load(&ops, &s);
	assert_int_equal(state_repair(&ops, &s, NULL), SB_OK);
	assert_int_equal(m.var_writes, 0);
	assert_memory_equal(m.mirror[0], m.var, RECORD_BYTES);
	assert_memory_equal(m.mirror[1], m.var, RECORD_BYTES);
}

/* Nobody counts so far; who forges it gains nothing. */
static void the_sequence_does_not_wrap_to_what_is_older(void **state)
{
	struct state_ops ops;
	struct machine m;
	struct state s;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
	record_put(&m, RECORD_SEQUENCE_MAX, here, 0);
	memcpy(m.mirror[0], m.var, RECORD_BYTES);
	memcpy(m.mirror[1], m.var, RECORD_BYTES);
	m.var_len = 0;
	ops = storage_of(&m);
	state_load(&ops, &s);
	s.record.preferred = 1;
	m.mirror_write_fails = true;		/* a cut behind the variable */
	assert_int_equal(state_save(&ops, STATE_SAVE_AGENT, &s, NULL), SB_OK);
	assert_int_equal(stored(&m).preferred, 1);
	assert_int_equal(stored(&m).sequence, 1);
}

/* A mirror with a CRC is a file that anybody with the ESP can make. */
static void what_only_the_mirror_says_of_a_slot_is_hearsay(void **state)
{
	struct record r;
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
	r = stored(&m);
	assert_int_equal(r.slots[1].flags & SLOT_FLAG_HEARSAY, 0);
	r.sequence++;
	r.slots[1].uki_sha256[0] ^= 1;
	record_encode(&r, m.mirror[0]);
	r = stored(&m);
	assert_int_equal(r.slots[0].flags & SLOT_FLAG_HEARSAY, 0);	/* the variable agrees */
	assert_int_equal(r.slots[1].flags & SLOT_FLAG_HEARSAY, SLOT_FLAG_HEARSAY);
	m.var_len = 0;
	r = stored(&m);
	assert_int_equal(r.slots[0].flags & SLOT_FLAG_HEARSAY, SLOT_FLAG_HEARSAY);
}

static void a_variable_that_cannot_be_replaced_is_worked_round(void **state)
{
	struct state_ops ops;
	struct machine m;
	struct state s;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
	m.var_squatted = true;
	ops = storage_of(&m);
	state_load(&ops, &s);
	assert_int_equal(s.source, STATE_MIRROR_COPY);
	s.record.preferred = 1;
	assert_int_equal(state_save(&ops, STATE_SAVE_AGENT, &s, NULL), SB_OK);
	assert_int_equal(boot(&m), 'b');
	m.mirror_writes = 0;
	state_load(&ops, &s);
	assert_int_equal(state_repair(&ops, &s, NULL), SB_OK);
	assert_int_equal(m.mirror_writes, 0);
	m.mirror_write_fails = true;
	assert_int_equal(state_save(&ops, STATE_SAVE_AGENT, &s, NULL), SB_ATTRIBUTES);
}

static void without_the_variable_one_copy_of_the_mirror_is_the_record(void **state)
{
	struct state_ops ops;
	enum sb_error mirror;
	struct machine m;
	struct state s;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
	m.var_squatted = true;
	m.mirror_writes = 0;
	m.mirror_fails_at = 2;
	ops = storage_of(&m);
	state_load(&ops, &s);
	s.record.preferred = 1;
	assert_int_equal(state_save(&ops, STATE_SAVE_AGENT, &s, &mirror), SB_OK);
	assert_int_equal(mirror, SB_IO);
	assert_int_equal(boot(&m), 'b');
}

static void a_mirror_that_cannot_be_written_costs_no_variable(void **state)
{
	struct state_ops ops;
	enum sb_error mirror;
	struct machine m;
	struct state s;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
	memset(m.mirror[0], 0, RECORD_BYTES);
	m.mirror_write_fails = true;
	ops = storage_of(&m);
	for (int i = 0; i < 3; i++) {
		state_load(&ops, &s);
		assert_int_equal(state_repair(&ops, &s, &mirror), SB_OK);
		assert_int_equal(mirror, SB_IO);
	}
	assert_int_equal(m.var_writes, 0);
	m.mirror_write_fails = false;
	m.mirror_writes = 0;
	assert_int_equal(state_repair(&ops, &s, &mirror), SB_OK);
	assert_int_equal(m.mirror_writes, 1);
}

static void the_last_resort_checks_digests_and_then_the_firmware_goes_on(void **state)
{
	struct machine m;

	(void)state;
	machine_with(&m, SLOT_BAD, SLOT_BAD, 1);
	m.fails[0] = m.fails[1] = REASON_DIGEST;
	assert_int_equal(boot(&m), '-');
	assert_string_equal(m.started, "baba");	/* the second time unchecked */
	assert_false(m.digest_asked);
	assert_true(m.trace.steps[1].last_resort && !m.trace.steps[1].unchecked);
	assert_true(m.trace.steps[2].last_resort && m.trace.steps[2].unchecked);
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
	state_load(&ops, &s);
	m.var_write_fails = true;
	assert_int_equal(state_save(&ops, STATE_SAVE_AGENT, &s, &mirror), SB_FULL);
	assert_int_equal(m.mirror_writes, 0);
	m.var_write_fails = false;
	m.mirror_write_fails = true;
	assert_int_equal(state_save(&ops, STATE_SAVE_AGENT, &s, &mirror), SB_OK);
	assert_int_equal(mirror, SB_IO);
}

/* A cut while a copy is overwritten must leave the other: the newest goes last. */
static void the_agent_overwrites_the_newest_copy_last(void **state)
{
	struct machine m;
	struct state_ops ops;
	struct state s;

	(void)state;
	for (unsigned newest = 0; newest < STATE_MIRROR_COPIES; newest++) {
		machine_with(&m, SLOT_GOOD, SLOT_EMPTY, 0);
		memset(m.mirror[1 - newest], 0, RECORD_BYTES);
		ops = storage_of(&m);
		state_load(&ops, &s);
		assert_int_equal(s.mirror_newest, newest);
		m.first_copy = -1;
		assert_int_equal(state_save(&ops, STATE_SAVE_AGENT, &s, NULL), SB_OK);
		assert_int_equal(m.first_copy, 1 - newest);
		assert_memory_equal(m.mirror[0], m.var, RECORD_BYTES);
		assert_memory_equal(m.mirror[1], m.var, RECORD_BYTES);
	}
}

static void the_loader_overwrites_the_older_copy_alone(void **state)
{
	(void)state;
	for (unsigned newest = 0; newest < STATE_MIRROR_COPIES; newest++) {
		struct machine m;
		uint8_t before[RECORD_BYTES];

		machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
		memset(m.mirror[1 - newest], 0, RECORD_BYTES);
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

static void an_image_that_came_back_is_left_by_a_reset_where_that_is_asked_for(void **state)
{
	static const struct {
		uint8_t flags;
		enum slot_reason fails;
		bool no_mirror, var_write_fails;
		unsigned resets;
	} cases[] = {
		{ 0, REASON_RETURNED, false, false, 0 },
		{ RECORD_FLAG_RESET, REASON_RETURNED, false, false, 1 },
		{ RECORD_FLAG_RESET, REASON_LOAD, false, false, 0 },
		{ RECORD_FLAG_RESET, REASON_DIGEST, false, false, 0 },
		{ RECORD_FLAG_RESET, REASON_RETURNED, true, false, 0 },
		{ RECORD_FLAG_RESET, REASON_RETURNED, false, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct machine m;
		struct record r;

		machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
		r = stored(&m);
		r.flags = cases[i].flags;
		record_encode(&r, m.var);
		m.fails[0] = cases[i].fails;
		m.no_mirror = cases[i].no_mirror;
		m.var_write_fails = cases[i].var_write_fails;
		/* Where it does not reset, or that fails, the other starts in the same boot. */
		assert_int_equal(boot(&m), 'b');
		assert_string_equal(m.started, "ab");
		assert_int_equal(m.resets, cases[i].resets);
		if (m.resets)
			assert_int_equal(stored(&m).slots[0].reason, REASON_RETURNED);
	}
}

/* Nothing of a last resort is stored: it would go on for ever. */
static void the_last_resort_resets_nothing(void **state)
{
	struct machine m;
	struct record r;

	(void)state;
	machine_with(&m, SLOT_BAD, SLOT_BAD, 0);
	r = stored(&m);
	r.flags = RECORD_FLAG_RESET;
	record_encode(&r, m.var);
	m.fails[0] = m.fails[1] = REASON_RETURNED;
	assert_int_equal(boot(&m), '-');
	assert_int_equal(m.resets, 0);
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
		cmocka_unit_test(a_steady_boot_writes_nothing),
		cmocka_unit_test(a_slot_that_is_wanted_once_is_started_once),
		cmocka_unit_test(with_check_always_a_good_slot_is_looked_at_too),
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
		cmocka_unit_test(the_agent_overwrites_the_newest_copy_last),
		cmocka_unit_test(the_loader_overwrites_the_older_copy_alone),
		cmocka_unit_test(with_the_record_lost_a_hanging_a_hands_over_to_b),
		cmocka_unit_test(a_record_of_another_disk_is_neither_believed_nor_written),
		cmocka_unit_test(a_provisional_record_of_another_disk_is_replaced),
		cmocka_unit_test(a_loader_from_the_network_writes_nothing),
		cmocka_unit_test(an_older_variable_that_comes_back_undoes_no_update),
		cmocka_unit_test(tries_end_also_where_an_older_variable_comes_back),
		cmocka_unit_test(a_mirror_absurdly_far_ahead_is_damage),
		cmocka_unit_test(the_sequence_does_not_wrap_to_what_is_older),
		cmocka_unit_test(what_only_the_mirror_says_of_a_slot_is_hearsay),
		cmocka_unit_test(a_variable_that_cannot_be_replaced_is_worked_round),
		cmocka_unit_test(without_the_variable_one_copy_of_the_mirror_is_the_record),
		cmocka_unit_test(a_mirror_that_cannot_be_written_costs_no_variable),
		cmocka_unit_test(tries_end_also_where_the_variable_is_lost_at_every_boot),
		cmocka_unit_test(an_image_that_came_back_is_left_by_a_reset_where_that_is_asked_for),
		cmocka_unit_test(the_last_resort_resets_nothing),
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
