/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include "unittest.h"

#include <limits.h>
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
	const struct pool_job job = {
		.parts = parts, .threads = threads, .slot_bytes = sizeof(struct part_slot),
		.work = square, .emit = take, .slot_clear = clear,
	};

	clear_tally = t;
	*err = (struct err){ 0 };
	return pool_in_order(&job, t, err);
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
	assert_in_range(pool_threads(0), 1, 64);
	assert_int_equal(pool_threads(3), 3);
	assert_int_equal(pool_threads(1000), 64);
}

/* --- without order --------------------------------------------------------- */

enum { TASKS = 5 };

struct load {
	atomic_uint open, at_once, most, done, cleared;
	unsigned fails_at, open_fails_at;	/* UINT_MAX: never */
};

struct one {
	unsigned number;
	struct load *load;
};

static int one_open(void *ctx, void *task, struct err *err)
{
	struct load *l = ctx;
	struct one *one = task;

	assert_null(one->load);
	one->load = l;
	return atomic_fetch_add(&l->open, 1) < l->open_fails_at
		? 0 : err_set(err, EX_SOFTWARE, "not opened");
}

static void one_clear(void *task)
{
	atomic_fetch_add(&((struct one *)task)->load->cleared, 1);
}

static int one_run(void *ctx, void *task, struct err *err)
{
	struct load *l = ctx;
	const struct one *one = task;
	unsigned now = atomic_fetch_add(&l->at_once, 1) + 1, seen = atomic_load(&l->most);

	while (now > seen && !atomic_compare_exchange_weak(&l->most, &seen, now))
		;
	atomic_fetch_add(&l->done, 1);
	atomic_fetch_sub(&l->at_once, 1);
	return one->number >= l->fails_at ? err_set(err, EX_IOERR, "task %u", one->number) : 0;
}

static void load_open(struct load *l, unsigned threads, struct pool **ret_pool)
{
	const struct pool_options options = {
		.threads = threads, .tasks = TASKS, .task_bytes = sizeof(struct one),
		.open = one_open, .clear = one_clear, .run = one_run, .ctx = l,
	};

	*l = (struct load){ .fails_at = UINT_MAX, .open_fails_at = UINT_MAX };
	if (pool_open(&options, ret_pool, NULL) < 0)
		fail();
}

/* How many were put in before one failed. */
static unsigned load_put(struct pool *pool, unsigned count)
{
	struct one *one;
	unsigned n = 0;

	while (n < count && (one = pool_take(pool))) {
		one->number = n++;
		pool_put(pool, one);
	}
	return n;
}

static void every_task_is_run_once_and_no_more_at_once_than_there_are(void **state)
{
	(void)state;
	for (unsigned threads = 0; threads <= 8; threads++) {
		struct pool *pool;
		struct load l;

		load_open(&l, threads, &pool);
		assert_int_equal(load_put(pool, PARTS), PARTS);
		assert_int_equal(pool_drain(pool, NULL), 0);
		assert_int_equal(l.done, PARTS);
		assert_in_range(l.most, 1, threads < 1 ? 1 : threads < TASKS ? threads : TASKS);
		pool_close(pool);
		assert_int_equal(l.cleared, TASKS);
	}
}

static void a_run_that_fails_ends_the_taking_and_its_error_is_kept(void **state)
{
	(void)state;
	for (unsigned threads = 0; threads <= 8; threads++) {
		struct err err = { 0 };
		struct pool *pool;
		struct load l;

		load_open(&l, threads, &pool);
		l.fails_at = 77;
		assert_in_range(load_put(pool, PARTS), 78, 77 + TASKS);
		assert_int_equal(pool_drain(pool, &err), -1);
		assert_int_equal(err.exit, EX_IOERR);
		assert_memory_equal(err.text, "task ", 5);
		assert_null(pool_take(pool));
		pool_close(pool);
	}
}

static void a_task_is_one_callers_until_it_is_given_back_and_not_run_then(void **state)
{
	struct pool *pool;
	struct load l;

	(void)state;
	load_open(&l, 2, &pool);
	for (unsigned i = 0; i < 3 * TASKS; i++) {
		void *one = pool_take(pool), *other = pool_take(pool);

		assert_ptr_not_equal(one, other);
		pool_give_back(pool, one);
		pool_give_back(pool, other);
	}
	assert_int_equal(pool_drain(pool, NULL), 0);
	assert_int_equal(l.done, 0);
	pool_close(pool);
}

static void a_task_that_cannot_be_opened_opens_no_pool(void **state)
{
	struct load l = { .open_fails_at = 2 };
	const struct pool_options options = {
		.threads = 2, .tasks = TASKS, .task_bytes = sizeof(struct one),
		.open = one_open, .clear = one_clear, .run = one_run, .ctx = &l,
	};
	struct pool *pool = NULL;
	struct err err;

	(void)state;
	assert_int_equal(pool_open(&options, &pool, &err), -1);
	assert_string_equal(err.text, "not opened");
	assert_null(pool);
	assert_int_equal(l.cleared, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_come_in_order_with_any_number_of_threads),
		cmocka_unit_test(the_lowest_part_that_fails_gives_the_error),
		cmocka_unit_test(an_error_of_emit_ends_the_job),
		cmocka_unit_test(no_parts_are_no_work),
		cmocka_unit_test(zero_threads_stand_for_the_processors),
		cmocka_unit_test(every_task_is_run_once_and_no_more_at_once_than_there_are),
		cmocka_unit_test(a_run_that_fails_ends_the_taking_and_its_error_is_kept),
		cmocka_unit_test(a_task_is_one_callers_until_it_is_given_back_and_not_run_then),
		cmocka_unit_test(a_task_that_cannot_be_opened_opens_no_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
