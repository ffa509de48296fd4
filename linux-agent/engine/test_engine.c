/* SPDX-License-Identifier: MIT */
/* The engine with targets that fail, lie or are too slow to cancel. What it fetches and reuses is
 * tested in test_engine.py. */
#include "engine.h"

#include "testbundle.h"
#include "testcage.h"

enum { LEN = 20 * 65536 + 100 };

static uint8_t target[LEN + 65536];
static uint64_t fails_at = UINT64_MAX, lies_at = UINT64_MAX, room = UINT64_MAX;
static uint64_t flush_every;
static unsigned writes, flushes, reads;
static bool flush_fails, ends_only, verify, prepared;
static size_t loses;	/* bytes that the lying write drops at its end; 0: all of them */
static volatile int cancel;
static enum sandbox sandbox;

static int target_write(void *ctx, const void *data, size_t len, uint64_t offset,
			struct err *err)
{
	(void)ctx;
	(void)__atomic_add_fetch(&writes, 1, __ATOMIC_RELAXED);
	if (offset == fails_at)
		return err_set(err, EX_IOERR, "sector %llu is bad",
			       (unsigned long long)offset / 512);
	if (offset != lies_at)
		memcpy(target + offset % room, data, len);
	else if (loses)
		memcpy(target + offset, data, len - loses);
	return 0;
}

static int target_flush(void *ctx, struct err *err)
{
	(void)ctx;
	(void)__atomic_add_fetch(&flushes, 1, __ATOMIC_RELAXED);
	return flush_fails ? err_set(err, EX_IOERR, "the flush fails") : 0;
}

static int target_open(void *ctx, const char *path, enum disk_open how)
{
	(void)ctx, (void)path, (void)how;
	return 0;
}

static void target_close(void *ctx, int file)
{
	(void)ctx, (void)file;
}

static int64_t target_read(void *ctx, int file, void *buf, size_t len, uint64_t offset)
{
	(void)ctx, (void)file;
	(void)__atomic_add_fetch(&reads, 1, __ATOMIC_RELAXED);
	memcpy(buf, target + offset % room, len);
	return (int64_t)len;
}

static const struct disk target_disk = {
	.open = target_open, .close = target_close, .read = target_read,
};

/* Installs rootfs from zip_path into target. */
static int run(unsigned threads, bool check, struct err *err)
{
	const struct engine_options options = { .threads = threads, .cancel = &cancel,
						.flush_every = flush_every, .sandbox = sandbox };
	const struct engine_target to = { .write = target_write, .flush = target_flush,
					  .path = "slot", .ends_only = ends_only };
	struct engine_job job = { .disk = &target_disk, .verify = verify };
	struct engine_stats stats = { 0 };
	struct engine *engine = NULL;
	struct bundle *b;
	int r;

	*err = (struct err){ 0 };
	if (open_zip(&b, err) < 0)
		fail_msg("%s", err->text);
	job.bundle = b;
	job.payload = &bundle_manifest(b)->payloads[1];
	job.held[HELD_TARGET].path = "slot";
	writes = flushes = reads = 0;
	r = engine_prepare(&job, &options, &stats, &engine, err);
	prepared = r == 0;
	assert_int_equal(writes + flushes, 0);
	if (r == 0)
		r = engine_write(engine, &to, err);
	if (r == 0 && check)
		r = engine_check(engine, err);
	if (r == 0)
		assert_int_equal(stats.done, LEN);
	engine_close(engine);
	bundle_close(b);
	return r;
}

static void every_chunk_is_written_once_with_any_number_of_threads(void **state)
{
	static const unsigned threads[] = { 0, 1, 2, 7 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		memset(target, 0, sizeof target);
		if (run(threads[i], true, &err) < 0)
			fail_msg("%s", err.text);
		assert_memory_equal(target, good.rootfs, LEN);
		assert_int_equal(writes, 21);
	}
}

