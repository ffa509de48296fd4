/* SPDX-License-Identifier: MIT */
#include "bundle.h"

#include "testbundle.h"
#include "io.h"

static void a_good_bundle_gives_its_payloads_and_its_signer(void **state)
{
	struct seen seen = { 0 };
	struct bundle *b;
	struct err err;

	(void)state;
	testbundle_zip(&good, zip_path);
	assert_int_equal(open_zip(&b, &err), 0);
	assert_string_equal(bundle_signer(b), "O=Acme, CN=release");
	assert_string_equal(bundle_manifest(b)->version, "1.4.2");
	assert_int_equal(bundle_extract(b, manifest_uki(bundle_manifest(b)), NULL, NULL, NULL,
					&err), 0);
	for (int i = 0; i < 2; i++) {
		seen.len = 0;
		assert_int_equal(bundle_extract(b, &bundle_manifest(b)->payloads[1], sink, &seen,
						NULL, &err), 0);
		assert_int_equal(seen.len, ROOTFS_LEN);
		assert_memory_equal(seen.data, good.rootfs, ROOTFS_LEN);
	}
	free(seen.data);
	bundle_close(b);
}

static void manifest_and_signature_are_kept_byte_for_byte(void **state)
{
	const uint8_t *json, *p7s;
	size_t json_len, p7s_len;
	struct bundle *b;
	struct err err;

	(void)state;
	testbundle_zip(&good, zip_path);
	assert_int_equal(open_zip(&b, &err), 0);
	bundle_manifest_bytes(b, &json, &json_len, &p7s, &p7s_len);
	assert_int_equal(json_len, good.entries[ENTRY_JSON].len);
	assert_memory_equal(json, good.entries[ENTRY_JSON].data, json_len);
	assert_int_equal(p7s_len, good.entries[ENTRY_P7S].len);
	assert_memory_equal(p7s, good.entries[ENTRY_P7S].data, p7s_len);
	bundle_close(b);
}

static void a_large_payload_comes_in_order_and_in_chunks(void **state)
{
	struct seen seen = { 0 };
	struct bundle *b;
	struct err err;
	size_t len = 2500000;

	(void)state;
	testbundle_free(&good);
	testbundle_make(&good, &dir, len);
	testbundle_zip(&good, zip_path);
	assert_int_equal(open_zip(&b, &err), 0);
	assert_int_equal(bundle_extract(b, &bundle_manifest(b)->payloads[1], sink, &seen, NULL,
					&err), 0);
	assert_int_equal(seen.len, len);
	assert_memory_equal(seen.data, good.rootfs, len);
	assert_in_range(seen.longest, 1, 1024 * 1024);
	free(seen.data);
	bundle_close(b);
}

static void without_a_keyring_nothing_is_said_about_the_signer(void **state)
{
	const struct bundle_options unchecked = { 0 };
	struct bundle *b;
	struct err err = { 0 };

	(void)state;
	good.entries[ENTRY_P7S].name = NULL;
	testbundle_zip(&good, zip_path);
	assert_int_equal(bundle_open(zip_path, &unchecked, &b, &err), 0);
	assert_null(bundle_signer(b));
	bundle_close(b);
}

static void an_unsigned_bundle_is_refused(void **state)
{
	(void)state;
	good.entries[ENTRY_P7S].name = NULL;
	expect_good_refused("it is not signed");
}

static void a_bundle_signed_by_a_stranger_is_refused(void **state)
{
	(void)state;
	testbundle_sign(&good, &dir, "stranger");
	expect_good_refused("is by O=Acme, CN=stranger, who is not in the keyring");
}

static void a_bundle_whose_certificate_expired_is_refused(void **state)
{
	(void)state;
	testbundle_sign(&good, &dir, "old");
	snprintf(keyring, sizeof keyring, "%s/old.crt", dir.path);
	expect_good_refused("the certificate of O=Acme, CN=old expired on 20");
}

static void a_missing_keyring_is_a_configuration_error(void **state)
{
	(void)state;
	testbundle_zip(&good, zip_path);
	snprintf(keyring, sizeof keyring, "%s/none.pem", dir.path);
	expect_refused(EX_CONFIG, "none.pem: No such file");
}

static void an_altered_manifest_is_refused(void **state)
{
	uint8_t *version = (uint8_t *)strstr((char *)good.entries[ENTRY_JSON].data, "1.4.2");

	(void)state;
	version[4] = '3';
	expect_good_refused("manifest.json does not match its signature");
}

static void what_a_stranger_wrote_is_not_even_parsed(void **state)
{
	(void)state;
	testbundle_set(&good, ENTRY_JSON, "{{{", 3);
	testbundle_sign(&good, &dir, "stranger");
	expect_good_refused("not in the keyring");
}

