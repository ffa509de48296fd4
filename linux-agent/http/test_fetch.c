/* SPDX-License-Identifier: MIT */
#include "fetch.h"

#include "testclock.h"
#include "testfetch.h"
#include "testserver.h"
#include "io.h"

#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
#define ANSWER(status) "HTTP/1.1 " status "\r\nConnection: close\r\nContent-Length: 5\r\n\r\nerror"
#define REDIRECT(status, to)                                                             \
	"HTTP/1.1 " status "\r\nLocation: " to "\r\nConnection: close\r\n"               \
	"Content-Length: 5\r\n\r\nmoved"

static volatile int cancel;
static int fd;			/* where bodies go */
static unsigned retries;
static unsigned waited_ms;
static char last_why[256];
static unsigned cancel_at;	/* the retry at which to cancel; 0: none */
static bool hanging;		/* the server never answers; the clock advances */

static void on_retry(void *ctx, const char *why, unsigned wait_ms)
{
	(void)ctx;
	if (++retries == cancel_at)
		cancel = 1;
	waited_ms += wait_ms;
	snprintf(last_why, sizeof last_why, "%s", why);
}

static struct fetch_options options(void)
{
	return (struct fetch_options){
		.deadline_s = 300, .backoff_ms = 10, .cancel = &cancel,
		.retrying = on_retry, .clock = &testclock,
	};
}

static void expect_body(const char *expected, uint64_t len)
{
	char body[64] = "";

	assert_int_equal(len, strlen(expected));
	assert_int_equal(lseek(fd, 0, SEEK_END), len);
	assert_int_equal(pread(fd, body, sizeof body, 0), len);
	assert_string_equal(body, expected);
}

/* Runs the script and expects the body of OK from its last answer. */
static void expect_hello(const char *const *script, unsigned connections)
{
	struct fetch_options o = options();
	struct err err = { 0 };
	struct testserver s;
	uint64_t len = 0;

	testserver_start(&s, script);
	if (fetch_to_fd(s.url, &o, fd, &len, &err) < 0)
		fail_msg("%s", err.text);
	expect_body("hello", len);
	assert_int_equal(s.count->connections, connections);
	testserver_stop(&s);
}

static void expect_fail(const char *url, const struct fetch_options *o, int exit, const char *why)
{
	struct err err = { 0 };
	uint64_t len = 4711;

	assert_int_equal(fetch_to_fd(url, o, fd, &len, &err), -1);
	assert_int_equal(len, 4711);
	if (!strstr(err.text, why) || err.exit != exit)
		fail_msg("expected \"%s\", got exit %d: %s", why, err.exit, err.text);
}

static void expect_script_fail(const char *const *script, const struct fetch_options *o,
			       unsigned connections, int exit, const char *why)
{
	struct testserver s;

	testserver_start(&s, script);
	testclock_count = hanging ? s.count : NULL;
	expect_fail(s.url, o, exit, why);
	testclock_count = NULL;
	assert_int_equal(s.count->connections, connections);
	testserver_stop(&s);
}

static void urls_are_told_from_paths(void **state)
{
	(void)state;
	assert_true(fetch_is_url("http://a/b"));
	assert_true(fetch_is_url("HTTPS://a/b"));
	assert_false(fetch_is_url("file:///a"));
	assert_false(fetch_is_url("/http://a"));
	assert_false(fetch_is_url("http:/a"));
	assert_false(fetch_is_url("ftp://a/b"));
	assert_false(fetch_is_url(""));
}

static void only_the_listed_statuses_are_transient(void **state)
{
	unsigned transient = 0;

	(void)state;
	for (long status = 100; status < 700; status++)
		transient += fetch_status_is_transient(status);
	assert_int_equal(transient, 7 + 80);
	assert_true(fetch_status_is_transient(408) && fetch_status_is_transient(425) &&
		    fetch_status_is_transient(429) && fetch_status_is_transient(500) &&
		    fetch_status_is_transient(502) && fetch_status_is_transient(504) &&
		    fetch_status_is_transient(520) && fetch_status_is_transient(599));
	assert_false(fetch_status_is_transient(501) || fetch_status_is_transient(505));
}