static void a_bad_sector_is_told_as_the_target_tells_it(void **state)
{
	static const uint64_t at[] = { 0, 65536, 10 * 65536, 20 * 65536 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(at); i++) {
		fails_at = at[i / 2];
		assert_int_equal(run(i % 2 ? 4 : 0, true, &err), -1);
		assert_int_equal(err.exit, EX_IOERR);
		assert_non_null(strstr(err.text, "is bad"));
	}
}

static void a_write_that_lies_is_found_by_reading_back(void **state)
{
	static const uint64_t at[] = { 0, 10 * 65536, 20 * 65536 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(at); i++) {
		memset(target, 0xee, sizeof target);
		lies_at = at[i / 2];
		assert_int_equal(run(i % 2 ? 4 : 0, true, &err), -1);
		expect_err(&err, EX_IOERR, "reads back differently");
	}
}

/* The write is lost entirely, or torn; the last chunk has 100 bytes. */
static void where_only_the_ends_are_read_back_a_lost_write_is_found_too(void **state)
{
	static const struct { uint64_t at; size_t loses; } lies[] = {
		{ 0, 0 }, { 10 * 65536, 0 }, { 10 * 65536, 1 }, { 20 * 65536, 0 }, { 20 * 65536, 1 },
	};
	struct err err;

	(void)state;
	ends_only = true;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(lies); i++) {
		memset(target, 0xee, sizeof target);
		lies_at = lies[i / 2].at;
		loses = lies[i / 2].loses;
		assert_int_equal(run(i % 2 ? 4 : 0, true, &err), -1);
		expect_err(&err, EX_IOERR, "reads back differently");
	}
	lies_at = UINT64_MAX;
	if (run(4, true, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(reads, 2 * 20 + 1);
}

/* 21 chunks make 5 segments of 4, and a last one that the caller flushes. Of the 20 chunks that
 * were read back before, chunks 0 and 16 are read again. */
static void every_segment_is_flushed_once_and_read_back_beside_the_rest(void **state)
{
	struct err err;

	(void)state;
	flush_every = 4 * 65536;
	for (unsigned threads = 0; threads < 4; threads += 3) {
		memset(target, 0, sizeof target);
		if (run(threads, true, &err) < 0)
			fail_msg("%s", err.text);
		assert_memory_equal(target, good.rootfs, LEN);
		assert_int_equal(flushes, 5);
		assert_in_range(reads, threads ? 21 : 23, 23);
	}
}

static void a_lie_is_found_before_the_rest_is_written(void **state)
{
	struct err err;

	(void)state;
	flush_every = 4 * 65536;
	lies_at = 65536;
	memset(target, 0, sizeof target);
	assert_int_equal(run(0, false, &err), -1);
	expect_err(&err, EX_IOERR, "reads back differently");
	assert_in_range(writes, 5, 6);
}

static void a_flush_that_fails_ends_the_work(void **state)
{
	struct err err;

	(void)state;
	flush_every = 4 * 65536;
	flush_fails = true;
	for (unsigned threads = 0; threads < 4; threads += 3) {
		assert_int_equal(run(threads, false, &err), -1);
		expect_err(&err, EX_IOERR, "the flush fails");
	}
}

/* Each chunk reads back well at first, and a later write lands on it. */
static void a_medium_smaller_than_it_claims_is_found_after_the_last_flush(void **state)
{
	struct err err;

	(void)state;
	flush_every = 4 * 65536;
	room = 8 * 65536;
	assert_int_equal(run(0, false, &err), 0);
	assert_int_equal(run(0, true, &err), -1);
	expect_err(&err, EX_IOERR, "reads back differently");
}

/* The byte is in the last frame, before the seek table. */
static void spoil_last_chunk(void)
{
	struct testentry *frames = &good.entries[ENTRY_ROOTFS];

	frames->data[frames->len - 5] ^= 1;
	testbundle_zip(&good, zip_path);
}

static void a_wrong_first_chunk_is_found_by_preparing_and_a_wrong_later_one_is_not_written(void **state)
{
	struct testentry *frames = &good.entries[ENTRY_ROOTFS];
	struct err err;

	(void)state;
	frames->data[20] ^= 1;
	testbundle_zip(&good, zip_path);
	for (unsigned threads = 0; threads < 4; threads += 3) {
		assert_int_equal(run(threads, false, &err), -1);
		expect_err(&err, EX_DATAERR, "chunk 0");
		assert_false(prepared);
	}
	frames->data[20] ^= 1;
	spoil_last_chunk();
	memset(target, 0, sizeof target);
	for (unsigned threads = 0; threads < 4; threads += 3) {
		assert_int_equal(run(threads, false, &err), -1);
		expect_err(&err, EX_DATAERR, "chunk 20");
		assert_true(prepared);
		assert_int_equal(target[20 * 65536], 0);
	}
}

static void where_all_is_verified_a_wrong_last_chunk_is_found_by_preparing(void **state)
{
	struct err err;

	(void)state;
	verify = true;
	memset(target, 0, sizeof target);
	assert_int_equal(run(4, true, &err), 0);
	assert_memory_equal(target, good.rootfs, LEN);
	assert_int_equal(writes, 21);
	spoil_last_chunk();
	for (unsigned threads = 0; threads < 4; threads += 3) {
		assert_int_equal(run(threads, false, &err), -1);
		expect_err(&err, EX_DATAERR, "chunk 20");
		assert_false(prepared);
	}
}

static void a_cancellation_writes_nothing_more(void **state)
{
	struct err err;

	(void)state;
	cancel = 1;
	assert_int_equal(run(2, false, &err), -1);
	expect_err(&err, EX_TEMPFAIL, "cancelled by a signal");
	assert_int_equal(writes, 0);
}

static int engine_setup(void **state)
{
	(void)each_setup(state);
	testbundle_free(&good);
	testbundle_make(&good, &dir, LEN);
	testbundle_zip(&good, zip_path);
	fails_at = lies_at = room = UINT64_MAX;
	flush_every = 0;
	flush_fails = ends_only = verify = false;
	loses = 0;
	cancel = 0;
	return 0;
}

#define ENGINE_TEST(name) cmocka_unit_test_setup_teardown(name, engine_setup, each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENGINE_TEST(every_chunk_is_written_once_with_any_number_of_threads),
		ENGINE_TEST(a_bad_sector_is_told_as_the_target_tells_it),
		ENGINE_TEST(a_write_that_lies_is_found_by_reading_back),
		ENGINE_TEST(where_only_the_ends_are_read_back_a_lost_write_is_found_too),
		ENGINE_TEST(every_segment_is_flushed_once_and_read_back_beside_the_rest),
		ENGINE_TEST(a_lie_is_found_before_the_rest_is_written),
		ENGINE_TEST(a_flush_that_fails_ends_the_work),
		ENGINE_TEST(a_medium_smaller_than_it_claims_is_found_after_the_last_flush),
		ENGINE_TEST(a_wrong_first_chunk_is_found_by_preparing_and_a_wrong_later_one_is_not_written),
		ENGINE_TEST(where_all_is_verified_a_wrong_last_chunk_is_found_by_preparing),
		ENGINE_TEST(a_cancellation_writes_nothing_more),
	};

	/* The same with frames decompressed by processes without privileges. */
	const struct CMUnitTest caged[] = {
		ENGINE_TEST(every_chunk_is_written_once_with_any_number_of_threads),
		ENGINE_TEST(a_wrong_first_chunk_is_found_by_preparing_and_a_wrong_later_one_is_not_written),
		ENGINE_TEST(where_all_is_verified_a_wrong_last_chunk_is_found_by_preparing),
		ENGINE_TEST(a_cancellation_writes_nothing_more),
	};
	int bad = cmocka_run_group_tests(tests, setup, teardown);

	sandbox = SANDBOX_REQUIRE;
	return bad + (testcage_is_there() ? cmocka_run_group_tests(caged, setup, teardown) : 0);
}
