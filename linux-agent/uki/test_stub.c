/* SPDX-License-Identifier: MIT */
/* What systemd-stub does, by its version: systemd-stub(7) and its NEWS. */
#include "stub.h"

#include "io.h"
#include "testuki.h"
#include "unittest.h"

/* NULL: the UKI has no such section. */
static unsigned version_of(const char *sdmagic)
{
	struct err err = { 0 };
	unsigned version = 0;
	struct ukifile file;
	struct testuki *uki = malloc(sizeof *uki);

	assert_non_null(uki);
	testuki_begin(uki, PE_MACHINE_X86_64);
	if (sdmagic)
		(void)testuki_text(uki, ".sdmagic", sdmagic);
	(void)testuki_text(uki, ".linux", "kernel");
	if (ukifile_open_fd(testuki_memfd(uki), "uki.efi", &file, &err) < 0 ||
	    stub_version(&file, &version, &err) < 0)
		fail_msg("%s", err.text);
	ukifile_close(&file);
	free(uki);
	return version;
}

static void the_version_is_the_number_behind_the_name_and_a_stranger_the_newest(void **state)
{
	static const struct {
		const char *sdmagic;
		unsigned want;
	} rows[] = {
		{ "#### LoaderInfo: systemd-stub 252.39-1~deb12u1 ####", 252 },
		{ "#### LoaderInfo: systemd-stub 257~rc1 ####", 257 },
		{ "#### LoaderInfo: systemd-stub 258 ####", 258 },
		{ "#### LoaderInfo: systemd-stub v257 ####", STUB_NEWEST },
		{ "#### LoaderInfo: systemd-stub ", STUB_NEWEST },
		{ "#### LoaderInfo: systemd-boot 252 ####", STUB_NEWEST },
		{ "#### LoaderInfo: another stub 1 ####", STUB_NEWEST },
		{ "", STUB_NEWEST },
		{ NULL, STUB_NEWEST },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(version_of(rows[i].sdmagic), rows[i].want);
}

static void a_version_does_what_it_and_those_before_it_brought(void **state)
{
	static const struct {
		enum stub_feature feature;
		unsigned since;
	} rows[] = {
		{ STUB_ADDONS, 254 }, { STUB_TRIMS, 254 }, { STUB_CONFEXT, 256 }, { STUB_UCODE, 256 },
		{ STUB_PROFILES, 257 }, { STUB_OSREL, 257 }, { STUB_ADDON_INITRDS, 257 },
		{ STUB_GLOBAL_EXTENSIONS, 258 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_false(stub_does(rows[i].since - 1, rows[i].feature));
		assert_true(stub_does(rows[i].since, rows[i].feature));
		assert_true(stub_does(STUB_NEWEST, rows[i].feature));
	}
	assert_true(stub_does(0, STUB_ALWAYS));
}

static void control_characters_become_spaces_and_those_at_the_ends_go(void **state)
{
	static const struct {
		unsigned version;
		const char *text, *want;
	} rows[] = {
		{ 252, "quiet", "quiet" }, { 254, "quiet", "quiet" },
		{ 252, "a\tb\nc", "a b c" }, { 254, "a\tb\nc", "a b c" },
		{ 252, "a  b", "a  b" }, { 254, "a  b", "a  b" },
		{ 252, "quiet \n\t ", "quiet" }, { 254, "quiet \n\t ", "quiet" },
		{ 252, "\n quiet", "  quiet" }, { 254, "\n quiet", "quiet" },
		{ 252, "a\x7f", "a\x7f" }, { 254, "a\x7f", "a" }, { 254, "a\x7f" "b", "a b" },
		{ 252, " ", "" }, { 254, " ", "" }, { 254, "", "" },
		{ 252, "name=gr\xc3\xbc\xc3\x9f", "name=gr\xc3\xbc\xc3\x9f" },
		{ 254, "\xe2\x82\xac \xef\xbf\xbd", "\xe2\x82\xac \xef\xbf\xbd" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		char *got;

		if (stub_text(rows[i].version, rows[i].text, &got, &err) < 0)
			fail_msg("%s", err.text);
		assert_string_equal(got, rows[i].want);
		free(got);
	}
}

static void what_the_stub_would_drop_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "a=\xf0\x9f\x90\xa7", "byte 2 of the command line (0xf0)" },	/* above U+FFFF */
		{ "\xff", "byte 0 of the command line (0xff)" },
		{ "ab\xc3", "byte 2 of the command line (0xc3)" },		/* cut short */
		{ "ab\xc3" "d", "byte 2" },
		{ "\x80", "byte 0" },					/* the end of none */
		{ "\xc0\x80", "byte 0" },					/* longer than need be */
		{ "\xed\xa0\x80", "byte 0" },				/* half of a pair */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		char *got = NULL;

		assert_int_equal(stub_text(257, rows[i].text, &got, &err), -1);
		assert_null(got);
		assert_int_equal(err.exit, EX_DATAERR);
		if (!strstr(err.text, rows[i].why))
			fail_msg("expected \"%s\", got: %s", rows[i].why, err.text);
	}
}

static void a_profile_is_an_at_sign_and_a_number(void **state)
{
	static const struct {
		const char *text;
		bool is;
		unsigned profile;
		const char *rest;
	} rows[] = {
		{ "@0", true, 0, "" }, { "@1 quiet", true, 1, "quiet" }, { "@12 ", true, 12, "" },
		{ "@007 a b", true, 7, "a b" }, { "@1  a", true, 1, " a" },
		{ "@99999999999999999999 a", true, PE_MAX_SECTIONS, "a" },
		{ "", false, 0, NULL }, { "@", false, 0, NULL }, { "1", false, 0, NULL },
		{ "@ 1", false, 0, NULL }, { "@1a", false, 0, NULL }, { "@-1", false, 0, NULL },
		{ " @1", false, 0, NULL }, { "@1\tquiet", false, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *rest = NULL;
		unsigned profile = 77;

		assert_int_equal(stub_profile_parse(rows[i].text, &profile, &rest), rows[i].is);
		assert_int_equal(profile, rows[i].is ? rows[i].profile : 77);
		if (rows[i].is)
			assert_string_equal(rest, rows[i].rest);
		else
			assert_null(rest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_version_is_the_number_behind_the_name_and_a_stranger_the_newest),
		cmocka_unit_test(a_version_does_what_it_and_those_before_it_brought),
		cmocka_unit_test(control_characters_become_spaces_and_those_at_the_ends_go),
		cmocka_unit_test(what_the_stub_would_drop_is_refused_with_its_place),
		cmocka_unit_test(a_profile_is_an_at_sign_and_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
