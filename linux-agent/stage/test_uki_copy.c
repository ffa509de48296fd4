/* SPDX-License-Identifier: MIT */
/* A file copied into sealed memory: every byte is there, and what was copied is what
 * was hashed. */
#include "uki_copy.h"

#include "testdir.h"
#include "testindex.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

enum { LARGE = 5 * 1024 * 1024 + 333 };

struct fixture {
	uint8_t *bytes;
	size_t size;
	int fd;
	struct uki_copy copy;
	struct err err;
};

static void make(struct fixture *f, size_t size)
{
	*f = (struct fixture){ .bytes = malloc(size + 1), .size = size, .copy.file = MEMFILE_NONE };
	f->fd = memfd_create("file", MFD_CLOEXEC);
	assert_true(f->fd >= 0);
	for (size_t i = 0; i < size; i++)
		f->bytes[i] = (uint8_t)(i / 4096 * 7 + i);
	assert_int_equal(pwrite_full(f->fd, f->bytes, size, 0), 0);
}

static void end(struct fixture *f)
{
	memfile_close(&f->copy.file);
	(void)close(f->fd);
	free(f->bytes);
}

static int copy(struct fixture *f, const struct chunkindex *index)
{
	memfile_close(&f->copy.file);
	return uki_copy_make(f->fd, "x", f->size, index, &f->copy, &f->err);
}

static void is_the_file_and_sealed(const struct fixture *f)
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	uint8_t *got = malloc(f->size + 1);

	assert_int_equal(f->copy.file.size, f->size);
	assert_int_equal(lseek(f->copy.file.fd, 0, SEEK_END), f->size);
	assert_int_equal(fcntl(f->copy.file.fd, F_GET_SEALS) & seals, seals);
	assert_int_equal(pread_full(f->copy.file.fd, got, f->size, 0), 0);
	assert_memory_equal(got, f->bytes, f->size);
	free(got);
}

static void a_file_of_any_size_is_copied_and_hashed(void **state)
{
	static const size_t sizes[] = { 0, 1, 4095, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, LARGE };
	struct fixture f;
	uint8_t want[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make(&f, sizes[i]);
		assert_int_equal(copy(&f, NULL), 0);
		is_the_file_and_sealed(&f);
		(void)SHA256(f.bytes, f.size, want);
		assert_memory_equal(f.copy.sha256, want, 32);
		end(&f);
	}
}

/* Chunks smaller, as large, and larger than what is read at once; one wrong at a time. */
static void each_chunk_is_copied_and_hashed(void **state)
{
	static const unsigned logs[] = { 16, 18, 20 };
	struct chunkindex index;
	struct fixture f;

	(void)state;
	make(&f, LARGE);
	for (size_t i = 0; i < ARRAY_SIZE(logs); i++) {
		testindex_make(&index, logs[i], f.bytes, f.size);
		assert_int_equal(copy(&f, &index), 0);
		assert_false(f.copy.is_changed);
		is_the_file_and_sealed(&f);
		for (uint32_t bad = 0; bad < index.count; bad += index.count / 5) {
			index.chunks[bad].sha256[31] ^= 1;
			assert_int_equal(copy(&f, &index), 0);
			assert_true(f.copy.is_changed);
			index.chunks[bad].sha256[31] ^= 1;
		}
		chunkindex_clear(&index);
	}
	end(&f);
}

static void a_file_that_shrinks_meanwhile_fails(void **state)
{
	struct chunkindex index;
	struct fixture f;

	(void)state;
	make(&f, LARGE);
	testindex_make(&index, CHUNK_MIN_LOG, f.bytes, f.size);
	assert_int_equal(ftruncate(f.fd, LARGE - 1), 0);
	for (int by_chunks = 0; by_chunks < 2; by_chunks++) {
		assert_int_equal(copy(&f, by_chunks ? &index : NULL), -1);
		assert_int_equal(f.err.exit, EX_IOERR);
		assert_non_null(strstr(f.err.text, "failed to read x"));
		assert_int_equal(f.copy.file.fd, -1);
	}
	chunkindex_clear(&index);
	end(&f);
}

static void what_a_file_gets_meanwhile_is_left_out(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, LARGE);
	f.size -= 100;
	assert_int_equal(copy(&f, NULL), 0);
	is_the_file_and_sealed(&f);
	end(&f);
}

static void later_changes_of_the_file_do_not_reach_the_copy(void **state)
{
	struct fixture f;

	(void)state;
	make(&f, LARGE);
	assert_int_equal(copy(&f, NULL), 0);
	assert_int_equal(ftruncate(f.fd, 0), 0);
	is_the_file_and_sealed(&f);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_of_any_size_is_copied_and_hashed),
		cmocka_unit_test(each_chunk_is_copied_and_hashed),
		cmocka_unit_test(a_file_that_shrinks_meanwhile_fails),
		cmocka_unit_test(what_a_file_gets_meanwhile_is_left_out),
		cmocka_unit_test(later_changes_of_the_file_do_not_reach_the_copy),
	};

	return cmocka_run_group_tests_name("uki_copy", tests, NULL, NULL);
}
