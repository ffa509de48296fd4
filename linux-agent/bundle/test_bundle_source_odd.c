/* SPDX-License-Identifier: MIT */
/* What servers, and the caches before them, answer to another question than was asked. */
#include "testsource.h"

static void expect_open_fails(int exit, const char *why)
{
	struct testserver server;
	struct bundle_source *s = NULL;
	struct err err = { 0 };

	testserver_start_object(&server, &serve);
	assert_int_equal(bundle_source_open(server.url, &options, &s, &err), -1);
	assert_null(s);
	if (!strstr(err.text, why) || err.exit != exit)
		fail_msg("expected \"%s\", got exit %d: %s", why, err.exit, err.text);
	testserver_stop(&server);
}

/* Whatever a cache that missed, or one of several servers, does now and then. */
static const struct {
	enum serve how;
	const char *why;	/* if it does so for ever */
	unsigned requests;	/* then, beside the first; 0: not said */
} odd_answers[] = {
	{ SERVE_GROWN, "5 times in a row it changed on the server while it was read: 1000000 bytes, then 1000001", 5 },
	{ SERVE_WRONG_RANGE, "5 times in a row the server answered with another range than was asked for", 5 },
	{ SERVE_BARE, "5 times in a row the server answered with another range than was asked for", 5 },
	{ SERVE_WHOLE, "5 times in a row the server answered a request for a range with the whole of it", 5 },
	{ SERVE_CHUNKED, "a request for a range with the whole of it", 5 },
	{ SERVE_HTML, "with the whole of it; the server sent a page of HTML (Content-Type: text/html)", 5 },
	{ SERVE_GZIP, "with the whole of it; the server sent it with Content-Encoding: gzip", 5 },
	{ SERVE_LONGER, "a body of another length than the range", 5 },
	{ SERVE_SHORTER, "a body of another length than the range", 5 },
	{ SERVE_503, "gave up after", 0 },
	{ SERVE_RESET, "gave up after", 0 },
	{ SERVE_304, "the server answered 304 Not Modified", 1 },
	{ SERVE_404, "the server answered 404 Not Found", 1 },
	{ SERVE_416, "the server answered 416 Range Not Satisfiable", 1 },
};

static void a_server_that_answers_oddly_for_ever_is_given_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd_answers); i++) {
		struct testserver server;
		struct bundle_source *s;

		serve.how = odd_answers[i].how;
		serve.from = 2;
		s = open_served(&server);
		s->run(s, 1000, 100000);
		expect_read_fails(s, 1000, 100000, EX_UNAVAILABLE, odd_answers[i].why);
		if (odd_answers[i].requests)
			assert_int_equal(server.count->requests, 1 + odd_answers[i].requests);
		bundle_source_close(s);
		testserver_stop(&server);
	}
}

static void a_server_that_answers_oddly_now_and_then_is_asked_again(void **state)
{
	static const enum serve more[] = { SERVE_CUT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd_answers) + ARRAY_SIZE(more); i++) {
		struct testserver server;
		struct bundle_source *s;

		serve.how = i < ARRAY_SIZE(more) ? more[i] : odd_answers[i - ARRAY_SIZE(more)].how;
		if (serve.how == SERVE_304 || serve.how == SERVE_404 || serve.how == SERVE_416)
			continue;
		serve.from = 2;
		serve.every = 3;
		s = open_served(&server);
		/* More often than in a row would be the end. */
		for (uint64_t at = 0; at < 900000; at += 50000) {
			s->run(s, at, 40000);
			expect_bytes(s, at, 40000);
		}
		assert_int_equal(server.count->requests, 1 + 18 + 9);
		bundle_source_close(s);
		testserver_stop(&server);
	}
}