static void a_404_is_final_and_its_body_is_not_stored(void **state)
{
	static const char *const script[] = { ANSWER("404 Not Found"), OK, NULL };
	struct fetch_options o = options();

	(void)state;
	expect_script_fail(script, &o, 1, EX_UNAVAILABLE,
			   "/b.zip: the server answered 404 Not Found");
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
}

static void a_503_is_tried_again(void **state)
{
	static const char *const script[] = { ANSWER("503 Busy"), ANSWER("503 Busy"), OK, NULL };

	(void)state;
	expect_hello(script, 3);
	assert_int_equal(retries, 2);
	assert_string_equal(last_why, "the server answered 503 Busy");
}

static void a_429_without_retry_after_is_tried_again_in_our_own_time(void **state)
{
	static const char *const script[] = { ANSWER("429 Slow down"), OK, NULL };

	(void)state;
	expect_hello(script, 2);
	assert_in_range(waited_ms, 5, 10);
	assert_string_equal(last_why, "the server answered 429 Slow down");
}

static void each_pause_is_twice_the_last_less_at_most_a_half(void **state)
{
	static const char *const script[] = { ANSWER("500 a"), ANSWER("500 a"), ANSWER("500 a"),
					      ANSWER("500 a"), OK, NULL };

	(void)state;
	expect_hello(script, 5);
	assert_in_range(waited_ms, (10 + 20 + 40 + 80) / 2, 10 + 20 + 40 + 80);
}

static void retry_after_is_honoured_where_it_is_longer(void **state)
{
	static const char *const script[] = {
		"HTTP/1.1 429 Slow down\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
		"Connection: close\r\n\r\n", OK, NULL };

	(void)state;
	expect_hello(script, 2);
	assert_int_equal(waited_ms, 1000);
	assert_int_equal(testclock_ms, 1000);
}

static void a_retry_after_beyond_the_deadline_ends_it_at_once(void **state)
{
	static const char *const script[] = {
		"HTTP/1.1 503 Busy\r\nRetry-After: 86400\r\nContent-Length: 0\r\n"
		"Connection: close\r\n\r\n", OK, NULL };
	struct fetch_options o = options();

	(void)state;
	expect_script_fail(script, &o, 1, EX_UNAVAILABLE,
			   " s: the server answered 503 Busy");
	assert_int_equal(retries, 0);
}

static void a_body_cut_short_is_resumed_where_it_broke_off(void **state)
{
	static const char *const script[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "", OK, NULL };

	(void)state;
	expect_hello(script, 4);
	assert_int_equal(retries, 3);
}

static void redirects_are_followed_and_their_bodies_dropped(void **state)
{
	static const char *const script[] = { REDIRECT("301 Moved", "/one"),
					      REDIRECT("307 Moved", "two?x=1"), OK, NULL };

	(void)state;
	expect_hello(script, 3);
}

static void a_redirect_to_a_file_is_refused(void **state)
{
	static const char *const script[] = { REDIRECT("302 Found", "file:///etc/passwd"), NULL };
	struct fetch_options o = options();

	(void)state;
	expect_script_fail(script, &o, 1, EX_UNAVAILABLE,
			   "redirects to file:///etc/passwd, which is not allowed");
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
}

static void the_ninth_redirect_is_refused(void **state)
{
	static const char *const script[] = {
		REDIRECT("302 Found", "/"), REDIRECT("302 Found", "/"), REDIRECT("302 Found", "/"),
		REDIRECT("302 Found", "/"), REDIRECT("302 Found", "/"), REDIRECT("302 Found", "/"),
		REDIRECT("302 Found", "/"), REDIRECT("302 Found", "/"), REDIRECT("302 Found", "/"),
		OK, NULL };
	struct fetch_options o = options();

	(void)state;
	expect_script_fail(script, &o, 9, EX_UNAVAILABLE, "too many redirects");
	expect_hello(script + 1, 9);
}

static void a_redirect_without_a_target_is_final(void **state)
{
	static const char *const script[] = { ANSWER("304 Not Modified"), NULL };
	struct fetch_options o = options();

	(void)state;
	expect_script_fail(script, &o, 1, EX_UNAVAILABLE, "answered 304 Not Modified");
}

