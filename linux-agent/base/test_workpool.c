/* SPDX-License-Identifier: MIT */
#include "workpool.h"

#include "unittest.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARTS = 500 };

struct tally {
	atomic_uint working, most_ahead;
	atomic_ullong emitted;
	uint64_t fail_work, fail_emit;	/* UINT64_MAX: nowhere */
	unsigned cleared;
	uint64_t next;			/* the part to be emitted next */
};

struct part_slot {
	uint64_t square;
	bool busy;
};

static struct tally *clear_tally;

static int square(void *ctx, uint64_t part, void *data, struct err *err)
{
	struct tally *t = ctx;
	struct part_slot *slot = data;
	unsigned ahead = (unsigned)(part - atomic_load(&t->emitted)), seen = atomic_load(&t->most_ahead);

	if (slot->busy)		/* not cmocka: this is another thread */
		abort();
	slot->busy = true;
	slot->square = part * part;
	while (ahead > seen && !atomic_compare_exchange_weak(&t->most_ahead, &seen, ahead))
		;
	if (part >= t->fail_work)
		return err_set(err, EX_DATAERR, "part %llu", (unsigned long long)part);
	return 0;
}

static int take(void *ctx, uint64_t part, void *data, struct err *err)
{
	struct tally *t = ctx;
	struct part_slot *slot = data;

	assert_true(part == t->next++);
	assert_true(slot->busy && slot->square == part * part);
	slot->busy = false;
	atomic_store(&t->emitted, part + 1);
	if (part == t->fail_emit)
		return err_set(err, EX_IOERR, "emit %llu", (unsigned long long)part);
	return 0;
}

static void clear(void *data)
{
	(void)data;
	clear_tally->cleared++;
}

static int run(struct tally *t, unsigned threads, uint64_t parts, struct err *err)
{
	const struct workpool_job job = {
		.parts = parts, .threads = threads, .slot_bytes = sizeof(struct part_slot),
		.work = square, .emit = take, .slot_clear = clear,
	};

	clear_tally = t;
	*err = (struct err){ 0 };
	return workpool_run(&job, t, err);
}

static void parts_come_in_order_with_any_number_of_threads(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 8; threads++) {
		struct tally t = { .fail_work = UINT64_MAX, .fail_emit = UINT64_MAX };
		struct err err;

		assert_int_equal(run(&t, threads, PARTS, &err), 0);
		assert_true(t.next == PARTS);
		assert_int_equal(t.cleared, threads + 2);
		assert_in_range(t.most_ahead, 0, threads + 2);
	}
}

static void the_lowest_part_that_fails_gives_the_error(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 8; threads++) {
		struct tally t = { .fail_work = 77, .fail_emit = UINT64_MAX };
		struct err err;

		assert_int_equal(run(&t, threads, PARTS, &err), -1);
		assert_string_equal(err.text, "part 77");
		assert_int_equal(err.exit, EX_DATAERR);
		assert_true(t.next == 77);
	}
}

static void an_error_of_emit_ends_the_job(void **state)
{
	struct tally t = { .fail_work = UINT64_MAX, .fail_emit = 9 };
	struct err err;

	(void)state;
	assert_int_equal(run(&t, 4, PARTS, &err), -1);
	assert_string_equal(err.text, "emit 9");
	assert_true(t.next == 10);
}

static void no_parts_are_no_work(void **state)
{
	struct tally t = { .fail_work = 0, .fail_emit = 0 };
	struct err err;

	(void)state;
	assert_int_equal(run(&t, 4, 0, &err), 0);
}

static void zero_threads_stand_for_the_processors(void **state)
{
	(void)state;
	assert_in_range(workpool_threads(0), 1, 64);
	assert_int_equal(workpool_threads(3), 3);
	assert_int_equal(workpool_threads(1000), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_come_in_order_with_any_number_of_threads),
		cmocka_unit_test(the_lowest_part_that_fails_gives_the_error),
		cmocka_unit_test(an_error_of_emit_ends_the_job),
		cmocka_unit_test(no_parts_are_no_work),
		cmocka_unit_test(zero_threads_stand_for_the_processors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
