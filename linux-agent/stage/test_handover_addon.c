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

/* A file beside the UKI, and the signed manifest that has it. */
static void vouch_for(struct fixture *f, enum payload_type type, const char *name, const void *data,
		      size_t len)
{
	struct payload *p = &f->manifest.payloads[f->manifest.payload_count++];
	char path[128];

	*p = (struct payload){ .type = type, .slot = 1, .name = (char *)(uintptr_t)name, .size = len };
	snprintf(path, sizeof path, BESIDE_DIR "/%s", manifest_beside(p, 1));
	testdir_put(&f->dir, path, data, len);
	assert_int_equal(EVP_Digest(data, len, p->sha256, NULL, EVP_sha256(), NULL), 1);
	f->place.manifest = &f->manifest;
}

static void vouch(struct fixture *f)
{
	static struct testuki addon;

	testuki_begin(&addon, NATIVE_MACHINE);
	(void)testuki_text(&addon, ".cmdline", "root=B");
	vouch_for(f, PAYLOAD_ADDON, "slot-b.addon", addon.bytes, sizeof addon.bytes);
}

static void refused_secure(struct fixture *f, const char *text)
{
	assert_int_equal(make_secure(f, true), -1);
	print_message("  %s\n", f->err.text);
	assert_int_equal(f->err.exit, EX_CONFIG);
	assert_non_null(strstr(f->err.text, text));
}

static void the_addon_that_the_manifest_vouches_for_goes_under_secure_boot_too(void **state)
{
	static const char *const other[][2] = { { ".cmdline", "evil" }, { NULL, NULL } };
	struct fixture f;

	(void)state;
	begin(&f, "257");
	(void)testuki_text(&f.uki, ".cmdline", "quiet");
	vouch(&f);
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
	static const char *const useless[][2] = { { ".cmdline", "x" }, { ".linux", "x" }, { NULL, NULL } };
	struct testuki addon;
	struct fixture f;

	(void)state;
	begin(&f, "257");
	vouch(&f);
	put_addon(&f, BESIDE_DIR "/" BESIDE_ADDON, other);
	refused(&f, EX_DATAERR, "is not the addon that was installed");
	begin(&f, "257");
	vouch(&f);
	f.manifest.payloads[0].size--;
	refused(&f, EX_DATAERR, "is not the addon that was installed");
	begin(&f, "257");
	vouch(&f);
	f.manifest.payloads[f.manifest.payload_count++] =
		(struct payload){ .type = PAYLOAD_CREDENTIAL, .name = (char *)(uintptr_t)"gone.cred" };
	refused(&f, EX_DATAERR, "gone.cred is not there");
	begin(&f, "257");
	vouch(&f);
	testuki_begin(&addon, NATIVE_MACHINE);
	for (unsigned i = 0; useless[i][0]; i++)
		(void)testuki_text(&addon, useless[i][0], useless[i][1]);
	f.manifest.payload_count = 0;
	vouch_for(&f, PAYLOAD_ADDON, "slot-b.addon", addon.bytes, sizeof addon.bytes);
	refused(&f, EX_DATAERR, "would not be used by the stub: a UKI, not an addon");
}

/* Of each kind one, and one of the machine's own, which is beside no UKI. */
static void vouch_for_all(struct fixture *f)
{
	vouch_for(f, PAYLOAD_CREDENTIAL, "wifi.cred", "SECRET", 6);
	vouch_for(f, PAYLOAD_SYSEXT, "app.raw", "SYSEXT", 6);
	vouch_for(f, PAYLOAD_CONFEXT, "site.confext.raw", "CONFEXT", 7);
	put(f, "loader/credentials/g.cred", "G");
}

static void what_the_manifest_vouches_for_goes_under_secure_boot_too(void **state)
{
	static const char *const strangers[] = { "own.cred", "own.raw", "own.confext.raw", "own.addon.efi" };
	char text[8192], path[128];
	struct fixture f;

	(void)state;
	begin(&f, "257");
	vouch_for_all(&f);
	assert_int_equal(make_secure(&f, true), 0);
	describe(&f.h, text, sizeof text);
	assert_string_equal(text,
		EXTRA "40500 .extra/credentials=\n100400 .extra/credentials/wifi.cred=SECRET\n" TRAILER
		EXTRA "40500 .extra/global_credentials=\n100400 .extra/global_credentials/g.cred=G\n" TRAILER
		EXTRA "40555 .extra/sysext=\n100444 .extra/sysext/app.raw=SYSEXT\n" TRAILER
		EXTRA "40555 .extra/confext=\n100444 .extra/confext/site.confext.raw=CONFEXT\n" TRAILER);
	handover_clear(&f.h);
	for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
		snprintf(path, sizeof path, BESIDE_DIR "/%s", strangers[i]);
		put(&f, path, "mine");
		refused_secure(&f, strangers[i]);
		assert_non_null(strstr(f.err.text, "is not of the signed manifest"));
		assert_int_equal(make(&f), 0);	/* the firmware would hand it over as well */
		handover_clear(&f.h);
		snprintf(path, sizeof path, "%s/" BESIDE_DIR "/%s", f.dir.path, strangers[i]);
		assert_int_equal(unlink(path), 0);
	}
	f.place.manifest = NULL;
	refused_secure(&f, "is not of the signed manifest");
	testdir_remove(&f.dir);
}

static void what_is_not_the_manifests_is_refused_always(void **state)
{
	static const struct {
		const char *file, *text, *refused;
	} rows[] = {
		{ BESIDE_DIR "/wifi.cred", "secret", "wifi.cred is not the credential that was installed" },
		{ BESIDE_DIR "/wifi.cred", "SECRETS", "wifi.cred is not the credential" },
		{ BESIDE_DIR "/wifi.cred", "", "wifi.cred is not the credential" },
		{ BESIDE_DIR "/app.raw", "SYSEXt", "app.raw is not the sysext" },
		{ BESIDE_DIR "/site.confext.raw", "CONFEXt", "site.confext.raw is not the confext" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fixture f;

		begin(&f, "257");
		vouch_for_all(&f);
		put(&f, rows[i].file, rows[i].text);
		refused(&f, EX_DATAERR, rows[i].refused);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addons_that_do_not_fit_are_passed_over_and_named),
		cmocka_unit_test(addons_are_refused_under_secure_boot),
		cmocka_unit_test(the_addon_that_the_manifest_vouches_for_goes_under_secure_boot_too),
		cmocka_unit_test(another_addon_than_the_manifests_is_refused_always),
		cmocka_unit_test(what_the_manifest_vouches_for_goes_under_secure_boot_too),
		cmocka_unit_test(what_is_not_the_manifests_is_refused_always),
	};

	return cmocka_run_group_tests_name("handover addon", tests, NULL, NULL);
}
