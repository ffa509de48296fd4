/* SPDX-License-Identifier: MIT */
/* Addons: which are handed over, passed over or refused, without and with Secure Boot. */
#include "testhandover.h"

#include <openssl/evp.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addons_that_do_not_fit_are_passed_over_and_named),
		cmocka_unit_test(addons_are_refused_under_secure_boot),
		cmocka_unit_test(the_addon_that_the_manifest_vouches_for_goes_under_secure_boot_too),
		cmocka_unit_test(another_addon_than_the_manifests_is_refused_always),
	};

	return cmocka_run_group_tests_name("handover addon", tests, NULL, NULL);
}
