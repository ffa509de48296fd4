/* SPDX-License-Identifier: MIT */
#include "http_link.h"

#include "unittest.h"
#include "io.h"

/* The bytes of a round trip, shared by the requests in flight. */
static void the_link_says_what_a_request_costs(void **state)
{
	static const struct { struct http_link_figures link; uint64_t low, high; } rows[] = {
		{ { .rtt_us = 200000, .rate = 12500000, .parallel = 1 }, 2500000, 2501000 },
		{ { .rtt_us = 200000, .rate = 12500000, .parallel = 4 }, 625000, 626000 },
		{ { .rtt_us = 20000, .rate = 625000, .parallel = 4 }, 3125, 4000 },
		{ { .rtt_us = 100, .rate = 1000000000, .parallel = 4 }, 25000, 26000 },
		/* Nothing measured yet; then the largest figures there can be. */
		{ { 0 }, 1000, 100000 },
		{ { .rtt_us = 3600000000u, .rate = 1000000000000u, .parallel = 1 }, 1, UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_in_range(http_link_gap(&rows[i].link), rows[i].low, rows[i].high);
}

static void the_shortest_round_trip_counts(void **state)
{
	struct http_link l = { 0 };

	(void)state;
	http_link_answered(&l, 0);
	assert_int_equal(l.figures.rtt_us, 0);
	http_link_answered(&l, 70000);
	http_link_answered(&l, 50000);
	http_link_answered(&l, 900000);
	assert_int_equal(l.figures.rtt_us, 50000);
}

static void the_rate_is_of_time_in_which_bodies_flow_and_follows_the_link(void **state)
{
	struct http_link l = { 0 };

	(void)state;
	http_link_worked(&l, 10000000, 0, false, true);
	http_link_worked(&l, 1000, 1000000, true, true);
	assert_int_equal(l.figures.rate, 0);	/* the sample is too short */
	http_link_worked(&l, 999000, 1500000, true, true);
	assert_int_equal(l.figures.rate, 2500000);
	for (int i = 0; i < 20; i++)
		http_link_worked(&l, 100000, 1000000, true, true);
	assert_in_range(l.figures.rate, 9900000, 10000000);
	http_link_worked(&l, 100000, 0, true, true);
	assert_in_range(l.figures.rate, 8600000, 8800000);
}

static void waiting_is_for_answers_or_for_bytes(void **state)
{
	struct http_link l = { 0 };

	(void)state;
	http_link_worked(&l, 200, 0, false, true);
	http_link_worked(&l, 300, 1000, true, true);
	http_link_worked(&l, 4000, 0, false, false);	/* while the reader was busy */
	http_link_worked(&l, 5000, 1000, true, false);
	assert_int_equal(l.figures.latency_us, 200);
	assert_int_equal(l.figures.flow_us, 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_link_says_what_a_request_costs),
		cmocka_unit_test(the_shortest_round_trip_counts),
		cmocka_unit_test(the_rate_is_of_time_in_which_bodies_flow_and_follows_the_link),
		cmocka_unit_test(waiting_is_for_answers_or_for_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
