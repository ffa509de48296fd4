/* SPDX-License-Identifier: MIT */
/* The whole boot, where the variable or the mirror cannot be read, written or trusted to keep what
 * it was given. */
#include "testboot.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_variable_that_forgets_is_noticed),
		cmocka_unit_test(tries_go_to_the_mirror_when_the_variable_does_not_take),
		cmocka_unit_test(the_mirror_stands_in_for_a_bad_variable),
		cmocka_unit_test(the_agent_reports_success_only_if_the_variable_took),
		cmocka_unit_test(the_agent_overwrites_the_newest_copy_last),
		cmocka_unit_test(the_loader_overwrites_the_older_copy_alone),
		cmocka_unit_test(a_variable_that_cannot_be_replaced_is_worked_round),
		cmocka_unit_test(without_the_variable_one_copy_of_the_mirror_is_the_record),
		cmocka_unit_test(a_mirror_that_cannot_be_written_costs_no_variable),
		cmocka_unit_test(tries_end_also_where_the_variable_is_lost_at_every_boot),
		cmocka_unit_test(good_limit_counts_in_the_mirror_when_the_variable_does_not_take),
	};

	return cmocka_run_group_tests_name("boot mirror", tests, NULL, NULL);
}
