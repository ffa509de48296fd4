/* SPDX-License-Identifier: MIT */
/* Files and web servers as sources, good servers and bad ones. */
#include "testsource.h"

#include "prefetch.h"
#include "testdir.h"

static void a_file_gives_any_byte_and_none_beyond_its_end(void **state)
{
	struct testdir dir;
	struct bundle_source *s = NULL;
	struct err err = { 0 };
	char path[128], url[160];

	(void)state;
	testdir_make(&dir);
	testdir_put(&dir, "a b.zip", object, LEN);
	snprintf(path, sizeof path, "%s/a b.zip", dir.path);
	snprintf(url, sizeof url, "file://%s/a%%20b.zip", dir.path);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bundle_source_open(i ? url : path, &options, &s, &err), 0);
		assert_int_equal(s->size, LEN);
		assert_false(s->remote);
		expect_bytes(s, 5, 100);
		expect_bytes(s, 0, LEN);
		expect_read_fails(s, LEN - 1, 2, EX_DATAERR, "ends early");
		expect_read_fails(s, UINT64_MAX, 2, EX_DATAERR, "ends early");
		bundle_source_close(s);
	}
	assert_int_equal(bundle_source_open("file:///nowhere/b.zip", &options, &s, &err), -1);
	assert_int_equal(err.exit, EX_NOINPUT);
	testdir_remove(&dir);
}

static void a_run_is_one_request_and_so_is_what_is_small_and_near(void **state)
{
	struct testserver server;
	struct bundle_source *s = open_served(&server);
	unsigned requests;

	(void)state;
	assert_true(s->remote && s->size == LEN);
	assert_int_equal(server.count->requests, 1);
	expect_bytes(s, LEN - 22, 22);
	expect_bytes(s, LEN - 65557, 65557);
	assert_int_equal(server.count->requests, 1);
	for (uint64_t at = 0; at < 16000; at += 1000)
		expect_bytes(s, at, 100);
	assert_int_equal(server.count->requests, 2);
	s->run(s, 100000, 500000);
	for (uint64_t at = 100000; at < 600000; at += 50000)
		expect_bytes(s, at, 40000);
	assert_int_equal(server.count->requests, 3);
	assert_int_equal(s->fetched(s, &requests), 66 * 1024 + 16 * 1024 + 500000);
	assert_int_equal(requests, 3);
	expect_read_fails(s, LEN - 1, 2, EX_DATAERR, "ends early");
	bundle_source_close(s);
	assert_int_equal(server.count->connections, 1);
	testserver_stop(&server);
}

/* With what lies near by in one request, and all of it with the first that is read. */
static void what_is_needed_soon_is_fetched_at_once(void **state)
{
	static const struct source_range soon[] = { { 1000, 100 }, { 1200, 50 }, { 300000, 70000 },
						    { 700000, 10 }, { LEN - 50, 50 } };
	struct testserver server;
	struct bundle_source *s = open_served(&server);

	(void)state;
	s->need(s, soon, ARRAY_SIZE(soon));
	s->need(s, soon, ARRAY_SIZE(soon));
	assert_int_equal(server.count->requests, 1);
	expect_bytes(s, 700000, 10);
	assert_int_equal(server.count->requests, 1 + 3);
	for (size_t i = 0; i < 3; i++)
		expect_bytes(s, soon[i].offset, (size_t)soon[i].len);
	expect_bytes(s, LEN - 50, 50);		/* that was here before */
	assert_int_equal(server.count->requests, 1 + 3);
	expect_bytes(s, 300000, 70000);		/* and is not held for ever */
	assert_int_equal(server.count->requests, 1 + 4);
	s->need(s, soon, 1);
	s->anew(s);
	s->need(s, &(struct source_range){ 100000, PREFETCH_BYTES + 1 }, 1);
	expect_bytes(s, 100000, 10);		/* no more than a window */
	assert_in_range(server.count->bytes, 0, 66 * 1024 + 250 + 2 * 70000 + 10 + 16 * 1024);
	bundle_source_close(s);
	testserver_stop(&server);
}

