/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include "unittest.h"
#include "io.h"

#define NO PLAN_IMPOSSIBLE

static void the_layout_with_the_fewest_bytes_is_chosen(void **state)
{
	static const struct {
		struct plan_cost cost;	/* full, base, blocks */
		enum plan_how how;
	} rows[] = {
		{ { 100, NO, NO }, PLAN_FULL },   { { 100, 99, NO }, PLAN_BASE },
		{ { 100, NO, 99 }, PLAN_BLOCKS }, { { 100, 50, 40 }, PLAN_BLOCKS },
		{ { 100, 40, 50 }, PLAN_BASE },   { { 100, 40, 40 }, PLAN_BASE },
		{ { 100, 100, 100 }, PLAN_FULL }, { { 100, 200, 300 }, PLAN_FULL },
		{ { 100, 0, 0 }, PLAN_BASE },     { { 100, 100, 0 }, PLAN_BLOCKS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(plan_choose(&rows[i].cost), rows[i].how);
}

static void chunks_that_are_held_are_left_alone(void **state)
{
	static const struct plan_cost costs[] = { { 10, NO, NO }, { 20, NO, NO }, { 40, NO, NO } };
	uint8_t how[] = { PLAN_KEPT, PLAN_WANTED, PLAN_COPIED };

	(void)state;
	assert_int_equal(plan_layouts(costs, 3, how), 20);
	assert_int_equal(how[0], PLAN_KEPT);
	assert_int_equal(how[1], PLAN_FULL);
	assert_int_equal(how[2], PLAN_COPIED);
}

enum { MANY = 1000000, M = 1 << 20 };

/* The frames of a chunk may be those of one long before it. */
static void a_range_that_lies_before_the_last_one_is_a_request_of_its_own(void **state)
{
	struct plan_range r[] = { { 100, 10, 9, 0 }, { 110, 10, 9, 0 }, { 0, 50, 9, 0 }, { 115, 20, 9, 0 } };
	struct plan_sum sum = plan_runs(r, 4, 0, MANY, MANY);

	(void)state;
	assert_int_equal(r[0].run, 20);
	assert_int_equal(r[1].run, 0);
	assert_int_equal(r[2].run, 50);
	assert_int_equal(r[3].run, 20);
	assert_true(sum.requests == 3 && sum.bytes == 90);
	sum = plan_runs(r, 4, 0, 1, 1);	/* it cannot be had in fewer than two */
	assert_true(sum.requests == 2);
	assert_int_equal(r[2].run, 135);
}

/* However many they are, no gap forward is bridged for them: that would save none. */
static void jumps_back_do_not_make_the_gaps_forward_longer(void **state)
{
	struct plan_range r[] = { { 100 * M, 10, 9, 0 }, { 0, 10, 9, 0 }, { 200 * M, 10, 9, 0 }, { 10, 10, 9, 0 },
				  { 300 * M, 10, 9, 0 }, { 300 * M + 10 * M, 10, 9, 0 }, { 20, 10, 9, 0 } };
	struct plan_sum sum = plan_runs(r, 7, 0, MANY, MANY);

	(void)state;
	assert_true(sum.requests == 7 && sum.bytes == 70);
	sum = plan_runs(r, 7, 0, 4, 4);	/* and three jumps */
	assert_true(sum.requests == 7 && sum.bytes == 70);
	sum = plan_runs(r, 7, 0, 3, 3);	/* the shortest gap, and no other */
	assert_true(sum.requests == 6 && sum.bytes == 70 + 10 * M - 10);
	sum = plan_runs(r, 7, 0, 1, 1);
	assert_int_equal(sum.requests, 4);
}

static void adjacent_ranges_are_one_request(void **state)
{
	struct plan_range r[] = { { 0, 10, 9, 0 }, { 10, 5, 9, 0 }, { 15, 100, 9, 0 } };
	struct plan_sum sum = plan_runs(r, 3, 0, MANY, MANY);

	(void)state;
	assert_int_equal(r[0].run, 115);
	assert_int_equal(r[1].run, 0);
	assert_int_equal(r[2].run, 0);
	assert_true(sum.requests == 1 && sum.bytes == 115);
	sum = plan_runs(r, 0, M, 1, 1);
	assert_true(sum.requests == 0 && sum.bytes == 0);
}

static void a_gap_that_costs_less_than_a_request_is_bridged(void **state)
{
	struct plan_range r[] = { { 0, M, 0, 0 }, { M + 1000, M, 0, 0 }, { 10 * M, M, 0, 0 },
				  { 11 * M + 999, 1, 0, 0 } };
	struct plan_sum sum = plan_runs(r, 4, 1000, MANY, MANY);

	(void)state;
	assert_int_equal(r[0].run, 2 * M + 1000);
	assert_int_equal(r[1].run, 0);
	assert_int_equal(r[2].run, M + 1000);
	assert_int_equal(r[3].run, 0);
	assert_true(sum.requests == 2 && sum.bytes == 3 * M + 2000);
	sum = plan_runs(r, 4, 999, MANY, MANY);
	assert_int_equal(r[0].run, M);
	assert_int_equal(r[2].run, M + 1000);
	assert_int_equal(sum.requests, 3);
}

static size_t runs_of(const struct plan_range *r, size_t count, uint64_t *ret_bytes)
{
	size_t runs = 0;

	*ret_bytes = 0;
	for (size_t i = 0; i < count; i++) {
		runs += r[i].run > 0;
		*ret_bytes += r[i].run;
	}
	return runs;
}

/* For any pattern of ranges: little is fetched needlessly, there are no more requests than allowed,
 * and the sum is what the requests add up to. */
static void waste_and_requests_are_bounded(void **state)
{
	struct plan_range r[1000];
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		uint64_t at = 0, wanted = 0, fetched, allowed;
		struct plan_sum sum;

		for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
			seed = seed * 1664525u + 1013904223u;
			at += seed >> (10 + round % 20);
			r[i] = (struct plan_range){ at, 1 + (seed & 0xffff), 0, 0 };
			at += r[i].len;
			wanted += r[i].len;
		}
		sum = plan_runs(r, ARRAY_SIZE(r), M, MANY, MANY);
		assert_int_equal(runs_of(r, ARRAY_SIZE(r), &fetched), sum.requests);
		assert_int_equal(fetched, sum.bytes);
		allowed = wanted / PLAN_WASTE_PART > PLAN_WASTE_MIN ? wanted / PLAN_WASTE_PART
								    : PLAN_WASTE_MIN;
		assert_true(fetched >= wanted && fetched <= wanted + allowed);
		sum = plan_runs(r, ARRAY_SIZE(r), 0, 1 + round, 1 + round);
		assert_int_equal(runs_of(r, ARRAY_SIZE(r), &fetched), sum.requests);
		assert_int_equal(fetched, sum.bytes);
		assert_in_range(sum.requests, 1, 1 + round);
	}
}

