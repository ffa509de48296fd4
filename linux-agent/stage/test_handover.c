/* SPDX-License-Identifier: MIT */
/* What a kexec hands over, against what systemd-stub 252 and 257 do (their own boots are
 * compared with it in ovmf-test/test_handover.py), and UKIs that are not as they should be. */
#include "testhandover.h"

#include <fcntl.h>

/* Everything there can be, in the wrong order. */
static void fill(struct fixture *f)
{
	(void)testuki_text(&f->uki, ".osrel", "ID=x\n");
	(void)testuki_text(&f->uki, ".pcrpkey", "KEY");
	(void)testuki_text(&f->uki, ".pcrsig", "{}");
	(void)testuki_text(&f->uki, ".initrd", "initrd");
	(void)testuki_text(&f->uki, ".ucode", "ucode");
	(void)testuki_text(&f->uki, ".uname", "6.1.0-1");
	(void)testuki_text(&f->uki, ".cmdline", "  quiet\tdebug \n");
	put(f, "uki.efi.extra.d/b.cred", "B");
	put(f, "uki.efi.extra.d/A.CRED", "A");
	put(f, "uki.efi.extra.d/.hidden.cred", "no");
	put(f, "uki.efi.extra.d/umlaut-\303\244.cred", "no");
	put(f, "uki.efi.extra.d/folder.cred/x", "no");
	put(f, "uki.efi.extra.d/one.sysext.raw", "S");
	put(f, "uki.efi.extra.d/two.confext.raw", "CONF");
	put(f, "loader/credentials/g.cred", "G");
	put(f, "loader/extensions/all.raw", "E");
	put_addon(f, "loader/addons/z.addon.efi",
		  (const char *const[][2]){ { ".cmdline", "global " }, { ".ucode", "uc-g" },
					    { ".initrd", "in-g" }, { NULL, NULL } });
	put_addon(f, "uki.efi.extra.d/a.addon.efi",
		  (const char *const[][2]){ { ".cmdline", " own\n" }, { ".ucode", "uc-o" },
					    { ".initrd", "in-o" }, { ".uname", "6.1.0" },
					    { NULL, NULL } });
}

static void stub_252_gets_what_it_knows(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "252.39-1~deb12u2");
	fill(&f);
	gives(&f, "  quiet debug",
	      "initrd\n"
	      EXTRA "40500 .extra/credentials=\n100400 .extra/credentials/A.CRED=A\n"
	      "100400 .extra/credentials/b.cred=B\n" TRAILER
	      EXTRA "40500 .extra/global_credentials=\n"
	      "100400 .extra/global_credentials/g.cred=G\n" TRAILER
	      EXTRA "40555 .extra/sysext=\n100444 .extra/sysext/one.sysext.raw=S\n"
	      "100444 .extra/sysext/two.confext.raw=CONF\n" TRAILER
	      EXTRA "100444 .extra/tpm2-pcr-signature.json={}\n" TRAILER
	      EXTRA "100444 .extra/tpm2-pcr-public-key.pem=KEY\n" TRAILER);
	end(&f);
}

#define ARCHIVES_257 \
	EXTRA "40500 .extra/credentials=\n100400 .extra/credentials/A.CRED=A\n" \
	"100400 .extra/credentials/b.cred=B\n" TRAILER \
	EXTRA "40500 .extra/global_credentials=\n" \
	"100400 .extra/global_credentials/g.cred=G\n" TRAILER \
	EXTRA "40555 .extra/sysext=\n100444 .extra/sysext/one.sysext.raw=S\n" TRAILER

#define EMBEDDED_257 \
	EXTRA "40555 .extra/confext=\n100444 .extra/confext/two.confext.raw=CONF\n" TRAILER \
	EXTRA "100444 .extra/tpm2-pcr-signature.json={}\n" TRAILER \
	EXTRA "100444 .extra/tpm2-pcr-public-key.pem=KEY\n" TRAILER \
	EXTRA "100444 .extra/os-release=ID=x\n\n" TRAILER

static void stub_257_gets_addons_microcode_and_more(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "257.13-1~deb13u1");
	fill(&f);
	gives(&f, "quiet debug global own",
	      "uc-ouc-gucode\ninitrd\n" ARCHIVES_257 EMBEDDED_257 "in-gin-o\n");
	assert_int_equal(f.h.own_begin, 8);
	assert_int_equal(f.h.own_end, 8 + 8 + 6);
	assert_null(f.h.ignored);
	end(&f);
}

static void a_stub_without_a_name_counts_as_the_newest(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, NULL);
	fill(&f);
	gives(&f, "quiet debug global own",
	      "uc-ouc-gucode\ninitrd\n" ARCHIVES_257
	      EXTRA "40555 .extra/global_sysext=\n100444 .extra/global_sysext/all.raw=E\n" TRAILER
	      EMBEDDED_257 "in-gin-o\n");
	end(&f);
}