static void a_link_that_drops_every_5000_bytes_still_finishes(void **state)
{
	struct testserver server;
	struct bundle_source *s;

	(void)state;
	serve.drop_every = 5000;
	s = open_served(&server);
	s->run(s, 10, 400000);
	expect_bytes(s, 10, 400000);
	/* Nothing twice: the end of the object, and the run. */
	assert_in_range(server.count->bytes, 66 * 1024 + 400000, 66 * 1024 + 400000);
	assert_in_range(retries, 90, 100);
	bundle_source_close(s);
	testserver_stop(&server);
}

static void a_connection_that_is_reset_midway_is_taken_up_again(void **state)
{
	struct testserver server;
	struct bundle_source *s;

	(void)state;
	serve.drop_every = 50000;
	serve.reset = true;
	s = open_served(&server);
	s->run(s, 10, 400000);
	expect_bytes(s, 10, 400000);
	assert_in_range(retries, 8, 30);
	bundle_source_close(s);
	testserver_stop(&server);
}

static void a_server_that_is_busy_for_a_while_is_asked_again(void **state)
{
	struct testserver server;
	struct bundle_source *s;

	(void)state;
	serve.how = SERVE_503;
	serve.from = 2;
	serve.until = 4;
	s = open_served(&server);
	s->run(s, 0, 100000);
	expect_bytes(s, 0, 100000);
	assert_int_equal(server.count->requests, 4);
	bundle_source_close(s);
	testserver_stop(&server);
}

static void of_a_server_without_ranges_all_is_fetched_once_and_is_at_hand_then(void **state)
{
	static const enum serve how[] = { SERVE_WHOLE, SERVE_CHUNKED };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		struct testserver server;
		struct bundle_source *s;
		unsigned requests;

		serve.how = how[i];
		s = open_served(&server);
		assert_true(!s->remote && s->size == LEN);
		assert_true(!s->anew && !s->run);
		testserver_stop(&server);
		expect_bytes(s, LEN - 100, 100);
		expect_bytes(s, 0, LEN);
		expect_bytes(s, 10, 100);
		expect_read_fails(s, LEN - 1, 2, EX_DATAERR, "ends early");
		expect_read_fails(s, UINT64_MAX, 2, EX_DATAERR, "ends early");
		/* For the end, and for the first byte. */
		assert_int_equal(s->fetched(s, &requests), LEN);
		assert_int_equal(requests, 2);
		bundle_source_close(s);
	}
}

/* What came is read again and dropped: such a server knows no other way. */
static void a_server_without_ranges_that_breaks_off_is_read_again(void **state)
{
	struct testserver server;
	struct bundle_source *s;

	(void)state;
	serve.how = SERVE_WHOLE;
	serve.drop_every = 300000;
	serve.drops = 3;
	s = open_served(&server);
	assert_int_equal(retries, 2);	/* the first answer was to a range, and not taken */
	expect_bytes(s, 0, LEN);
	bundle_source_close(s);
	testserver_stop(&server);
}

