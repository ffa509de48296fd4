/* SPDX-License-Identifier: MIT */
/* What was read once is read again from a file, and the rest from where it was. */
#include "spool.h"

#include "testdir.h"
#include "io.h"

#include <string.h>

enum { LEN = 10000 };

/* A source that counts. */
struct counted {
	struct bundle_source source;
	uint64_t read_bytes, run, run_len, ahead, ahead_len;
	unsigned reads, runs, aheads, anews;
	bool *closed;
};

static uint8_t object[LEN];

static int counted_read(struct bundle_source *source, void *buf, size_t len, uint64_t offset,
			struct err *err)
{
	struct counted *c = (struct counted *)source;

	if (offset > LEN || len > LEN - offset)
		return err_set(err, EX_DATAERR, "it ends early");
	memcpy(buf, object + offset, len);
	c->read_bytes += len;
	c->reads++;
	return 0;
}

static void counted_run(struct bundle_source *source, uint64_t offset, uint64_t len)
{
	struct counted *c = (struct counted *)source;

	c->run = offset;
	c->run_len = len;
	c->runs++;
}

static void counted_ahead(struct bundle_source *source, uint64_t offset, uint64_t len)
{
	struct counted *c = (struct counted *)source;

	c->ahead = offset;
	c->ahead_len = len;
	c->aheads++;
}

static uint64_t counted_fetched(const struct bundle_source *source, unsigned *ret_requests)
{
	const struct counted *c = (const struct counted *)source;

	*ret_requests = c->reads;
	return c->read_bytes;
}

static void counted_anew(struct bundle_source *source)
{
	((struct counted *)source)->anews++;
}

static const char *counted_doubt(const struct bundle_source *source)
{
	(void)source;
	return "odd";
}

static void counted_close(struct bundle_source *source)
{
	*((struct counted *)source)->closed = true;
}

static void counted_open(struct counted *c, bool *closed)
{
	for (size_t i = 0; i < LEN; i++)
		object[i] = (uint8_t)(i * 2654435761u >> 13);
	*closed = false;
	*c = (struct counted){
		.source = { .size = LEN, .remote = true, .read = counted_read, .run = counted_run,
			    .ahead = counted_ahead,
			    .fetched = counted_fetched, .anew = counted_anew,
			    .doubt = counted_doubt, .close = counted_close },
		.closed = closed,
	};
}

static struct bundle_source *spooled(struct counted *c, const char *dir)
{
	struct bundle_source *s = NULL;
	struct err err = { 0 };

