/* SPDX-License-Identifier: MIT */
/* Installs from a delta, as the engine's callers see it: what is fetched of a bundle on a web
 * server, what the slots contribute, and that the image is right even if either of them is
 * wrong. */
#include "testdelta.h"

/* --- BLOCKS ---------------------------------------------------------------- */

/* The last block is shorter, and never looked for. Both blocks of the last chunk are all of it. */
static void of_blocks_only_those_are_fetched_that_no_slot_holds(void **state)
{
	static const struct {
		size_t first, last;	/* blocks that the running slot does not hold */
		unsigned shift;		/* all others are this many blocks further on */
		unsigned fetched;	/* at most this many, including the last one */
		uint64_t rebuilt;	/* no byte of those */
	} rows[] = {
		{ 0, 0, 0, 2, 192 * BLOCK_BYTES }, { 40, 40, 0, 2, 192 * BLOCK_BYTES },
		{ 30, 40, 0, 12, 182 * BLOCK_BYTES },
		{ BLOCKS - 2, BLOCKS - 2, 0, 2, COUNT * CHUNK },
		{ 0, 0, 3, 4, 190 * BLOCK_BYTES },	/* what was shifted past the end is gone */
	};

	(void)state;
	running_is(false);
	blocks_put(bundle_begin(), BLOCKS, false, false);
	bundle_end();
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		size_t shift = rows[i / 2].shift * BLOCK_BYTES;
		struct engine_stats stats;

		threads = i % 2 ? 4 : 0;
		memset(target, 0xee, sizeof target);
		fill(old, LEN, 9);
		memcpy(old + shift, image, LEN - shift);
		for (size_t k = rows[i / 2].first; k <= rows[i / 2].last && !shift; k++)
			old[k * BLOCK_BYTES] ^= 1;
		stats = installed();
		assert_int_equal(stats.rebuilt, rows[i / 2].rebuilt);
		assert_int_equal(stats.wrong, 0);
		/* The frame of incompressible data is a few bytes longer than the data. */
		assert_in_range(planned_bytes, (rows[i / 2].fetched - 1) * BLOCK_BYTES,
				rows[i / 2].fetched * (BLOCK_BYTES + 16));
		assert_string_equal(warned, "");
	}
}

/* Sections of a UKI begin at any 512 bytes: what comes after a kernel of another size has moved by
 * a multiple of that. */
static void in_a_uki_a_block_is_found_wherever_a_section_may_have_moved_it(void **state)
{
	static const size_t shifts[] = { 0, 512, 1536, 4096 + 3584, 3 * CHUNK + 2048 };

	(void)state;
	running_is(false);
	blocks_put(bundle_begin(), BLOCKS, false, false);
	bundle_end();
	for (size_t i = 0; i < 2 * ARRAY_SIZE(shifts); i++) {
		size_t shift = shifts[i / 2], kept = (LEN - shift) / BLOCK_BYTES;
		struct engine_stats stats;

		threads = i % 2 ? 4 : 0;
		memset(target, 0xee, sizeof target);
		fill(old, LEN, 9);
		memcpy(old + shift, image, LEN - shift);
		is_uki = true;
		stats = installed();
		is_uki = false;
		assert_int_equal(stats.wrong, 0);
		assert_in_range(stats.rebuilt, kept * BLOCK_BYTES, (kept + 1) * BLOCK_BYTES);
		assert_in_range(planned_bytes, 0, (BLOCKS - kept + 1) * (BLOCK_BYTES + 16));
	}
	/* A file system has whole blocks only, so nothing else is looked for. */
	fill(old, LEN, 9);
	memcpy(old + 512, image, LEN - 512);
	assert_int_equal(installed().rebuilt, 0);
}

