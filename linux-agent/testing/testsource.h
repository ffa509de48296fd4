/* SPDX-License-Identifier: MIT */
/* For tests: an object of a server, or of a file, as a source. */
#pragma once

#include "bundle_source.h"

#include "fetch.h"
#include "testcage.h"
#include "testclock.h"
#include "testserver.h"
#include "io.h"

enum { LEN = 1000000 };

static uint8_t object[LEN];
static struct testobject serve;
static volatile int cancel;
static unsigned retries;

static inline void on_retry(void *ctx, const char *why, unsigned wait_ms)
{
	(void)ctx, (void)why, (void)wait_ms;
	retries++;
}

static struct fetch_options fetch_options = {
	.deadline_s = 300, .backoff_ms = 1, .cancel = &cancel, .retrying = on_retry,
	.clock = &testclock,
};
static struct bundle_source_options options = { .fetch = &fetch_options, .spool = "/tmp" };

static inline void expect_bytes(struct bundle_source *s, uint64_t offset, size_t len)
{
	_cleanup_free_ uint8_t *buf = malloc(len);
	struct err err = { 0 };

	if (s->read(s, buf, len, offset, &err) < 0)
		fail_msg("%s", err.text);
	assert_memory_equal(buf, object + offset, len);
}

static inline void expect_read_fails(struct bundle_source *s, uint64_t offset, size_t len, int exit,
			      const char *why)
{
	_cleanup_free_ uint8_t *buf = malloc(len);
	struct err err = { 0 };

	assert_int_equal(s->read(s, buf, len, offset, &err), -1);
	if (!strstr(err.text, why) || err.exit != exit)
		fail_msg("expected \"%s\", got exit %d: %s", why, err.exit, err.text);
}

static inline struct bundle_source *open_served(struct testserver *server)
{
	struct bundle_source *s = NULL;
	struct err err = { 0 };

	testserver_start_object(server, &serve);
	if (bundle_source_open(server->url, &options, &s, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static inline int each_setup(void **state)
{
	(void)state;
	cancel = 0;
	retries = 0;
	options.spool = "/tmp";
	testclock_reset();
	serve = (struct testobject){ .data = object, .len = LEN };
	return 0;
}

/* Before the first test. */
static inline void testsource_begin(void)
{
	for (size_t i = 0; i < LEN; i++)
		object[i] = (uint8_t)(i * 2654435761u >> 13);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
}

/* Everything twice: by this process itself, and by one without rights. */
#define TESTSOURCE_RUN(tests) testsource_run(#tests, tests, ARRAY_SIZE(tests))
static inline int testsource_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
	int bad;

	testsource_begin();
	fetch_options.sandbox = SANDBOX_NO;
	bad = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
	fetch_options.sandbox = SANDBOX_REQUIRE;
	return bad + (testcage_is_there() ? _cmocka_run_group_tests(name, tests, count, NULL, NULL) : 0);
}
