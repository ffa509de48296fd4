/* SPDX-License-Identifier: MIT */
/* Several ranges in flight: their bytes are returned in order, whatever the server does. */
#include "fetch.h"

#include "testclock.h"
#include "testserver.h"
#include "io.h"

#include <dirent.h>

enum { LEN = 6 << 20, PIECE = 10000, PIECES = 12, STEP = 20000 };

static uint8_t object[LEN], got[LEN];
static struct testobject serve;
static struct testserver server;
static struct http_options http;
static struct fetch *fetch;
static volatile int cancel;
static unsigned retries;
static char last_why[256];

static void on_retry(void *ctx, const char *why, unsigned wait_ms)
{
	(void)ctx, (void)wait_ms;
	retries++;
	snprintf(last_why, sizeof last_why, "%s", why);
}

/* Afterwards the size is known from the first request. */
static void begin(void)
{
	static struct fetch_options options;
	struct err err = { 0 };
	size_t n;

	options = (struct fetch_options){ .deadline_s = 300, .backoff_ms = 1, .cancel = &cancel,
					  .retrying = on_retry, .clock = &testclock, .http = &http };
	testserver_start_object(&server, &serve);
	assert_int_equal(fetch_open(server.url, &options, &fetch, &err), 0);
	if (fetch_tail(fetch, got, 100, &n, &err) < 0)
		fail_msg("%s", err.text);
}

static void end(void)
{
	fetch_close(fetch);
	testserver_stop(&server);
}

static uint64_t offset_of(unsigned i)
{
	return 1000 + (uint64_t)i * STEP;
}

/* Names the current piece and those after it, as a reader does. */
static void name(unsigned i)
{
	fetch_range(fetch, offset_of(i), PIECE);
	for (unsigned k = i + 1; k < PIECES; k++)
		fetch_ahead(fetch, offset_of(k), PIECE);
}

static int piece_read(unsigned i, struct err *err)
{
	size_t n = 0;

	name(i);
	if (fetch_read(fetch, got, PIECE, &n, err) < 0)
		return -1;
	assert_int_equal(n, PIECE);
	assert_memory_equal(got, object + offset_of(i), PIECE);
	return 0;
}

static void expect_pieces(unsigned first)
{
	struct err err = { 0 };

	for (unsigned i = first; i < PIECES; i++)
		if (piece_read(i, &err) < 0)
			fail_msg("piece %u: %s", i, err.text);
}

static void answers_that_come_out_of_order_are_read_in_order(void **state)
{
	(void)state;
	serve.held = (size_t)offset_of(0);
	serve.held_for = 1 + 5;		/* the end of the object, and five of those announced */
	begin();
	expect_pieces(0);
	assert_int_equal(server.count->requests, 1 + PIECES);
	assert_int_equal(server.count->connections, 4);
	assert_int_equal(server.count->bytes, 100 + PIECES * PIECE);
	assert_int_equal(fetch_received(fetch), 100 + PIECES * PIECE);
	assert_int_equal(retries, 0);
	end();
}

static void there_are_no_more_at_once_than_connections(void **state)
{
	struct http_link_figures link;

	(void)state;
	for (unsigned most = 1; most <= 3; most++) {
		http.connections = most;
		begin();
		expect_pieces(0);
		assert_in_range(server.count->most, 1, most);
		assert_in_range(server.count->connections, 1, most);
		assert_int_equal(server.count->requests, 1 + PIECES);
		fetch_figures(fetch, &link);
		assert_int_equal(link.parallel, most);
		end();
	}
}

/* The second range is cut off or refused before the first is answered. */
static void what_fails_ahead_says_nothing_and_is_asked_again(void **state)
{
	static const enum serve how[] = { SERVE_CUT, SERVE_RESET, SERVE_503, SERVE_WRONG_RANGE,
					  SERVE_WHOLE, SERVE_SHORTER };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		serve.how = how[i];
		serve.only = (size_t)offset_of(1);
		serve.times = 1;
		serve.held = (size_t)offset_of(0);
		serve.held_for = 2;
		begin();
		expect_pieces(0);
		assert_int_equal(server.count->requests, 1 + PIECES + 1);
		assert_int_equal(retries, 0);
		end();
	}
}

static void a_connection_that_drops_costs_no_byte_twice(void **state)
{
	(void)state;
	serve.drop_every = 4000;
	serve.drops = 3;
	begin();
	expect_pieces(0);
	assert_int_equal(server.count->drops, 3);
	assert_int_equal(server.count->bytes, 100 + PIECES * PIECE);
	end();
}

static void pass_time(void)
{
	testclock_ms += 100;
}

/* Three of the four connections are never accepted. */
static void a_server_of_one_connection_gets_one(void **state)
{
	struct http_link_figures link;

	(void)state;
	serve.one_by_one = true;
	testclock_on_tick = pass_time;
	begin();
	expect_pieces(0);
	fetch_figures(fetch, &link);
	assert_int_equal(link.parallel, 1);
	assert_int_equal(server.count->connections, 1);
	end();
}

static void one_that_refuses_more_gets_fewer_and_later_is_tried_again(void **state)
{
	struct http_link_figures link;
	struct err err = { 0 };

	(void)state;
	serve.how = SERVE_503;
	serve.from = 3;
	serve.until = 5;
	begin();
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(piece_read(i, &err), 0);
	fetch_figures(fetch, &link);
	assert_int_equal(link.parallel, 1);
	for (unsigned turn = 0; turn < 8; turn++)
		expect_pieces(0);
	fetch_figures(fetch, &link);
	assert_int_equal(link.parallel, 4);
	end();
}

