/* SPDX-License-Identifier: MIT */
/* What a kexec hands over, against what systemd-stub 252 and 257 do (their own boots are
 * compared with it in ovmf-test/test_handover.py), and UKIs that are not as they should be. */
#include "handover.h"

#include "testdir.h"
#include "testuki.h"

#include <fcntl.h>
#include <openssl/evp.h>

struct fixture {
	struct testdir dir;
	char extra_dir[256];
	struct uki_place place;
	struct testuki uki;
	struct handover h;
	struct err err;
};

static void begin(struct fixture *f, const char *stub)
{
	memset(f, 0, sizeof *f);
	testdir_make(&f->dir);
	snprintf(f->extra_dir, sizeof f->extra_dir, "%s/uki.efi.extra.d", f->dir.path);
	f->place = (struct uki_place){ .esp = f->dir.path, .extra_dir = f->extra_dir };
	testuki_make(&f->uki, stub);
}

static void put(struct fixture *f, const char *name, const char *text)
{
	testdir_text(&f->dir, name, text);
}

static void put_addon(struct fixture *f, const char *name, const char *const sections[][2])
{
	struct testuki addon;

	testuki_begin(&addon, NATIVE_MACHINE);
	for (unsigned i = 0; sections[i][0]; i++)
		(void)testuki_text(&addon, sections[i][0], sections[i][1]);
	testdir_put(&f->dir, name, addon.bytes, sizeof addon.bytes);
}

static int make_secure(struct fixture *f, bool secure)
{
	struct ukifile uki;
	int r = ukifile_open_fd(testuki_memfd(&f->uki), "uki.efi", &uki, &f->err);

	if (r < 0)
		return r;
	r = handover_make(&uki, &f->place, 1, secure, &f->h, &f->err);
	ukifile_close(&uki);
	return r;
}

static int make(struct fixture *f)
{
	return make_secure(f, false);
}

static void end(struct fixture *f)
{
	handover_clear(&f->h);
	testdir_remove(&f->dir);
}

/* Fails, with that exit status and that text in the message. */
static void refused(struct fixture *f, int exit, const char *text)
{
	assert_int_equal(make(f), -1);
	print_message("  %s\n", f->err.text);
	assert_non_null(strstr(f->err.text, text));
	assert_int_equal(f->err.exit, exit);
	testdir_remove(&f->dir);
}

static unsigned hex_at(const uint8_t *p)
{
	char digits[9] = { 0 };

	memcpy(digits, p, 8);
	return (unsigned)strtoul(digits, NULL, 16);
}

static size_t up4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* The initrd as lines: an archive's entries as "mode name=content", raw parts as text. */
static void describe(const struct handover *h, char *out, size_t cap)
{
	uint8_t buf[64 * 1024] = { 0 };
	ssize_t len = h->initrd.fd < 0 ? 0 : pread(h->initrd.fd, buf, sizeof buf, 0);
	size_t n = 0;

	assert_true(len >= 0 && (size_t)len == h->initrd.size && len % 4 == 0);
	for (size_t at = 0; at < (size_t)len;) {
		if (memcmp(buf + at, "070701", 6) != 0) {
			n += (size_t)snprintf(out + n, cap - n, "%s\n", buf + at);
			assert_true(n < cap);
			at += up4(strlen((char *)buf + at));
			continue;
		}
		unsigned mode = hex_at(buf + at + 14), size = hex_at(buf + at + 54);
		unsigned name_len = hex_at(buf + at + 94);
		const char *name = (char *)buf + at + 110;

		assert_int_equal(strlen(name) + 1, name_len);
		at += up4(110 + name_len);
		n += (size_t)snprintf(out + n, cap - n, "%o %s=%.*s\n", mode, name, (int)size,
				      (char *)buf + at);
		at += up4(size);
		assert_true(n < cap);
	}
	out[n] = 0;
}

static void gives(struct fixture *f, const char *cmdline, const char *initrd)
{
	char text[8192];
	int r = make(f);

	if (r < 0)
		print_message("%s\n", f->err.text);
	assert_int_equal(r, 0);
	assert_string_equal(f->h.cmdline, cmdline);
	describe(&f->h, text, sizeof text);
	assert_string_equal(text, initrd);
}