static void each_feature_begins_with_its_version(void **state)
{
	static const struct {
		const char *stub, *cmdline, *first;
	} rows[] = {
		{ "253", "  quiet debug", "initrd" },
		{ "254.1", "quiet debug global own", "initrd" },
		{ "255", "quiet debug global own", "initrd" },
		{ "256.5", "quiet debug global own", "ucode" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fixture f;
		char text[8192];

		begin(&f, rows[i].stub);
		fill(&f);
		print_message("  %s\n", rows[i].stub);
		assert_int_equal(make(&f), 0);
		assert_string_equal(f.h.cmdline, rows[i].cmdline);
		describe(&f.h, text, sizeof text);
		assert_memory_equal(text, rows[i].first, strlen(rows[i].first));
		assert_null(strstr(text, "os-release"));
		assert_true(!strstr(text, ".extra/confext/") == (i < 3));
		end(&f);
	}
}

static void what_is_staged_is_sealed_and_exact(void **state)
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
	uint8_t want[TESTUKI_KERNEL], got[TESTUKI_KERNEL + 1];
	struct fixture f;

	(void)state;
	begin(&f, "252");
	(void)testuki_text(&f.uki, ".initrd", "initrd");
	testuki_kernel(want);
	assert_int_equal(make(&f), 0);
	assert_int_equal(pread(f.h.kernel.fd, got, sizeof got, 0), sizeof want);
	assert_memory_equal(got, want, sizeof want);
	assert_int_equal(fcntl(f.h.kernel.fd, F_GET_SEALS) & seals, seals);
	assert_int_equal(fcntl(f.h.initrd.fd, F_GET_SEALS) & seals, seals);
	assert_int_equal(pwrite(f.h.kernel.fd, "x", 1, 0), -1);
	end(&f);
}

static void no_initrd_at_all_is_none(void **state)
{
	struct fixture f;

	(void)state;
	for (int empty = 0; empty < 2; empty++) {
		begin(&f, "252");
		if (empty)
			(void)testuki_text(&f.uki, ".initrd", "");
		gives(&f, "", "");
		assert_int_equal(f.h.initrd.fd, -1);
		end(&f);
	}
}

static void sections_that_are_not_as_they_should_be(void **state)
{
	struct fixture f;
	unsigned i;

	(void)state;
	begin(&f, "257");
	(void)testuki_text(&f.uki, ".initrd", "one");
	(void)testuki_text(&f.uki, ".initrd", "two");
	refused(&f, EX_DATAERR, "two .initrd sections");

	begin(&f, "257");
	i = testuki_text(&f.uki, ".initrd", "initrd");
	le32_put(testuki_header(&f.uki, i) + 20, TESTUKI_DATA_AT + TESTUKI_KERNEL - 1);
	refused(&f, EX_DATAERR, "sections .linux and .initrd overlap");

	begin(&f, "257");
	i = testuki_text(&f.uki, ".initrd", "initrd");
	le32_put(testuki_header(&f.uki, i) + 20, TESTUKI_BYTES - 5);
	refused(&f, EX_DATAERR, "reach past its end");

	begin(&f, "257");
	le16_put(f.uki.bytes + TESTUKI_PE_AT + 6, 5000);
	refused(&f, EX_DATAERR, "more than 96 sections");

	begin(&f, "257");
	le32_put(testuki_header(&f.uki, 0) + 8, 0);
	refused(&f, EX_DATAERR, "no .linux section");

	begin(&f, "257");
	le32_put(testuki_header(&f.uki, 0) + 8, 1000);
	refused(&f, EX_DATAERR, "its .linux is not a kernel");

	begin(&f, "257");
	memset(f.uki.bytes + TESTUKI_DATA_AT, 'x', TESTUKI_KERNEL);
	refused(&f, EX_DATAERR, "its .linux is not a kernel");
}

static void sections_may_lie_in_any_order(void **state)
{
	struct fixture f;
	unsigned i;

	(void)state;
	begin(&f, "257");
	i = testuki_text(&f.uki, ".initrd", "");
	memcpy(f.uki.bytes + TESTUKI_DATA_AT - 6, "initrd", 6);
	le32_put(testuki_header(&f.uki, i) + 8, 6);
	le32_put(testuki_header(&f.uki, i) + 16, 6);
	le32_put(testuki_header(&f.uki, i) + 20, TESTUKI_DATA_AT - 6);
	gives(&f, "", "initrd\n");
	end(&f);
}

static void a_part_is_the_smaller_of_its_two_sizes(void **state)
{
	static const struct {
		uint32_t virtual_size, raw_size;
		const char *want;
	} rows[] = { { 4, 512, "init\n" }, { 4096, 4, "init\n" }, { 0, 512, "" } };

	(void)state;
	for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
		struct fixture f;
		unsigned i;

		begin(&f, "257");
		i = testuki_text(&f.uki, ".initrd", "initrd");
		le32_put(testuki_header(&f.uki, i) + 8, rows[k].virtual_size);
		le32_put(testuki_header(&f.uki, i) + 16, rows[k].raw_size);
		gives(&f, "", rows[k].want);
		end(&f);
	}
}