/* Its frames are fetched again, those of its blocks that no slot holds or all of them. */
static void a_chunk_that_repeats_comes_from_the_frames_of_the_first(void **state)
{
	(void)state;
	memcpy(image + 5 * CHUNK, image + 2 * CHUNK, CHUNK);
	memcpy(image + 9 * CHUNK, image + 2 * CHUNK, CHUNK);
	blocks_put(bundle_begin(), BLOCKS, false, false);
	bundle_end();
	for (int i = 0; i < 4; i++) {
		struct engine_stats stats;

		threads = i & 1 ? 4 : 0;
		memset(target, 0xee, sizeof target);
		memcpy(old, image, LEN);
		for (int chunk = 2; chunk < COUNT; chunk++)
			old[chunk * CHUNK + 3 * BLOCK_BYTES] ^= 1;	/* the fourth block is nowhere */
		if (i & 2)
			running_is(false);
		stats = installed();
		assert_int_equal(stats.wrong, 0);
		assert_int_equal(stats.rebuilt, i & 2 ? (193 - 10) * BLOCK_BYTES : 0);
		assert_in_range(planned_bytes, i & 2 ? 10 * BLOCK_BYTES : LEN,
				i & 2 ? 13 * (BLOCK_BYTES + 16) : LEN + BLOCKS * 16);
	}
}

/* A slot holds another block of the same id. */
static void a_block_that_is_another_costs_its_chunk_and_no_other(void **state)
{
	(void)state;
	running_is(false);
	blocks_put(bundle_begin(), 40, false, false);
	bundle_end();
	for (threads = 0; threads <= 4; threads += 4) {
		struct engine_stats stats;

		memset(target, 0xee, sizeof target);
		stats = installed();
		assert_int_equal(stats.wrong, 1);
		assert_int_equal(stats.rebuilt, (COUNT - 1) * CHUNK + BLOCK_BYTES);
	}
}

/* The block was found, but has changed by the time the chunk is made. */
static void a_slot_that_changes_after_it_was_looked_at_costs_bytes_and_not_the_image(void **state)
{
	struct engine_stats stats;

	(void)state;
	running_is(false);
	blocks_put(bundle_begin(), BLOCKS, false, false);
	bundle_end();
	scans_until_change = COUNT + 1;
	stats = installed();
	assert_in_range(stats.wrong, COUNT - 1, COUNT + 1);
	assert_in_range(stats.rebuilt, 0, 2 * CHUNK);
}

static void what_is_damaged_of_a_delta_is_told_and_the_whole_is_fetched(void **state)
{
	static const struct {
		bool blocks_index, base_index;
		const char *why;
	} rows[] = {
		{ true, false, "rootfs.4k.index is damaged or altered" },
		{ false, true, "rootfs.from-1.index is damaged or altered" },
	};
	static const size_t from[COUNT + 1] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct engine_stats stats;
		struct payload *p = bundle_begin();

		fill(old, LEN, 5);
		if (rows[i].base_index)
			base_put(p, old, from, true);
		else
			memcpy(old, image, LEN / 2);
		running_is(true);
		if (!rows[i].base_index)
			blocks_put(p, BLOCKS, rows[i].blocks_index, false);
		bundle_end();
		memset(target, 0xee, sizeof target);
		stats = installed();
		assert_int_equal(stats.rebuilt, 0);
		assert_in_range(planned_bytes, LEN, LEN + BLOCKS * 16);
		if (!strstr(warned, rows[i].why))
			fail_msg("expected \"%s\", got: %s", rows[i].why, warned);
	}
}

/* Without it no frame can be had. */
static void without_its_dictionary_nothing_is_written(void **state)
{
	struct engine_stats stats;
	struct err err;

	(void)state;
	running_is(false);
	blocks_put(bundle_begin(), BLOCKS, false, true);
	bundle_end();
	assert_int_equal(install(&stats, &err), -1);
	expect_err(&err, EX_DATAERR, "rootfs.dict is damaged or altered");
	for (size_t i = 0; i < LEN; i++)
		assert_int_equal(target[i], 0xee);
}

/* The manifest says that the running slot holds all of it, and it does not: the dictionary is
 * wanted after all. */