static void a_refused_connection_is_retried_until_the_deadline(void **state)
{
	struct fetch_options o = options();
	char url[64];
	int port;

	(void)state;
	close(testserver_listen(&port));
	snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
	o.deadline_s = 1;
	expect_fail(url, &o, EX_UNAVAILABLE, " s: Connection refused");
	/* 10, 20, 40, ... ms, of which up to half is random. */
	assert_in_range(retries, 6, 7);
	cancel_at = retries + 2;
	o.deadline_s = 300;
	expect_fail(url, &o, EX_TEMPFAIL, "cancelled by a signal");
	assert_int_equal(retries, cancel_at);
}

static void the_deadline_ends_a_transfer_that_hangs(void **state)
{
	static const char *const script[] = { HANG, NULL };
	struct fetch_options o = options();

	(void)state;
	hanging = true;
	expect_script_fail(script, &o, 1, EX_UNAVAILABLE,
			   "gave up after 1 try in 400 s: the transfer did not end in time");
	
}

static void cancel_now(void)
{
	if (hanging ? testclock_count->connections > 0 : retries > 0 && testclock_ms >= 1000)
		cancel = 1;
}

static void a_cancellation_ends_a_transfer_that_hangs(void **state)
{
	static const char *const script[] = { HANG, NULL };
	struct fetch_options o = options();

	(void)state;
	hanging = true;
	testclock_on_tick = cancel_now;
	expect_script_fail(script, &o, 1, EX_TEMPFAIL, "cancelled by a signal");
}

static void a_cancellation_ends_a_pause(void **state)
{
	static const char *const script[] = { ANSWER("503 Busy"), OK, NULL };
	struct fetch_options o = options();

	(void)state;
	o.deadline_s = 7200;
	o.backoff_ms = 3600 * 1000;
	testclock_on_tick = cancel_now;
	expect_script_fail(script, &o, 1, EX_TEMPFAIL, "cancelled by a signal");
	assert_int_equal(retries, 1);
	/* Within a tick. */
	assert_in_range(testclock_ms, 1000, 1100);
}

static void control_characters_of_the_server_do_not_reach_a_message(void **state)
{
	static const char *const script[] = { ANSWER("403 No\x1b[2J\x07way"), NULL };
	struct fetch_options o = options();

	(void)state;
	expect_script_fail(script, &o, 1, EX_UNAVAILABLE, "answered 403 No[2Jway");
}

static int each_setup(void **state)
{
	(void)state;
	cancel = 0;
	retries = waited_ms = cancel_at = 0;
	hanging = false;
	testclock_reset();
	last_why[0] = 0;
	fd = memfd_create("body", 0);
	return fd < 0 ? -1 : 0;
}

static int each_teardown(void **state)
{
	(void)state;
	close(fd);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	/* libcurl would send even requests to 127.0.0.1 through this machine's proxy. */
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, each_setup, each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(urls_are_told_from_paths),
		TEST(only_the_listed_statuses_are_transient),
		TEST(a_404_is_final_and_its_body_is_not_stored),
		TEST(a_503_is_tried_again),
		TEST(a_429_without_retry_after_is_tried_again_in_our_own_time),
		TEST(each_pause_is_twice_the_last_less_at_most_a_half),
		TEST(retry_after_is_honoured_where_it_is_longer),
		TEST(a_retry_after_beyond_the_deadline_ends_it_at_once),
		TEST(a_body_cut_short_is_resumed_where_it_broke_off),
		TEST(redirects_are_followed_and_their_bodies_dropped),
		TEST(a_redirect_to_a_file_is_refused),
		TEST(the_ninth_redirect_is_refused),
		TEST(a_redirect_without_a_target_is_final),
		TEST(a_refused_connection_is_retried_until_the_deadline),
		TEST(the_deadline_ends_a_transfer_that_hangs),
		TEST(a_cancellation_ends_a_transfer_that_hangs),
		TEST(a_cancellation_ends_a_pause),
		TEST(control_characters_of_the_server_do_not_reach_a_message),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