/* The first answer is the odd one: the second is about the size, the third is the end. */
static void a_server_without_suffix_ranges_is_asked_for_plain_ones(void **state)
{
	static const struct { enum serve how; unsigned until, requests; } rows[] = {
		{ SERVE_NO_SUFFIX, 0, 3 }, { SERVE_NO_SUFFIX_CHUNKED, 0, 3 },
		{ SERVE_NO_SUFFIX_400, 0, 3 }, { SERVE_NO_SUFFIX_416, 0, 3 },
		{ SERVE_NO_SUFFIX_501, 0, 3 }, { SERVE_WHOLE, 2, 3 }, { SERVE_CHUNKED, 2, 3 },
		{ SERVE_HTML, 2, 3 },
	};

	(void)state;
	serve.drop_every = 300000;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct testserver server;
		struct bundle_source *s;

		serve.how = rows[i].how;
		serve.until = rows[i].until;
		s = open_served(&server);
		assert_true(s->remote && s->size == LEN);
		assert_int_equal(server.count->requests, rows[i].requests);
		expect_bytes(s, LEN - 65557, 65557);
		assert_int_equal(server.count->requests, rows[i].requests);
		s->run(s, 0, 700000);
		expect_bytes(s, 0, 700000);
		assert_int_equal(server.count->requests, rows[i].requests + 3);
		bundle_source_close(s);
		testserver_stop(&server);
	}
}

/* And so is one that does not say how long the object is. */
static void a_server_whose_ranges_tell_no_size_is_read_as_a_whole(void **state)
{
	struct testserver server;
	struct bundle_source *s;

	(void)state;
	serve.how = SERVE_NO_TOTAL;
	s = open_served(&server);
	assert_true(!s->remote && s->size == LEN);
	expect_bytes(s, 0, LEN);
	assert_int_equal(server.count->requests, 3);
	bundle_source_close(s);
	testserver_stop(&server);
}

/* Their hashes say whether the bytes are right; if not, what was seen is told. */
static void other_validators_are_no_error_but_are_remembered(void **state)
{
	static const struct { enum serve how; const char *doubt; } rows[] = {
		{ SERVE_WELL, "" },
		{ SERVE_SWAPPED, "perhaps it changed on the server while it was read: ETag \"old\", then \"new\"" },
		{ SERVE_OLDER, "perhaps it changed on the server while it was read: Last-Modified Mon, 01 Jan" },
	};

	(void)state;
	serve.drop_every = 70000;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct testserver server;
		struct bundle_source *s;

		serve.how = rows[i].how;
		serve.from = 3;
		s = open_served(&server);
		s->run(s, 0, 100000);
		assert_string_equal(s->doubt(s), "");
		expect_bytes(s, 0, 100000);
		if (!strstr(s->doubt(s), rows[i].doubt) || !*s->doubt(s) != !*rows[i].doubt)
			fail_msg("%s", s->doubt(s));
		bundle_source_close(s);
		testserver_stop(&server);
	}
}

static void a_bad_first_answer_is_refused(void **state)
{
	static const struct {
		enum serve how;
		const char *why;
	} rows[] = {
		{ SERVE_WRONG_RANGE, "another range than was asked for" },
		{ SERVE_LONGER, "a body of another length than the range" },
		{ SERVE_304, "the server answered 304" },
		{ SERVE_404, "the server answered 404" },
		{ SERVE_416, "the server answered 416" },
		{ SERVE_503, "the server answered 503 Busy" },
		{ SERVE_RESET, "gave up after" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		serve.how = rows[i].how;
		expect_open_fails(EX_UNAVAILABLE, rows[i].why);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, each_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_server_that_answers_oddly_for_ever_is_given_up),
		TEST(a_server_that_answers_oddly_now_and_then_is_asked_again),
		TEST(a_server_without_suffix_ranges_is_asked_for_plain_ones),
		TEST(a_server_whose_ranges_tell_no_size_is_read_as_a_whole),
		TEST(other_validators_are_no_error_but_are_remembered),
		TEST(a_bad_first_answer_is_refused),
	};

	return TESTSOURCE_RUN(tests);
}
