/* SPDX-License-Identifier: MIT */
/* A UKI without its large parts: what is taken out, what is hashed, and what a change of
 * the file in between does. */
#include "hollow.h"

#include "testdir.h"
#include "testindex.h"
#include "testuki.h"
#include "io.h"

#include <errno.h>
#include <openssl/sha.h>
#include <sys/stat.h>

struct fixture {
	struct testdir dir;
	struct testuki uki;
	struct hollow h;
	struct memfile out;
};

static void put(struct fixture *f)
{
	testdir_put(&f->dir, "uki.efi", f->uki.bytes, sizeof f->uki.bytes);
}

static void begin(struct fixture *f)
{
	struct err err;

	put(f);
	assert_int_equal(hollow_open(testdir_path(&f->dir, "uki.efi"), false, &f->h, &err), 0);
	assert_int_equal(memfile_open("out", &f->out), 0);
}

static void make(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	testdir_make(&f->dir);
	testuki_make(&f->uki, "257");
	(void)testuki_text(&f->uki, ".cmdline", "quiet");
	(void)testuki_text(&f->uki, ".initrd", "initrd");
	(void)testuki_text(&f->uki, ".ucode", "microcode");
}

static void end(struct fixture *f)
{
	hollow_close(&f->h);
	memfile_close(&f->out);
	testdir_remove(&f->dir);
}

static void fill(struct fixture *f)
{
	struct err err;

	assert_int_equal(hollow_fill(&f->h, &err), 0);
	assert_true(f->h.is_hashed);
}

static void digest_is(const struct fixture *f, const struct testuki *of)
{
	uint8_t want[32];

	(void)SHA256(of->bytes, sizeof of->bytes, want);
	assert_memory_equal(f->h.sha256, want, 32);
}

static void section(const struct fixture *f, unsigned index, uint64_t *ret_at, uint64_t *ret_size)
{
	const uint8_t *h = f->uki.bytes + TESTUKI_TABLE_AT + 40 * index;

	*ret_at = le32_get(h + 20);
	*ret_size = le32_get(h + 8);
}

static int place(struct fixture *f, unsigned index)
{
	uint64_t at, size;

	section(f, index, &at, &size);
	return hollow_place(&f->h, at, size, &f->out);
}

/* Sections of make(), in its order. */
enum { LINUX, SDMAGIC, CMDLINE, INITRD, UCODE };

static void large_parts_are_left_out_and_the_digest_is_the_whole_files(void **state)
{
	struct fixture f;
	uint8_t got[TESTUKI_KERNEL + 8] = { 0 };

	(void)state;
	make(&f);
	begin(&f);
	assert_int_equal(f.h.count, 3);
	assert_int_equal(f.h.rest.size, sizeof f.uki.bytes);
	assert_int_equal(pread_full(f.h.rest.fd, got, 8, TESTUKI_DATA_AT), 0);
	assert_memory_equal(got, "\0\0\0\0\0\0\0\0", 8);
	assert_int_equal(memfile_write(&f.out, "abc", 3), 0);
	assert_int_equal(place(&f, INITRD), 1);
	assert_int_equal(place(&f, LINUX), 1);		/* not in the file's order */
	assert_int_equal(place(&f, SDMAGIC), 0);
	fill(&f);
	digest_is(&f, &f.uki);
	assert_int_equal(f.out.size, 3 + 6 + TESTUKI_KERNEL);
	assert_int_equal(pread_full(f.out.fd, got, 9 + 8, 0), 0);
	assert_memory_equal(got, "abcinitrd\x90", 10);
	end(&f);
}