static void what_the_running_slot_holds_no_longer_is_fetched_with_its_dictionary(void **state)
{
	struct engine_stats stats;

	(void)state;
	running_is(true);
	blocks_put(bundle_begin(), BLOCKS, false, false);
	bundle_end();
	for (threads = 0; threads <= 4; threads += 4) {
		old[5 * CHUNK] ^= 1;
		memset(target, 0xee, sizeof target);
		stats = installed();
		assert_int_equal(stats.copied, LEN - CHUNK);
		old[5 * CHUNK] ^= 1;
	}
}

/* The index is not damaged, so fetching everything would not help. */
static void a_link_that_breaks_in_a_deltas_index_ends_the_install(void **state)
{
	static const int exits[] = { EX_UNAVAILABLE, EX_IOERR, EX_TEMPFAIL };
	struct engine_stats stats;
	struct err err;

	(void)state;
	running_is(false);
	blocks_put(bundle_begin(), BLOCKS, false, false);
	bundle_end();
	fail_offset = entry_offset("rootfs.4k.index");
	for (size_t i = 0; i < ARRAY_SIZE(exits); i++) {
		fail_exit = exits[i];
		assert_int_equal(install(&stats, &err), -1);
		expect_err(&err, exits[i], "the link is gone");
		assert_string_equal(warned, "");
	}
}

/* Nothing of a delta is read if there is no slot to apply it to. */
static void without_a_slot_to_look_into_no_delta_is_looked_at(void **state)
{
	struct engine_stats stats;

	(void)state;
	blocks_put(bundle_begin(), BLOCKS, false, false);
	bundle_end();
	fail_offset = entry_offset("rootfs.4k.index");
	fail_exit = EX_UNAVAILABLE;
	held[HELD_TARGET].path = NULL;
	stats = installed();
	assert_int_equal(stats.rebuilt + stats.kept + stats.copied, 0);
}

/* --- BASE ------------------------------------------------------------------ */

static void a_base_is_taken_where_a_slot_is_known_to_hold_it(void **state)
{
	static const struct {
		bool known, right;	/* whether its hash is known, and whether it is the one in
					 * the manifest */
		uint64_t rebuilt;
		uint64_t most;		/* bytes planned */
	} rows[] = {
		{ true, true, LEN, 6000 },
		{ false, true, 0, LEN + 2048 }, { true, false, 0, LEN + 2048 },
	};
	size_t from[COUNT + 1];

	(void)state;
	for (uint32_t i = 0; i <= COUNT; i++)
		from[i] = (size_t)i * CHUNK;
	for (size_t k = 0; k < LEN; k += CHUNK)
		old[k + 100] ^= 1;
	base_put(bundle_begin(), old, from, false);
	bundle_end();
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		struct engine_stats stats;

		threads = i % 2 ? 4 : 0;
		memset(target, 0xee, sizeof target);
		running_is(rows[i / 2].known);
		held[HELD_RUNNING].sha256[0] ^= !rows[i / 2].right;
		stats = installed();
		assert_int_equal(stats.rebuilt, rows[i / 2].rebuilt ? LEN - planned_bytes : 0);
		assert_in_range(planned_bytes, 0, rows[i / 2].most);
		assert_int_equal(stats.wrong, 0);
	}
}

/* If the regions are the whole chunk, only the index is fetched. */
static void a_chunk_that_only_moved_costs_no_byte(void **state)
{
	size_t from[COUNT + 1];
	struct engine_stats stats;

	(void)state;
	memcpy(old, image + CHUNK, LEN - CHUNK);
	memcpy(old + LEN - CHUNK, image, CHUNK);
	for (uint32_t i = 0; i <= COUNT; i++)
		from[i] = i == 0 ? LEN - CHUNK : (size_t)(i - 1) * CHUNK;
	base_put(bundle_begin(), old, from, false);
	bundle_end();
	running_is(true);
	stats = installed();
	assert_int_equal(stats.rebuilt, LEN);
	assert_int_equal(planned_bytes, 0);
}

/* --- in the target --------------------------------------------------------- */

/* The target holds the image with its chunks moved by so many, without what moves out of it. from:
 * where it has each chunk. */