	if (spool_open(dir, &c->source, &s, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static void expect(struct bundle_source *s, uint64_t offset, size_t len)
{
	uint8_t buf[LEN];
	struct err err = { 0 };

	if (s->read(s, buf, len, offset, &err) < 0)
		fail_msg("%s", err.text);
	assert_memory_equal(buf, object + offset, len);
}

static void only_what_was_not_read_before_is_read_of_the_source(void **state)
{
	static const struct {
		uint64_t offset, len;
		bool is_kept;
	} rows[] = {
		{ 100, 50, false }, { 100, 50, true }, { 120, 10, true },
		{ 90, 20, false }, { 140, 20, false }, { 90, 70, true },	/* overlapping */
		{ 160, 40, false }, { 90, 110, true }, { 89, 2, false },	/* touching */
		{ 500, 10, false }, { 300, 10, false }, { 400, 10, false },
		{ 305, 200, false }, { 300, 210, true }, { 200, 100, false },
		{ 89, 421, true }, { 510, 1, false }, { LEN - 1, 1, false }, { LEN - 1, 1, true },
		{ 0, LEN, false }, { 0, LEN, true }, { 5000, 0, true },
	};
	struct counted c;
	bool closed;
	struct bundle_source *s;

	counted_open(&c, &closed);
	s = spooled(&c, *state);
	assert_true(s->remote && s->size == LEN);
	spool_keep(s);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		unsigned before = c.reads, requests;

		expect(s, rows[i].offset, rows[i].len);
		if ((c.reads == before) != rows[i].is_kept)
			fail_msg("row %zu: %u reads", i, c.reads - before);
		assert_int_equal(s->fetched(s, &requests), c.read_bytes);
	}
	bundle_source_close(s);
	assert_true(closed);
}

static void nothing_is_kept_before_it_is_wanted(void **state)
{
	struct counted c;
	bool closed;
	struct bundle_source *s;

	counted_open(&c, &closed);
	s = spooled(&c, *state);
	expect(s, 0, 100);
	spool_keep(s);
	expect(s, 0, 100);
	assert_int_equal(c.reads, 2);
	bundle_source_close(s);
}

static void a_run_is_one_request_for_what_is_missing_and_none_for_what_is_here(void **state)
{
	struct counted c;
	bool closed;
	struct bundle_source *s;

	counted_open(&c, &closed);
	s = spooled(&c, *state);
	spool_keep(s);
	s->run(s, 1000, 300);
	assert_int_equal(c.runs, 0);
	for (uint64_t at = 1000; at < 1300; at += 100)
		expect(s, at, 100);
	assert_int_equal(c.runs, 1);
	assert_int_equal(c.run, 1000);
	assert_int_equal(c.run_len, 300);
	s->run(s, 1000, 300);
	expect(s, 1000, 300);
	assert_int_equal(c.runs, 1);
	s->run(s, 1200, 400);		/* its first part is here */
	expect(s, 1200, 100);
	expect(s, 1300, 300);
	assert_int_equal(c.runs, 2);
	assert_int_equal(c.run, 1300);
	assert_int_equal(c.run_len, 300);
	s->run(s, 5000, 100);		/* something else is read instead */
	expect(s, 6000, 100);
	expect(s, 5000, 100);
	assert_int_equal(c.runs, 2);
	bundle_source_close(s);
}

static void what_is_named_ahead_is_handed_on_behind_the_run_that_is_missing(void **state)
{
	struct counted c;
	bool closed;
	struct bundle_source *s;

	counted_open(&c, &closed);
	s = spooled(&c, *state);
	spool_keep(s);
	for (int i = 0; i < 2; i++) {	/* the second time all of it is here */
		s->run(s, 1000, 100);
		s->ahead(s, 2000, 200);
		s->ahead(s, 3000, 300);
		assert_int_equal(c.aheads, 2 * i);
		expect(s, 1000, 100);
		assert_int_equal(c.runs, 1);
		assert_int_equal(c.aheads, 2);
		assert_true(c.ahead == 3000 && c.ahead_len == 300);
	}
	bundle_source_close(s);
}

static void what_came_wrong_is_dropped_and_read_again_and_kept(void **state)
{
	struct bundle_source *s;
	struct counted c;
	bool closed;

	counted_open(&c, &closed);
	s = spooled(&c, *state);
	spool_keep(s);
	expect(s, 0, 100);
	s->run(s, 100, 50);
	s->anew(s);
	assert_int_equal(c.anews, 1);
	expect(s, 0, 100);
	expect(s, 0, 100);
	assert_int_equal(c.reads, 2);
	expect(s, 100, 50);	/* what was announced before is forgotten */
	assert_int_equal(c.runs, 0);
	assert_string_equal(s->doubt(s), "odd");
	bundle_source_close(s);
}

static void without_the_directory_the_source_is_still_the_callers(void **state)
{
	struct bundle_source *s = NULL;
	struct err err = { 0 };
	struct counted c;
	bool closed;

	(void)state;
	counted_open(&c, &closed);
	assert_int_equal(spool_open("/nowhere/at/all", &c.source, &s, &err), -1);
	assert_int_equal(err.exit, EX_CONFIG);
	assert_non_null(strstr(err.text, "failed to make a file in spool-dir = /nowhere/at/all"));
	assert_false(closed);
}

static void a_full_file_system_is_named_with_the_ways_out(void **state)
{
	struct err err = { 0 };
	struct counted c;
	bool closed;
	struct bundle_source *s;

	counted_open(&c, &closed);
	s = spooled(&c, *state);
	assert_int_equal(spool_room(s, 0, &err), 0);
	assert_int_equal(spool_room(s, UINT64_MAX, &err), -1);
	assert_int_equal(err.exit, EX_IOERR);
	assert_non_null(strstr(err.text, *state));
	assert_non_null(strstr(err.text, "--verify-first=no"));
	bundle_source_close(s);
}

static void nothing_is_left_in_the_directory(void **state)
{
	struct counted c;
	bool closed;
	struct bundle_source *s;

	counted_open(&c, &closed);
	s = spooled(&c, *state);
	spool_keep(s);
	expect(s, 0, LEN);
	assert_int_equal(rmdir(*state), 0);	/* it is empty also while the spool is open */
	bundle_source_close(s);
	assert_int_equal(mkdir(*state, 0700), 0);
}

int main(void)
{
	static struct testdir dir;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(only_what_was_not_read_before_is_read_of_the_source, dir.path),
		cmocka_unit_test_prestate(nothing_is_kept_before_it_is_wanted, dir.path),
		cmocka_unit_test_prestate(a_run_is_one_request_for_what_is_missing_and_none_for_what_is_here, dir.path),
		cmocka_unit_test_prestate(what_is_named_ahead_is_handed_on_behind_the_run_that_is_missing, dir.path),
		cmocka_unit_test_prestate(what_came_wrong_is_dropped_and_read_again_and_kept, dir.path),
		cmocka_unit_test(without_the_directory_the_source_is_still_the_callers),
		cmocka_unit_test_prestate(a_full_file_system_is_named_with_the_ways_out, dir.path),
		cmocka_unit_test_prestate(nothing_is_left_in_the_directory, dir.path),
	};
	int failed;

	testdir_make(&dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	testdir_remove(&dir);
	return failed;
}