static void a_large_file_is_hashed_in_order(void **state)
{
	const size_t size = 11 * 1024 * 1024 + 333;	/* more pieces than wait at a time */
	uint8_t *bytes = malloc(size), want[32], *got = malloc(size);
	struct fixture f;
	uint8_t *h;

	(void)state;
	make(&f);
	h = testuki_header(&f.uki, INITRD);
	le32_put(h + 8, (uint32_t)(size - TESTUKI_BYTES - 100));
	le32_put(h + 16, (uint32_t)(size - TESTUKI_BYTES - 100));
	le32_put(h + 20, TESTUKI_BYTES);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i / 4096 * 7 + i);
	memcpy(bytes, f.uki.bytes, TESTUKI_BYTES);
	begin(&f);
	hollow_close(&f.h);
	testdir_put(&f.dir, "uki.efi", bytes, size);
	for (int placed = 0; placed < 2; placed++) {
		struct err err;

		assert_int_equal(hollow_open(testdir_path(&f.dir, "uki.efi"), false, &f.h, &err), 0);
		assert_int_equal(memfile_write(&f.out, "x", 1), 0);
		if (placed)
			assert_int_equal(place(&f, INITRD), 1);
		fill(&f);
		(void)SHA256(bytes, size, want);
		assert_memory_equal(f.h.sha256, want, 32);
		if (!placed)
			hollow_close(&f.h);
	}
	assert_int_equal(pread_full(f.out.fd, got, size - TESTUKI_BYTES - 100, 2), 0);
	assert_memory_equal(got, bytes + TESTUKI_BYTES, size - TESTUKI_BYTES - 100);
	free(bytes);
	free(got);
	end(&f);
}

static void what_is_hashed_is_what_is_in_memory_not_what_is_in_the_file(void **state)
{
	struct fixture f;
	struct testuki used, later;
	uint64_t at, size;

	(void)state;
	make(&f);
	used = later = f.uki;
	begin(&f);
	assert_int_equal(place(&f, INITRD), 1);
	/* Small parts and headers were taken before the change, the large ones after it. */
	section(&f, CMDLINE, &at, &size);
	later.bytes[at] ^= 1;
	later.bytes[0x30] ^= 1;
	section(&f, INITRD, &at, &size);
	later.bytes[at] ^= 1;
	used.bytes[at] ^= 1;
	section(&f, LINUX, &at, &size);		/* no place: hashed as it is read */
	later.bytes[at + 7] ^= 1;
	used.bytes[at + 7] ^= 1;
	testdir_put(&f.dir, "uki.efi", later.bytes, sizeof later.bytes);
	fill(&f);
	digest_is(&f, &used);
	end(&f);
}

/* .initrd is from TESTUKI_BYTES on, and has most of the bytes. */
static void chunks_are_copied_and_each_is_hashed(unsigned log)
{
	const size_t size = 5 * 1024 * 1024 + 333, initrd = size - TESTUKI_BYTES - 100;
	uint8_t *bytes = malloc(size), *got = malloc(size);
	struct chunkindex index;
	struct fixture f;
	struct err err;

	make(&f);
	le32_put(testuki_header(&f.uki, INITRD) + 8, (uint32_t)initrd);
	le32_put(testuki_header(&f.uki, INITRD) + 16, (uint32_t)initrd);
	le32_put(testuki_header(&f.uki, INITRD) + 20, TESTUKI_BYTES);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i / 4096 * 7 + i);
	memcpy(bytes, f.uki.bytes, TESTUKI_BYTES);
	testindex_make(&index, log, bytes, size);
	begin(&f);
	for (uint32_t bad = 0; bad <= index.count; bad++) {	/* the last time none is */
		hollow_close(&f.h);
		memfile_close(&f.out);
		if (bad < index.count)
			index.chunks[bad].sha256[31] ^= 1;
		testdir_put(&f.dir, "uki.efi", bytes, size);
		assert_int_equal(hollow_open(testdir_path(&f.dir, "uki.efi"), false, &f.h, &err), 0);
		assert_int_equal(memfile_open("out", &f.out), 0);
		assert_int_equal(memfile_write(&f.out, "x", 1), 0);
		assert_int_equal(place(&f, LINUX), 1);
		assert_int_equal(place(&f, INITRD), 1);
		f.h.index = &index;
		fill(&f);
		assert_int_equal(f.h.is_changed, bad < index.count);
		if (bad < index.count)
			index.chunks[bad].sha256[31] ^= 1;
	}
	assert_int_equal(pread_full(f.out.fd, got, TESTUKI_KERNEL + initrd, 1), 0);
	assert_memory_equal(got, bytes + TESTUKI_DATA_AT, TESTUKI_KERNEL);
	assert_memory_equal(got + TESTUKI_KERNEL, bytes + TESTUKI_BYTES, initrd);
	chunkindex_clear(&index);
	free(bytes);
	free(got);
	end(&f);
}

static void chunks_smaller_than_a_piece_are_copied_and_hashed(void **state)
{
	(void)state;
	chunks_are_copied_and_each_is_hashed(16);
}

static void chunks_larger_than_a_piece_are_copied_and_hashed(void **state)
{
	(void)state;
	chunks_are_copied_and_each_is_hashed(20);
}