static void a_signed_manifest_with_a_mistake_is_refused(void **state)
{
	static const struct {
		const char *json, *why;
	} rows[] = {
		{ "{{{", "manifest.json is not valid JSON" },
		{ "{\"format\":1,\"format\":1}", "duplicate" },
		{ "{\"format\":2,\"compatible\":\"a\",\"version\":\"1\",\"payloads\":[{\"type\":"
		  "\"uki\",\"file\":\"../../boot/uki.efi\"}]}", "payloads[0].file must be" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		testbundle_set_text(&good, &dir, rows[i].json);
		expect_good_refused(rows[i].why);
	}
}

static void payloads_packed_anew_under_an_old_manifest_are_refused(void **state)
{
	(void)state;
	good.rootfs[1000] ^= 1;
	{
		struct payload other = { 0 };

		testbundle_pack(&good, ENTRY_ROOTFS_INDEX, &other, good.rootfs, ROOTFS_LEN);
	}
	testbundle_zip(&good, zip_path);
	expect_extract_refused("rootfs.index is damaged or altered", 0);
}

/* The index and every frame are the bundle's own; only the manifest names another image. */
static void a_payload_that_is_not_the_manifests_as_a_whole_is_refused(void **state)
{
	char *json = strndup((char *)good.entries[ENTRY_JSON].data, good.entries[ENTRY_JSON].len);
	uint8_t sha256[32];
	char hex[65], *digest;

	(void)state;
	EVP_Digest(good.rootfs, ROOTFS_LEN, sha256, NULL, EVP_sha256(), NULL);
	hex_encode(sha256, sizeof sha256, hex);
	digest = strstr(json, hex);
	assert_non_null(digest);
	*digest = *digest == '0' ? '1' : '0';
	testbundle_set_text(&good, &dir, json);
	free(json);
	testbundle_zip(&good, zip_path);
	expect_extract_refused("rootfs as a whole is not what the manifest says", ROOTFS_LEN);
}

static void a_missing_payload_is_refused_before_anything_is_unpacked(void **state)
{
	(void)state;
	good.entries[ENTRY_ROOTFS].name = "ROOTFS.IMG";
	expect_good_refused("rootfs.img.zst is missing");
	good.entries[ENTRY_JSON].name = NULL;
	expect_good_refused("it has no manifest.json");
}

static void a_payload_of_another_size_than_the_manifest_says_is_refused(void **state)
{
	(void)state;
	testbundle_manifest(&good, &dir, -1);
	testbundle_zip(&good, zip_path);
	expect_extract_refused("rootfs.index: it is for 3000 bytes, the manifest says 2999", 0);
	testbundle_manifest(&good, &dir, 1);
	testbundle_zip(&good, zip_path);
	expect_extract_refused("rootfs.index: it is for 3000 bytes, the manifest says 3001", 0);
}

static void an_error_of_the_sink_is_handed_through_as_it_is(void **state)
{
	struct seen seen = { .fail_at = 1 };
	struct bundle *b;
	struct err err;

	(void)state;
	testbundle_zip(&good, zip_path);
	assert_int_equal(open_zip(&b, &err), 0);
	assert_int_equal(bundle_extract(b, &bundle_manifest(b)->payloads[1], sink, &seen, NULL,
					&err), -1);
	assert_int_equal(err.exit, EX_IOERR);
	assert_string_equal(err.text, "the slot is broken");
	bundle_close(b);
}

static void a_cancellation_stops_an_extraction(void **state)
{
	static const volatile int cancel = 1;
	struct seen seen = { 0 };
	struct bundle *b;
	struct err err;

	(void)state;
	testbundle_zip(&good, zip_path);
	assert_int_equal(open_zip(&b, &err), 0);
	assert_int_equal(bundle_extract(b, &bundle_manifest(b)->payloads[1], sink, &seen, &cancel,
					&err), -1);
	assert_int_equal(err.exit, EX_TEMPFAIL);
	assert_string_equal(err.text, "cancelled by a signal");
	assert_int_equal(seen.len, 0);
	bundle_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_bundle_gives_its_payloads_and_its_signer),
		TEST(manifest_and_signature_are_kept_byte_for_byte),
		TEST(a_large_payload_comes_in_order_and_in_chunks),
		TEST(without_a_keyring_nothing_is_said_about_the_signer),
		TEST(an_unsigned_bundle_is_refused),
		TEST(a_bundle_signed_by_a_stranger_is_refused),
		TEST(a_bundle_whose_certificate_expired_is_refused),
		TEST(a_missing_keyring_is_a_configuration_error),
		TEST(an_altered_manifest_is_refused),
		TEST(what_a_stranger_wrote_is_not_even_parsed),
		TEST(a_signed_manifest_with_a_mistake_is_refused),
		TEST(payloads_packed_anew_under_an_old_manifest_are_refused),
		TEST(a_payload_that_is_not_the_manifests_as_a_whole_is_refused),
		TEST(a_missing_payload_is_refused_before_anything_is_unpacked),
		TEST(a_payload_of_another_size_than_the_manifest_says_is_refused),
		TEST(an_error_of_the_sink_is_handed_through_as_it_is),
		TEST(a_cancellation_stops_an_extraction),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