static void retry_after_holds_for_what_was_asked_ahead(void **state)
{
	(void)state;
	serve.how = SERVE_429;
	serve.only = (size_t)offset_of(3);
	serve.times = 1;
	begin();
	expect_pieces(0);
	assert_in_range(testclock_ms, 7000, 7100);
	end();
}

static void what_is_final_is_told_in_its_turn(void **state)
{
	struct err err = { 0 };
	unsigned i = 0;

	(void)state;
	serve.how = SERVE_404;
	serve.only = (size_t)offset_of(3);
	serve.times = 100;
	begin();
	while (i < PIECES && piece_read(i, &err) == 0)
		i++;
	assert_int_equal(i, 3);
	assert_int_equal(err.exit, EX_UNAVAILABLE);
	assert_non_null(strstr(err.text, "the server answered 404 Not Found"));
	assert_int_equal(retries, 0);
	end();
}

static void what_was_not_named_drops_what_was(void **state)
{
	struct err err = { 0 };

	(void)state;
	begin();
	assert_int_equal(piece_read(0, &err), 0);
	fetch_range(fetch, 500000, PIECE);
	assert_int_equal(fetch_read(fetch, got, PIECE, &(size_t){ 0 }, &err), 0);
	assert_memory_equal(got, object + 500000, PIECE);
	expect_pieces(1);
	assert_int_equal(piece_read(5, &err), 0);	/* skips some pieces */
	expect_pieces(7);
	end();
}

/* A range longer than the buffer begins when those before it end, and those behind it wait until
 * their buffers fit. */
static void a_range_that_cannot_be_held_is_read_as_it_comes(void **state)
{
	enum { LONG = 5 << 20 };
	struct err err = { 0 };
	size_t n;

	(void)state;
	begin();
	for (unsigned turn = 0; turn < 2; turn++) {
		fetch_range(fetch, 0, PIECE);
		fetch_ahead(fetch, STEP, LONG);
		fetch_ahead(fetch, LONG + STEP + 7, PIECE);
		assert_int_equal(fetch_read(fetch, got, PIECE, &n, &err), 0);
		assert_memory_equal(got, object, PIECE);
		fetch_range(fetch, STEP, LONG);
		assert_int_equal(fetch_read(fetch, got, LONG, &n, &err), 0);
		assert_int_equal(n, LONG);
		assert_memory_equal(got, object + STEP, LONG);
		fetch_range(fetch, LONG + STEP + 7, PIECE);
		assert_int_equal(fetch_read(fetch, got, PIECE, &n, &err), 0);
		assert_memory_equal(got, object + LONG + STEP + 7, PIECE);
	}
	assert_int_equal(server.count->requests, 1 + 6);
	end();
}

static void after_what_came_wrong_all_is_asked_over_new_connections(void **state)
{
	struct err err = { 0 };
	unsigned before;

	(void)state;
	begin();
	assert_int_equal(piece_read(0, &err), 0);
	expect_pieces(1);
	before = server.count->connections;
	fetch_anew(fetch);
	expect_pieces(0);
	assert_in_range(server.count->connections, before + 1, before + 4);
	end();
}

static void cancel_then(void)
{
	if (server.count->requests >= 1 + 4)
		cancel = 1;
}

static void a_cancellation_ends_four_in_flight(void **state)
{
	struct err err = { 0 };

	(void)state;
	serve.how = SERVE_HANG;
	serve.from = 2;
	begin();
	testclock_on_tick = cancel_then;
	assert_int_equal(piece_read(0, &err), -1);
	assert_int_equal(err.exit, EX_TEMPFAIL);
	assert_non_null(strstr(err.text, "cancelled by a signal"));
	assert_int_equal(server.count->requests, 1 + 4);
	end();
}

/* While the reader is busy elsewhere, until its next request. */
static void what_was_named_comes_while_nobody_reads(void **state)
{
	int pair[2];

	(void)state;
	begin();
	name(0);
	assert_int_equal(pipe(pair), 0);
	fetch_idle(fetch, pair[0]);	/* returns: everything has arrived */
	assert_int_equal(server.count->bytes, 100 + PIECES * PIECE);
	expect_pieces(0);
	assert_int_equal(server.count->requests, 1 + PIECES);
	name(0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	fetch_idle(fetch, pair[0]);
	expect_pieces(0);
	close(pair[0]);
	close(pair[1]);
	end();
}

/* --- around each ------------------------------------------------------------- */

static unsigned files_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static unsigned files_before;

static int each_setup(void **state)
{
	(void)state;
	cancel = 0;
	retries = 0;
	http = (struct http_options){ .redirects = HTTPOPTS_REDIRECTS, .proxy = "none" };
	testclock_reset();
	serve = (struct testobject){ .data = object, .len = LEN, .held = SIZE_MAX };
	files_before = files_open();
	return 0;
}

static int each_teardown(void **state)
{
	(void)state;
	assert_int_equal(files_open(), files_before);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, each_setup, each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_that_come_out_of_order_are_read_in_order),
		TEST(there_are_no_more_at_once_than_connections),
		TEST(what_fails_ahead_says_nothing_and_is_asked_again),
		TEST(a_connection_that_drops_costs_no_byte_twice),
		TEST(a_server_of_one_connection_gets_one),
		TEST(one_that_refuses_more_gets_fewer_and_later_is_tried_again),
		TEST(retry_after_holds_for_what_was_asked_ahead),
		TEST(what_is_final_is_told_in_its_turn),
		TEST(what_was_not_named_drops_what_was),
		TEST(a_range_that_cannot_be_held_is_read_as_it_comes),
		TEST(after_what_came_wrong_all_is_asked_over_new_connections),
		TEST(a_cancellation_ends_four_in_flight),
		TEST(what_was_named_comes_while_nobody_reads),
	};

	for (size_t i = 0; i < LEN; i++)
		object[i] = (uint8_t)(i * 2654435761u >> 13);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