static void a_file_that_shrinks_meanwhile_fails(void **state)
{
	struct fixture f;
	struct err err;

	(void)state;
	for (int way = 0; way < 4; way++) {
		struct chunkindex index;

		make(&f);
		testindex_make(&index, CHUNK_MIN_LOG, f.uki.bytes, sizeof f.uki.bytes);
		begin(&f);
		if (way & 1)
			assert_int_equal(place(&f, INITRD), 1);
		f.h.index = way & 2 ? &index : NULL;
		assert_int_equal(truncate(testdir_path(&f.dir, "uki.efi"), TESTUKI_DATA_AT), 0);
		assert_int_equal(hollow_fill(&f.h, &err), -1);
		chunkindex_clear(&index);
		assert_int_equal(err.exit, EX_IOERR);
		assert_false(f.h.is_hashed);
		end(&f);
	}
}

static void a_part_has_one_place(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	begin(&f);
	assert_int_equal(place(&f, INITRD), 1);
	errno = 0;
	assert_int_equal(place(&f, INITRD), -1);
	assert_int_equal(errno, EEXIST);
	hollow_unplace(&f.h);
	assert_int_equal(place(&f, INITRD), 1);
	end(&f);
}

/* Where .initrd lies, and how many parts there are then. */
static void what_shares_bytes_with_anything_is_no_part(void **state)
{
	const struct {
		uint32_t at, size;
		unsigned want;
	} rows[] = {
		{ TESTUKI_DATA_AT + 3 * TESTUKI_STEP, 6, 3 },
		{ TESTUKI_DATA_AT, TESTUKI_KERNEL, 1 },			/* all of .linux */
		{ TESTUKI_DATA_AT + TESTUKI_KERNEL - 1, 1, 1 },		/* its last byte */
		{ TESTUKI_DATA_AT + TESTUKI_KERNEL, 1, 3 },
		{ TESTUKI_DATA_AT + TESTUKI_STEP + 2, 1, 2 },		/* in .sdmagic */
		{ TESTUKI_DATA_AT - 1, TESTUKI_BYTES - TESTUKI_DATA_AT, 0 },
		{ TESTUKI_TABLE_AT + 40 * 5 - 1, 6, 2 },		/* in the headers */
		{ TESTUKI_TABLE_AT + 40 * 5, 6, 3 },
		{ 0, 6, 2 },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make(&f);
		le32_put(testuki_header(&f.uki, INITRD) + 8, rows[i].size);
		le32_put(testuki_header(&f.uki, INITRD) + 16, rows[i].size);
		le32_put(testuki_header(&f.uki, INITRD) + 20, rows[i].at);
		begin(&f);
		assert_int_equal(f.h.count, rows[i].want);
		fill(&f);
		digest_is(&f, &f.uki);
		end(&f);
	}
}

static void what_is_no_uki_is_taken_whole(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	f.uki.bytes[0] = 'x';
	begin(&f);
	assert_int_equal(f.h.count, 0);
	fill(&f);
	digest_is(&f, &f.uki);
	end(&f);
	make(&f);
	memset(f.uki.bytes, 0, sizeof f.uki.bytes);
	begin(&f);
	hollow_close(&f.h);
	testdir_put(&f.dir, "uki.efi", "", 0);
	assert_int_equal(hollow_open(testdir_path(&f.dir, "uki.efi"), false, &f.h, NULL), 0);
	fill(&f);
	assert_memory_equal(f.h.sha256, "\xe3\xb0\xc4\x42", 4);	/* of nothing */
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_parts_are_left_out_and_the_digest_is_the_whole_files),
		cmocka_unit_test(a_large_file_is_hashed_in_order),
		cmocka_unit_test(what_is_hashed_is_what_is_in_memory_not_what_is_in_the_file),
		cmocka_unit_test(chunks_smaller_than_a_piece_are_copied_and_hashed),
		cmocka_unit_test(chunks_larger_than_a_piece_are_copied_and_hashed),
		cmocka_unit_test(a_file_that_shrinks_meanwhile_fails),
		cmocka_unit_test(a_part_has_one_place),
		cmocka_unit_test(what_shares_bytes_with_anything_is_no_part),
		cmocka_unit_test(what_is_no_uki_is_taken_whole),
	};

	return cmocka_run_group_tests_name("hollow", tests, NULL, NULL);
}
