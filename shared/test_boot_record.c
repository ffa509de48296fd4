/* SPDX-License-Identifier: MIT */
/* The whole boot: which record counts when one is lost, older, forged, or another disk's. */
#include "testboot.h"

static void record_put(struct machine *m, uint64_t sequence, const uint8_t *esp, uint8_t preferred)
{
	struct record r;

	assert_int_equal(record_decode(m->var, RECORD_BYTES, &r), SB_OK);
	r.sequence = sequence;
	r.preferred = preferred;
	record_adopt(&r, esp);
	record_encode(&r, m->var);
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

/* A new disk in the machine, known by its GUID, or, where an image gave it the same, by having no
 * state.bin. The other slot's image is not on it. */
static void a_new_disk_boots_its_slot_a_under_any_old_record(void **state)
{
	static const enum slot_status olds[] = { SLOT_BAD, SLOT_TRIAL, SLOT_WRITING, SLOT_EMPTY, SLOT_GOOD };

	(void)state;
	for (size_t i = 0; i < 2 * (sizeof olds / sizeof olds[0]); i++) {
		struct machine m;
		struct record r;

		machine_with(&m, olds[i / 2], SLOT_GOOD, 1);
		r = stored(&m);
		if (olds[i / 2] == SLOT_BAD)
			r.slots[0].reason = REASON_TRIES;
		if (i % 2)
			record_adopt(&r, there);
		record_encode(&r, m.var);
		m.no_mirror = true;
		m.fails[0] = REASON_NONE;
		m.fails[1] = REASON_LOAD;
		assert_int_equal(boot(&m), 'a');
	}
}

/* The same where the image brought the GUID and a state.bin, as slotctl provision makes one: slot A on
 * trial, and a sequence that the machine has left behind since it had this image first. */
static void an_image_with_a_state_bin_boots_its_slot_a_under_any_old_record(void **state)
{
	static const enum slot_status olds[] = { SLOT_BAD, SLOT_TRIAL, SLOT_WRITING, SLOT_EMPTY, SLOT_GOOD };

	(void)state;
	for (size_t i = 0; i < sizeof olds / sizeof olds[0]; i++) {
		struct machine m, fresh;
		struct record r;

		machine_with(&fresh, SLOT_TRIAL, SLOT_EMPTY, 0);
		machine_with(&m, olds[i], SLOT_GOOD, 1);
		r = stored(&m);
		r.sequence += 40;
		if (olds[i] == SLOT_BAD)
			r.slots[0].reason = REASON_TRIES;
		record_encode(&r, m.var);
		memcpy(m.mirror, fresh.mirror, sizeof m.mirror);
		m.fails[0] = REASON_NONE;
		m.fails[1] = REASON_LOAD;
		assert_int_equal(boot(&m), 'a');
	}
}

/* Of the same disk: what is in it was there when the mirror was stored. And of another. */
static void a_mirror_that_lags_has_no_other_image(void **state)
{
	struct state_ops ops;
	struct machine m;
	struct record r;
	struct state s;

	(void)state;
	machine_with(&m, SLOT_GOOD, SLOT_WRITING, 0);
	ops = storage_of(&m);
	r = stored(&m);
	r.slots[0].flags |= SLOT_FLAG_DIGEST;
	r.slots[0].uki_size = 77;
	for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++)
		record_encode(&r, m.mirror[copy]);
	r.sequence++;
	r.slots[0].status = SLOT_BAD;
	r.slots[1].status = SLOT_TRIAL;
	record_encode(&r, m.var);
	state_load(&ops, &s);
	assert_int_equal(s.source, STATE_VARIABLE_COPY);
	assert_false(s.unmirrored);
	r.slots[0].uki_size = 78;
	record_encode(&r, m.var);
	state_load(&ops, &s);
	assert_true(s.unmirrored);
}