#define TRAILER "0 TRAILER!!!=\n"
#define EXTRA "40555 .extra=\n"

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

static void addons_that_do_not_fit_are_passed_over_and_named(void **state)
{
	static const char *const nothing[][2] = { { ".text", "x" }, { NULL, NULL } };
	static const char *const kernel[][2] = { { ".linux", "x" }, { ".cmdline", "no" },
						 { NULL, NULL } };
	static const char *const other[][2] = { { ".uname", "6.1.0-2" }, { ".cmdline", "no" },
						{ NULL, NULL } };
	static const char *const words[] = { "1.addon.efi: not a PE file", "2.addon.efi: no .cmdline",
					     "3.addon.efi: a UKI", "4.addon.efi: for another kernel",
					     "5.addon.efi: for another architecture" };
	struct testuki foreign;
	struct fixture f;

	(void)state;
	begin(&f, "257");
	(void)testuki_text(&f.uki, ".uname", "6.1.0-1");
	(void)testuki_text(&f.uki, ".cmdline", "quiet");
	put(&f, "loader/addons/1.addon.efi", "text");
	put_addon(&f, "loader/addons/2.addon.efi", nothing);
	put_addon(&f, "loader/addons/3.addon.efi", kernel);
	put_addon(&f, "loader/addons/4.addon.efi", other);
	testuki_begin(&foreign, TESTUKI_FOREIGN);
	(void)testuki_text(&foreign, ".cmdline", "no");
	testdir_put(&f.dir, "loader/addons/5.addon.efi", foreign.bytes, sizeof foreign.bytes);
	put(&f, "loader/addons/6.efi", "not asked");
	assert_int_equal(make(&f), 0);
	assert_string_equal(f.h.cmdline, "quiet");
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		assert_non_null(strstr(f.h.ignored, words[i]));
	assert_null(strstr(f.h.ignored, "6.efi"));
	end(&f);
}

static void addons_are_refused_under_secure_boot(void **state)
{
	static const char *const own[][2] = { { ".cmdline", "x" }, { NULL, NULL } };
	struct fixture f;

	(void)state;
	begin(&f, "257");
	assert_int_equal(make_secure(&f, true), 0);
	handover_clear(&f.h);
	put_addon(&f, "loader/addons/1.addon.efi", own);
	assert_int_equal(make_secure(&f, true), -1);
	assert_int_equal(f.err.exit, EX_CONFIG);
	assert_non_null(strstr(f.err.text, "1.addon.efi is an addon"));
	testdir_remove(&f.dir);
}

/* What a signed manifest says of the file in the directory of extras. */
static void vouch(struct fixture *f, struct payload *payload)
{
	static struct testuki addon;

	testuki_begin(&addon, NATIVE_MACHINE);
	(void)testuki_text(&addon, ".cmdline", "root=B");
	testdir_put(&f->dir, "uki.efi.extra.d/own.addon.efi", addon.bytes, sizeof addon.bytes);
	*payload = (struct payload){ .type = PAYLOAD_ADDON, .size = sizeof addon.bytes };
	assert_int_equal(EVP_Digest(addon.bytes, sizeof addon.bytes, payload->sha256, NULL, EVP_sha256(), NULL), 1);
	f->place.addon_name = "own.addon.efi";
	f->place.addon = payload;
}

static void the_addon_that_the_manifest_vouches_for_goes_under_secure_boot_too(void **state)
{
	static const char *const other[][2] = { { ".cmdline", "evil" }, { NULL, NULL } };
	struct payload payload;
	struct fixture f;

	(void)state;
	begin(&f, "257");
	(void)testuki_text(&f.uki, ".cmdline", "quiet");
	vouch(&f, &payload);
	assert_int_equal(make_secure(&f, true), 0);
	assert_string_equal(f.h.cmdline, "quiet root=B");
	handover_clear(&f.h);
	put_addon(&f, "loader/addons/1.addon.efi", other);	/* a stranger beside it */
	assert_int_equal(make_secure(&f, true), -1);
	assert_int_equal(f.err.exit, EX_CONFIG);
	assert_non_null(strstr(f.err.text, "1.addon.efi is an addon"));
	testdir_remove(&f.dir);
}

