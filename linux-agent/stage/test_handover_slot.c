/* SPDX-License-Identifier: MIT */
/* From a slot's directory to what is staged: as of any UKI, but only of the one that was
 * installed. */
#include "handover.h"
#include "slot_uki.h"

#include "testdir.h"
#include "testuki.h"
#include "io.h"

#include <openssl/sha.h>

struct fixture {
	struct testdir dir;
	struct testuki uki;
	struct slot slot;
	struct uki_place place;
	struct slot_uki opened;
	struct handover h;
	struct err err;
};

static void put(struct fixture *f)
{
	testdir_put(&f->dir, "uki.efi", f->uki.bytes, sizeof f->uki.bytes);
}

static void install(struct fixture *f)
{
	put(f);
	f->slot = (struct slot){ .flags = SLOT_FLAG_DIGEST, .uki_size = sizeof f->uki.bytes };
	(void)SHA256(f->uki.bytes, sizeof f->uki.bytes, f->slot.uki_sha256);
}

static void make(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	testdir_make(&f->dir);
	f->place = (struct uki_place){ .esp = f->dir.path, .extra_dir = f->dir.path };
	testuki_make(&f->uki, "257");
	(void)testuki_text(&f->uki, ".initrd", "initrd-");
	(void)testuki_text(&f->uki, ".cmdline", "@1 root={slot}");
	(void)testuki_text(&f->uki, ".ucode", "microcode");
	(void)testuki_text(&f->uki, ".profile", "ID=main");
	(void)testuki_text(&f->uki, ".profile", "ID=other");
	(void)testuki_text(&f->uki, ".initrd", "other");
	(void)testuki_text(&f->uki, ".cmdline", "other");
}

static int open_it(struct fixture *f)
{
	const struct slot_uki_trust trust = { .slot = &f->slot, .keyring = "/nonexistent" };

	f->err = (struct err){ 0 };
	return slot_uki_open(f->dir.path, &trust, &f->opened, &f->err);
}

static int make_it(struct fixture *f)
{
	int r = handover_make(&f->opened.uki, &f->place, 1, false, &f->h, &f->err);

	if (r < 0)
		slot_uki_close(&f->opened);
	return r;
}

static int take(struct fixture *f)
{
	return open_it(f) < 0 ? -1 : make_it(f);
}

static void clear(struct fixture *f)
{
	handover_clear(&f->h);
	slot_uki_close(&f->opened);
}

static void refused(struct fixture *f, const char *want)
{
	assert_int_equal(f->err.exit, EX_DATAERR);
	if (!strstr(f->err.text, want))
		fail_msg("\"%s\" does not say \"%s\"", f->err.text, want);
}

static void same_file(const struct memfile *a, const struct memfile *b)
{
	uint8_t x[8192], y[8192];

	assert_int_equal(a->size, b->size);
	assert_true(a->size <= sizeof x);
	assert_int_equal(pread_full(a->fd, x, a->size, 0), 0);
	assert_int_equal(pread_full(b->fd, y, b->size, 0), 0);
	assert_memory_equal(x, y, a->size);
}

static void what_is_staged_is_that_of_any_uki(void **state)
{
	static const char *const stubs[] = { "252", "257", NULL };
	struct fixture f;
	struct handover plain;
	struct ukifile uki;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stubs); i++) {
		make(&f);
		if (i == 0) {			/* knows no profiles */
			testuki_make(&f.uki, stubs[i]);
			(void)testuki_text(&f.uki, ".initrd", "initrd");
			(void)testuki_text(&f.uki, ".ucode", "unused");
		}
		install(&f);
		assert_int_equal(take(&f), 0);
		assert_int_equal(f.opened.basis, SLOT_UKI_RECORD);
		assert_int_equal(ukifile_open_fd(testuki_memfd(&f.uki), "x", &uki, &f.err), 0);
		assert_int_equal(handover_make(&uki, &f.place, 1, false, &plain, &f.err), 0);
		same_file(&f.h.kernel, &plain.kernel);
		same_file(&f.h.initrd, &plain.initrd);
		assert_string_equal(f.h.cmdline, plain.cmdline);
		assert_int_equal(f.h.own_begin, plain.own_begin);
		assert_int_equal(f.h.own_end, plain.own_end);
		assert_int_equal(f.h.cmdline_max, plain.cmdline_max);
		ukifile_close(&uki);
		handover_clear(&plain);
		clear(&f);
		testdir_remove(&f.dir);
	}
}

/* Whatever it makes of the headers, texts or parts. */
static void any_changed_byte_is_told_as_a_change(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	install(&f);
	for (size_t i = 0; i < sizeof f.uki.bytes; i += i < 640 ? 1 : 509) {
		f.uki.bytes[i] ^= 0x55;
		put(&f);
		f.uki.bytes[i] ^= 0x55;
		assert_int_equal(take(&f), -1);
		refused(&f, "is not the UKI that was installed");
	}
	testdir_remove(&f.dir);
}

static void what_is_wrong_without_a_change_is_told_as_it_is(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	f.uki.bytes[0] = 'x';
	install(&f);
	assert_int_equal(take(&f), -1);
	refused(&f, "not a PE file");
	f.uki.bytes[0] = 'M';
	memset(f.uki.bytes + TESTUKI_DATA_AT, 'x', TESTUKI_KERNEL);
	install(&f);
	assert_int_equal(take(&f), -1);
	refused(&f, "its .linux is not a kernel");
	testdir_remove(&f.dir);
}

static void a_change_after_it_was_hashed_is_not_staged(void **state)
{
	struct fixture f;
	struct testuki uki;
	uint8_t kernel[TESTUKI_KERNEL];

	(void)state;
	make(&f);
	install(&f);
	uki = f.uki;
	assert_int_equal(open_it(&f), 0);
	memset(f.uki.bytes, 0, sizeof f.uki.bytes);
	put(&f);
	assert_int_equal(make_it(&f), 0);
	assert_string_equal(f.h.cmdline, "root=b");
	assert_int_equal(f.h.kernel.size, TESTUKI_KERNEL);
	assert_int_equal(pread_full(f.h.kernel.fd, kernel, sizeof kernel, 0), 0);
	assert_memory_equal(kernel, uki.bytes + TESTUKI_DATA_AT, sizeof kernel);
	clear(&f);
	testdir_remove(&f.dir);
}

static void a_failure_midway_is_told_as_it_is(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	install(&f);
	testdir_text(&f.dir, "large.cred", "");
	assert_int_equal(truncate(testdir_path(&f.dir, "large.cred"), 5LL << 30), 0);
	assert_int_equal(take(&f), -1);
	refused(&f, "large.cred into the initrd");
	testdir_remove(&f.dir);
}

static void profiles_that_share_a_part_are_refused(void **state)
{
	struct fixture f;

	(void)state;
	make(&f);
	memcpy(testuki_header(&f.uki, 7) + 8, testuki_header(&f.uki, 2) + 8, 32);
	install(&f);
	assert_int_equal(take(&f), -1);
	refused(&f, "sections .initrd and .initrd overlap");
	testdir_remove(&f.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_staged_is_that_of_any_uki),
		cmocka_unit_test(any_changed_byte_is_told_as_a_change),
		cmocka_unit_test(what_is_wrong_without_a_change_is_told_as_it_is),
		cmocka_unit_test(a_change_after_it_was_hashed_is_not_staged),
		cmocka_unit_test(a_failure_midway_is_told_as_it_is),
		cmocka_unit_test(profiles_that_share_a_part_are_refused),
	};

	return cmocka_run_group_tests_name("handover of a slot", tests, NULL, NULL);
}