static void target_is_shifted(int by, size_t from[COUNT + 1])
{
	fill(old, LEN, 3);
	for (int i = 0; i <= COUNT; i++) {
		int at = i + by;

		from[i] = at < 0 || at >= COUNT ? 0 : (size_t)at * CHUNK;
		if (at >= 0 && at < COUNT)
			memcpy(old + (size_t)at * CHUNK, image + (size_t)i * CHUNK, chunk_len((uint32_t)i));
	}
}

/* Writing a chunk destroys what a later one needs. That one is made from what is still there at
 * that time, or fetched. */
static void nothing_is_taken_from_where_the_target_is_overwritten_before(void **state)
{
	static const struct {
		int by;
		bool is_base;		/* otherwise in blocks */
		uint64_t least, most;	/* rebuilt */
	} rows[] = {
		{ 8, true, 4 * CHUNK, 5 * CHUNK }, { 8, false, 4 * CHUNK, 4 * CHUNK },
		/* too close: several chunks are made at a time */
		{ 1, true, 0, 0 }, { 1, false, 0, 0 },
		{ -1, true, 0, 0 }, { -1, false, 0, 0 }, { -8, true, 0, 0 }, { -8, false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		struct payload *p = bundle_begin();
		struct engine_stats stats;
		size_t from[COUNT + 1];

		threads = i % 2 ? 2 : 0;
		target_is_shifted(rows[i / 2].by, from);
		if (rows[i / 2].is_base)
			base_put(p, old, from, false);
		else
			blocks_put(p, BLOCKS, false, false);
		bundle_end();
		target_is(old);
		stats = installed();
		assert_in_range(stats.rebuilt, rows[i / 2].least, rows[i / 2].most);
		assert_int_equal(stats.wrong, 0);
	}
}

/* A block of a UKI may be in two chunks of the target, either of which may be overwritten. */
static void nothing_is_taken_from_two_chunks_of_which_one_is_overwritten_before(void **state)
{
	(void)state;
	blocks_put(bundle_begin(), BLOCKS, false, false);
	bundle_end();
	for (size_t i = 0; i < 4 * 10; i++) {
		size_t shift = i / 4 * CHUNK + 512;
		struct engine_stats stats;

		threads = i % 2 ? 2 : 0;
		fill(old, LEN, 9);
		if (i & 2)
			memcpy(old + shift, image, LEN - shift);
		else
			memcpy(old, image + shift, LEN - shift);
		target_is(old);
		is_uki = true;
		stats = installed();
		is_uki = false;
		assert_int_equal(stats.wrong, 0);
		/* Of each chunk the last block, which reaches into the next one. */
		assert_true(shift > 512 || !(i & 2) || planned_bytes >= COUNT * BLOCK_BYTES);
	}
}

#define DELTA_TEST(name) cmocka_unit_test_setup_teardown(name, delta_setup, each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DELTA_TEST(of_blocks_only_those_are_fetched_that_no_slot_holds),
		DELTA_TEST(in_a_uki_a_block_is_found_wherever_a_section_may_have_moved_it),
		DELTA_TEST(a_chunk_that_repeats_comes_from_the_frames_of_the_first),
		DELTA_TEST(a_block_that_is_another_costs_its_chunk_and_no_other),
		DELTA_TEST(a_slot_that_changes_after_it_was_looked_at_costs_bytes_and_not_the_image),
		DELTA_TEST(what_is_damaged_of_a_delta_is_told_and_the_whole_is_fetched),
		DELTA_TEST(without_its_dictionary_nothing_is_written),
		DELTA_TEST(what_the_running_slot_holds_no_longer_is_fetched_with_its_dictionary),
		DELTA_TEST(a_link_that_breaks_in_a_deltas_index_ends_the_install),
		DELTA_TEST(without_a_slot_to_look_into_no_delta_is_looked_at),
		DELTA_TEST(a_base_is_taken_where_a_slot_is_known_to_hold_it),
		DELTA_TEST(a_chunk_that_only_moved_costs_no_byte),
		DELTA_TEST(nothing_is_taken_from_where_the_target_is_overwritten_before),
		DELTA_TEST(nothing_is_taken_from_two_chunks_of_which_one_is_overwritten_before),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