static void command_lines_of_all_kinds(void **state)
{
	static const struct {
		const char *text;
		uint32_t len;
		const char *want;	/* NULL: refused */
	} rows[] = {
		{ "quiet\0debug", 11, "quiet" },
		{ "\0debug", 6, "" },
		{ "a\x01" "b\x1f\x7f" "c", 6, "a b  c" },
		{ "name=\303\244\342\202\254", 10, "name=\303\244\342\202\254" },
		{ "name=\344", 6, NULL },		/* Latin-1 */
		{ "name=\303", 6, NULL },		/* cut short */
		{ "name=\300\200", 7, NULL },		/* an overlong NUL */
		{ "name=\355\240\200", 8, NULL },	/* half a surrogate */
		{ "name=\360\237\230\200", 9, NULL },	/* above U+FFFF */
		{ "\377\376", 2, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fixture f;

		begin(&f, "257");
		(void)testuki_put(&f.uki, ".cmdline", rows[i].text, rows[i].len);
		if (rows[i].want) {
			gives(&f, rows[i].want, "");
			end(&f);
		} else {
			refused(&f, EX_DATAERR, "begins no UTF-8 character");
		}
	}
}

static void a_command_line_larger_than_any_kernel_takes_is_refused(void **state)
{
	struct fixture f;
	unsigned i;

	(void)state;
	begin(&f, "257");
	memset(f.uki.bytes + TESTUKI_DATA_AT + 2 * TESTUKI_STEP, 'x', 70000);
	i = testuki_text(&f.uki, ".cmdline", "");
	le32_put(testuki_header(&f.uki, i) + 8, 70000);
	le32_put(testuki_header(&f.uki, i) + 16, 70000);
	refused(&f, EX_DATAERR, ".cmdline section is too large (70000 bytes)");
}

static void the_kernel_says_how_much_command_line_it_takes(void **state)
{
	uint8_t kernel[TESTUKI_KERNEL];
	struct err err = { 0 };
	size_t max;

	(void)state;
	testuki_kernel(kernel);
	assert_int_equal(handover_check_kernel(kernel, sizeof kernel, "x", &max, &err), 0);
	assert_int_equal(max, le32_get(kernel + 0x238));	/* with the NUL, as the kernel counts */
	le16_put(kernel + 0x206, 0x205);
	assert_int_equal(handover_check_kernel(kernel, sizeof kernel, "x", &max, &err), 0);
	assert_int_equal(max, 256);
	le16_put(kernel + 0x1fe, 0);
	assert_int_equal(handover_check_kernel(kernel, sizeof kernel, "x", &max, &err), -1);
	memset(kernel + 0x202, 0, 4);
	memcpy(kernel + 56, "ARM\x64", 4);
	assert_int_equal(handover_check_kernel(kernel, sizeof kernel, "x", &max, &err), 0);
	assert_int_equal(max, 2048);
	assert_int_equal(handover_check_kernel(kernel, 1023, "x", &max, &err), -1);
}

static void a_device_tree_is_lost_where_the_loader_brings_it(void **state)
{
	static const uint16_t machines[] = { PE_MACHINE_X86_64, PE_MACHINE_AARCH64 };
	struct testuki image;
	struct ukifile uki;
	struct err err;

	(void)state;
	for (int arm = 0; arm < 2; arm++) {
		testuki_begin(&image, machines[arm]);
		(void)testuki_text(&image, ".dtb", "tree");
		assert_int_equal(ukifile_open_fd(testuki_memfd(&image), "x", &uki, &err), 0);
		assert_int_equal(handover_loses_dtb(&uki), arm);
		ukifile_close(&uki);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stub_252_gets_what_it_knows),
		cmocka_unit_test(stub_257_gets_addons_microcode_and_more),
		cmocka_unit_test(a_stub_without_a_name_counts_as_the_newest),
		cmocka_unit_test(each_feature_begins_with_its_version),
		cmocka_unit_test(what_is_staged_is_sealed_and_exact),
		cmocka_unit_test(no_initrd_at_all_is_none),
		cmocka_unit_test(sections_that_are_not_as_they_should_be),
		cmocka_unit_test(sections_may_lie_in_any_order),
		cmocka_unit_test(a_part_is_the_smaller_of_its_two_sizes),
		cmocka_unit_test(command_lines_of_all_kinds),
		cmocka_unit_test(a_command_line_larger_than_any_kernel_takes_is_refused),
		cmocka_unit_test(the_kernel_says_how_much_command_line_it_takes),
		cmocka_unit_test(a_device_tree_is_lost_where_the_loader_brings_it),
	};

	return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
