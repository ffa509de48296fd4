/* SPDX-License-Identifier: MIT */
#include "blockmatch.h"

#include "unittest.h"

enum { ZERO = 1, N = 100 };

/* An older image of N blocks of ids 1000, 1001, ..., of which 20 to 39 are ZERO. */
static struct blockmatch *old;

static int setup(void **state)
{
	uint64_t ids[N];
	struct err err = { 0 };

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		ids[i] = i >= 20 && i < 40 ? ZERO : 1000 + i;
	return blockmatch_make(ids, N, &old, &err);
}

static int teardown(void **state)
{
	(void)state;
	blockmatch_free(old);
	return 0;
}

static void most_blocks_decide_the_distance(void **state)
{
	/* 50.. moved up by 7 from block 43 on; one stray block that others outvote. */
	const uint64_t ids[] = { 1050, 1051, 1003, 1053, 7, ZERO };
	int64_t distance;

	(void)state;
	assert_true(blockmatch_distance(old, ids, 6, 43, &distance));
	assert_int_equal(distance, 7);
	assert_true(blockmatch_distance(old, ids, 6, 60, &distance));
	assert_int_equal(distance, -10);
}

static void common_and_unknown_blocks_have_no_vote(void **state)
{
	const uint64_t ids[] = { ZERO, ZERO, 7, 8 };
	int64_t distance = 42;

	(void)state;
	assert_false(blockmatch_distance(old, ids, 4, 20, &distance));
	assert_int_equal(distance, 42);
}

static void runs_are_followed_as_far_as_they_go(void **state)
{
	const uint64_t ids[] = { 1018, 1019, ZERO, ZERO, 1060, 1061, 1000 };
	struct blockrun runs[3];

	(void)state;
	assert_int_equal(blockmatch_runs(old, ids, 7, 18, 0, runs, 3), 3);
	assert_int_equal(runs[0].base, 18);
	assert_int_equal(runs[0].count, 4);
	assert_int_equal(runs[1].base, 60);
	assert_int_equal(runs[1].count, 2);
	assert_int_equal(runs[2].base, 0);
	assert_int_equal(runs[2].count, 1);
	assert_int_equal(blockmatch_runs(old, ids, 7, 18, 0, runs, 2), 0);
}

static void a_common_block_is_taken_at_the_distance(void **state)
{
	const uint64_t ids[] = { ZERO, ZERO, 1040 };
	struct blockrun runs[2];

	(void)state;
	assert_int_equal(blockmatch_runs(old, ids, 3, 8, 30, runs, 2), 1);
	assert_int_equal(runs[0].base, 38);
	assert_int_equal(runs[0].count, 3);
}

static void an_unknown_block_ends_it(void **state)
{
	const uint64_t ids[] = { 1098, 1099, 1100 };
	struct blockrun runs[4];

	(void)state;
	assert_int_equal(blockmatch_runs(old, ids, 2, 98, 0, runs, 4), 1);
	assert_int_equal(blockmatch_runs(old, ids, 3, 98, 0, runs, 4), 0);
	assert_int_equal(blockmatch_runs(old, ids, 2, 98, -1000, runs, 4), 1);
	assert_int_equal(blockmatch_runs(old, ids, 2, 98, 1000, runs, 4), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(most_blocks_decide_the_distance),
		cmocka_unit_test(common_and_unknown_blocks_have_no_vote),
		cmocka_unit_test(runs_are_followed_as_far_as_they_go),
		cmocka_unit_test(a_common_block_is_taken_at_the_distance),
		cmocka_unit_test(an_unknown_block_ends_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