/* A quarter more bytes for fewer requests, and not more than that while there may be more. */
static void where_fewer_requests_cost_too_much_there_are_more(void **state)
{
	struct plan_range r[1000];
	uint64_t at = 0, wanted = 0;
	struct plan_sum few, more, most;

	(void)state;
	/* The gaps are 4 bytes and up to 4000. */
	for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
		r[i] = (struct plan_range){ at += 4 * (i * 7 % 1000 + 1), 1000, 0, 0 };
		at += 1000;
		wanted += 1000;
	}
	few = plan_runs(r, ARRAY_SIZE(r), 0, 400, 400);
	assert_true(few.bytes > wanted + wanted / PLAN_BRIDGED_PART);
	more = plan_runs(r, ARRAY_SIZE(r), 0, 400, 900);
	assert_true(more.bytes <= wanted + wanted / PLAN_BRIDGED_PART);
	assert_in_range(more.requests, 401, 899);
	most = plan_runs(r, ARRAY_SIZE(r), 0, 400, 500);
	assert_int_equal(most.requests, 500);
	assert_true(most.bytes > more.bytes && most.bytes < few.bytes);
	/* Where it is cheap they are as few as they can be. */
	few = plan_runs(r, ARRAY_SIZE(r), 0, 800, 800);
	more = plan_runs(r, ARRAY_SIZE(r), 0, 800, 900);
	assert_int_equal(more.requests, few.requests);
	assert_int_equal(more.bytes, few.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_layout_with_the_fewest_bytes_is_chosen),
		cmocka_unit_test(chunks_that_are_held_are_left_alone),
		cmocka_unit_test(a_range_that_lies_before_the_last_one_is_a_request_of_its_own),
		cmocka_unit_test(jumps_back_do_not_make_the_gaps_forward_longer),
		cmocka_unit_test(adjacent_ranges_are_one_request),
		cmocka_unit_test(a_gap_that_costs_less_than_a_request_is_bridged),
		cmocka_unit_test(waste_and_requests_are_bounded),
		cmocka_unit_test(where_fewer_requests_cost_too_much_there_are_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