static void what_cannot_be_spooled_is_refused_with_the_ways_out(void **state)
{
	static const char huge[] = "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\nPK";
	static const char *const script[] = { huge, huge, NULL };
	static const struct { const char *directory; int exit; const char *words[4]; } rows[] = {
		{ "/nowhere/at/all", EX_CONFIG, { "failed to make a file in spool-dir = /nowhere/at/all" } },
		{ "/tmp", EX_IOERR, { "failed to spool the bundle in /tmp: no room for "
				      "9000000000000000000 bytes", "are free; make room there",
				      "spool-dir in slotboot.conf", "serve the bundle with byte ranges" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct testserver server;
		struct bundle_source *s = NULL;
		struct err err = { 0 };

		testserver_start(&server, script);
		options.spool = rows[i].directory;
		assert_int_equal(bundle_source_open(server.url, &options, &s, &err), -1);
		for (size_t k = 0; k < 4 && rows[i].words[k]; k++)
			if (err.exit != rows[i].exit || !strstr(err.text, rows[i].words[k]))
				fail_msg("%d: %s", err.exit, err.text);
		assert_null(s);
		testserver_stop(&server);
	}
}

/* For one whose bytes are wrong: neither the connection nor what is held of it is used again. */
static void what_is_fetched_anew_comes_over_a_new_connection(void **state)
{
	struct testserver server;
	struct bundle_source *s;

	(void)state;
	s = open_served(&server);
	expect_bytes(s, LEN - 100, 100);
	expect_bytes(s, 1000, 100);
	s->run(s, 2000, 200000);
	expect_bytes(s, 2000, 200000);
	assert_int_equal(server.count->requests, 3);
	assert_int_equal(server.count->connections, 1);
	s->anew(s);
	expect_bytes(s, 102000, 100000);
	expect_bytes(s, 1000, 100);
	expect_bytes(s, LEN - 100, 100);
	assert_int_equal(server.count->requests, 6);
	assert_int_equal(server.count->connections, 2);
	bundle_source_close(s);
	testserver_stop(&server);
}

static void an_empty_object_is_told(void **state)
{
	static const char *const script[] = {
		"HTTP/1.1 416 No\r\nContent-Range: bytes */0\r\nContent-Length: 0\r\n\r\n", NULL };
	struct testserver server;
	struct bundle_source *s = NULL;
	struct err err = { 0 };

	(void)state;
	testserver_start(&server, script);
	assert_int_equal(bundle_source_open(server.url, &options, &s, &err), -1);
	assert_int_equal(err.exit, EX_DATAERR);
	assert_non_null(strstr(err.text, "it is empty"));
	testserver_stop(&server);
}

static void a_drip_of_single_bytes_ends_with_the_deadline(void **state)
{
	static const char *const script[] = {
		"HTTP/1.1 206 Part\r\nContent-Range: bytes 0-99/100\r\nContent-Length: 100\r\n\r\nP",
		HANG, NULL };

	struct testserver server;
	struct bundle_source *s = NULL;
	struct err err = { 0 };

	(void)state;
	testserver_start(&server, script);
	testclock_count = server.count;
	testclock_hangs_at = 2;
	assert_int_equal(bundle_source_open(server.url, &options, &s, &err), -1);
	assert_int_equal(err.exit, EX_UNAVAILABLE);
	assert_non_null(strstr(err.text, "the transfer did not end in time"));
	testserver_stop(&server);
}

/* libcurl's own limits are for headers alone, or, in Debian 13, for the number of lines, too: these are long. */
static void trailers_without_end_are_given_up(void **state)
{
	static char script_text[2 << 20];
	const char *script[] = { script_text, NULL };
	struct testserver server;
	struct bundle_source *s = NULL;
	struct err err = { 0 };
	size_t n;

	(void)state;
	n = (size_t)snprintf(script_text, sizeof script_text, "HTTP/1.1 206 Part\r\n"
			     "Content-Range: bytes 0-99/100\r\nTransfer-Encoding: chunked\r\n\r\n"
			     "1\r\nP\r\n0\r\n");
	while (n + 1100 < sizeof script_text)
		n += (size_t)snprintf(script_text + n, sizeof script_text - n, "X-%zu: %01000d\r\n", n, 0);
	testserver_start(&server, script);
	assert_int_equal(bundle_source_open(server.url, &options, &s, &err), -1);
	assert_int_equal(err.exit, EX_UNAVAILABLE);
	if (!strstr(err.text, "headers or trailers without end"))
		fail_msg("%s", err.text);
	assert_int_equal(server.count->connections, 1);
	testserver_stop(&server);
}

#define TEST(name) cmocka_unit_test_setup(name, each_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_gives_any_byte_and_none_beyond_its_end),
		TEST(a_run_is_one_request_and_so_is_what_is_small_and_near),
		TEST(what_is_needed_soon_is_fetched_at_once),
		TEST(a_link_that_drops_every_5000_bytes_still_finishes),
		TEST(a_connection_that_is_reset_midway_is_taken_up_again),
		TEST(a_server_that_is_busy_for_a_while_is_asked_again),
		TEST(of_a_server_without_ranges_all_is_fetched_once_and_is_at_hand_then),
		TEST(a_server_without_ranges_that_breaks_off_is_read_again),
		TEST(what_cannot_be_spooled_is_refused_with_the_ways_out),
		TEST(what_is_fetched_anew_comes_over_a_new_connection),
		TEST(an_empty_object_is_told),
		TEST(trailers_without_end_are_given_up),
		TEST(a_drip_of_single_bytes_ends_with_the_deadline),
	};

	return TESTSOURCE_RUN(tests);
}