static void another_addon_than_the_manifests_is_refused_always(void **state)
{
	static const char *const other[][2] = { { ".cmdline", "root=C" }, { NULL, NULL } };
	struct payload payload;
	struct fixture f;

	(void)state;
	begin(&f, "257");
	vouch(&f, &payload);
	put_addon(&f, "uki.efi.extra.d/own.addon.efi", other);
	refused(&f, EX_DATAERR, "is not the addon that was installed");
	begin(&f, "257");
	vouch(&f, &payload);
	payload.size--;
	refused(&f, EX_DATAERR, "is not the addon that was installed");
	begin(&f, "257");
	vouch(&f, &payload);
	f.place.addon_name = "gone.addon.efi";
	refused(&f, EX_DATAERR, "gone.addon.efi is not there");
}

/* Common, then profile 0 and profile 1. */
static void put_profiles(struct fixture *f, const char *cmdline)
{
	(void)testuki_text(&f->uki, ".cmdline", cmdline);
	(void)testuki_text(&f->uki, ".initrd", "initrd-");
	(void)testuki_text(&f->uki, ".profile", "ID=main");
	(void)testuki_text(&f->uki, ".profile", "ID=reset");
	(void)testuki_text(&f->uki, ".cmdline", "reset");
	(void)testuki_text(&f->uki, ".initrd", "other--");
}

static void a_profile_is_chosen_by_the_command_line_that_is_handed_over(void **state)
{
#define PROFILE(name) EXTRA "100444 .extra/profile=ID=" name "\n" TRAILER
	static const struct {
		const char *in, *cmdline, *initrd;
	} rows[] = {
		{ "quiet", "quiet", "initrd-\n" PROFILE("main") },
		{ "@0 root={slot}", "root=b", "initrd-\n" PROFILE("main") },
		{ "@1 root={slot}", "root=b", "other--\n" PROFILE("reset") },
		{ "@1root={slot}", "@1root=b", "initrd-\n" PROFILE("main") },
		{ "@1 quiet", "@1 quiet", "initrd-\n" PROFILE("main") },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin(&f, "257");
		put_profiles(&f, rows[i].in);
		print_message("  %s\n", rows[i].in);
		gives(&f, rows[i].cmdline, rows[i].initrd);
		end(&f);
	}
	begin(&f, "257");
	put_profiles(&f, "@2 root={slot}");
	refused(&f, EX_DATAERR, "has no profile @2");
	begin(&f, "257");
	put_profiles(&f, "@99999999999999999999 root={slot}");
	refused(&f, EX_DATAERR, "has no profile @96");
	/* Profiles are nothing to it: two of each. */
	begin(&f, "252");
	put_profiles(&f, "quiet");
	refused(&f, EX_DATAERR, "two .cmdline sections");
}

/* Slot b, of which the fixture asks. */
static void the_profile_of_the_slot_goes_before_the_common_sections(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "257");
	put_profiles(&f, "root={slot}");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-a");
	(void)testuki_text(&f.uki, ".cmdline", "root=A");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-b");
	(void)testuki_text(&f.uki, ".cmdline", "root=B");
	gives(&f, "root=B", "initrd-\n" PROFILE("slot-b"));
	end(&f);
	begin(&f, "257");
	put_profiles(&f, "root={slot}");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-b");
	(void)testuki_text(&f.uki, ".initrd", "special");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-a");
	/* Nobody fills the common one in: the loader passes "@2". */
	gives(&f, "root={slot}", "special\n" PROFILE("slot-b"));
	end(&f);
	begin(&f, "257");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-a");
	refused(&f, EX_DATAERR, "no profile for slot b");
	begin(&f, "256");
	(void)testuki_text(&f.uki, ".profile", "ID=slot-b");
	refused(&f, EX_DATAERR, "of systemd 256, does not know");
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
		cmocka_unit_test(addons_that_do_not_fit_are_passed_over_and_named),
		cmocka_unit_test(addons_are_refused_under_secure_boot),
		cmocka_unit_test(a_profile_is_chosen_by_the_command_line_that_is_handed_over),
		cmocka_unit_test(the_addon_that_the_manifest_vouches_for_goes_under_secure_boot_too),
		cmocka_unit_test(another_addon_than_the_manifests_is_refused_always),
		cmocka_unit_test(the_profile_of_the_slot_goes_before_the_common_sections),
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