/* The variable or the mirror as the agent leaves them: of these ESPs. */
static void record_name_in(uint8_t bytes[RECORD_BYTES], uint64_t sequence, const uint8_t *esp,
			   const uint8_t *other)
{
	struct record r;

	assert_int_equal(record_decode(bytes, RECORD_BYTES, &r), SB_OK);
	r.sequence = sequence;
	(void)record_name(&r, esp, other);
	record_encode(&r, bytes);
}

static void a_record_that_names_two_esps_is_believed_from_either(void **state)
{
	(void)state;
	for (int second = 0; second < 2; second++) {
		struct machine m;

		machine_with(&m, SLOT_GOOD, SLOT_TRIAL, 1);
		record_name_in(m.var, 9, here, there);
		m.esp = second ? there : here;
		assert_int_equal(boot(&m), 'b');
		assert_int_equal(m.trace.source, STATE_VARIABLE_COPY);
		assert_null(m.handed_over);
		assert_int_equal(m.var_writes, 1);
		m.esp = second ? here : there;
		assert_int_equal(boot(&m), 'b');
		assert_int_equal(boot(&m), 'a');	/* two tries in all */
	}
}

/* The disk was away while the machine was updated. */
static void an_esp_that_was_left_behind_hands_over_to_the_other(void **state)
{
	static const uint8_t third[RECORD_GUID_BYTES] = { 7 };
	const struct {
		const uint8_t *var, *esp, *other;	/* what the variable names, and the mirror */
		bool handed_over;
	} cases[] = { { here, there, here, true },  { here, here, there, true },
		      { here, there, third, false }, { here, there, NULL, false },
		      { third, here, there, false } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint8_t before[RECORD_BYTES];
		struct machine m;

		machine_with(&m, SLOT_GOOD, SLOT_GOOD, 0);
		record_name_in(m.var, 40, cases[i].var, NULL);
		for (unsigned copy = 0; copy < STATE_MIRROR_COPIES; copy++)
			record_name_in(m.mirror[copy], 20, cases[i].esp, cases[i].other);
		m.esp = there;
		m.once = 2;
		memcpy(before, m.var, sizeof before);
		/* It came back: what is here is better than nothing. */
		assert_int_equal(boot(&m), 'b');
		assert_int_equal(m.handed_over != NULL, cases[i].handed_over);
		if (m.handed_over)
			assert_memory_equal(m.handed_over, here, sizeof here);
		/* What is wanted once, the loader there is told. */
		assert_int_equal(m.once_handed_over, m.handed_over ? 2 : 0);
		assert_memory_equal(m.var, before, sizeof before);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_higher_sequence_wins),
		cmocka_unit_test(everything_lost_boots_a_then_b_and_says_so),
		cmocka_unit_test(with_the_record_lost_a_hanging_a_hands_over_to_b),
		cmocka_unit_test(a_record_of_another_disk_is_neither_believed_nor_written),
		cmocka_unit_test(a_new_disk_boots_its_slot_a_under_any_old_record),
		cmocka_unit_test(an_image_with_a_state_bin_boots_its_slot_a_under_any_old_record),
		cmocka_unit_test(a_mirror_that_lags_has_no_other_image),
		cmocka_unit_test(a_provisional_record_of_another_disk_is_replaced),
		cmocka_unit_test(a_loader_from_the_network_writes_nothing),
		cmocka_unit_test(an_older_variable_that_comes_back_undoes_no_update),
		cmocka_unit_test(tries_end_also_where_an_older_variable_comes_back),
		cmocka_unit_test(a_mirror_absurdly_far_ahead_is_damage),
		cmocka_unit_test(the_sequence_does_not_wrap_to_what_is_older),
		cmocka_unit_test(what_only_the_mirror_says_of_a_slot_is_hearsay),
		cmocka_unit_test(a_record_that_names_two_esps_is_believed_from_either),
		cmocka_unit_test(an_esp_that_was_left_behind_hands_over_to_the_other),
	};

	return cmocka_run_group_tests_name("boot record", tests, NULL, NULL);
}
