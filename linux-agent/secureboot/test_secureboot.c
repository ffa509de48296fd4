/* SPDX-License-Identifier: MIT */
/* Each rule of the firmware's, with lists and images made by hand. */
#include "testsecureboot.h"

static void with_secure_boot_off_nothing_is_asked(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	s.rules.on = false;
	list_image(DBX, &s.pe);
	expect(&s, SECUREBOOT_OFF, SECUREBOOT_RULE_OFF, "");
}

/* The signer's own, the one that is carried, and the one that is not carried. */
static void a_signature_that_leads_to_a_certificate_in_db_starts(void **state)
{
	static const enum who anchors[] = { SIGNER, MIDDLE, ROOT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(anchors); i++) {
		struct secureboot_verdict v;
		struct scene s;

		scene_make(&s);
		sign(&s.pe, SIGNER);
		list_cert(DB, STRANGER);
		list_cert(DB, anchors[i]);
		v = judge(&s);
		assert_int_equal(v.answer, SECUREBOOT_STARTS);
		assert_int_equal(v.rule, SECUREBOOT_RULE_DB_CERT);
		assert_string_equal(v.signer, "O=Acme, CN=signer");
		assert_int_equal(strlen(v.expires), 10);
		assert_false(v.expired);
		assert_non_null(strstr(v.words, "signed by O=Acme, CN=signer, and O=Acme, CN="));
		assert_non_null(strstr(v.words, " is in db"));
	}
}

static void without_what_is_between_a_signature_leads_nowhere(void **state)
{
	struct scene s;
	uint8_t digest[32];
	PKCS7 *p7;

	(void)state;
	scene_make(&s);
	testpe_digest(&s.pe, digest);
	p7 = testsign_pkcs7(&people[SIGNER], digest, true);
	testsign_attach(&s.pe, p7);
	PKCS7_free(p7);
	list_cert(DB, ROOT);
	REFUSED(SIGNER, "it is signed by O=Acme, CN=signer, certified by O=Acme, CN=middle, whose "
			"certificates are not in db");
}

static void what_nobody_knows_is_refused_with_its_reason(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	list_cert(DB, ROOT);
	REFUSED(UNSIGNED, "it is not signed, and its digest is not in db");
	scene_make(&s);
	sign(&s.pe, STRANGER);
	list_cert(DB, ROOT);
	REFUSED(SIGNER, "signed by O=Acme, CN=stranger, certified by O=Acme, CN=stranger, whose");
	scene_make(&s);
	sign(&s.pe, SIGNER);
	s.pe.bytes[TESTPE_HEADERS] ^= 1;
	list_cert(DB, ROOT);
	REFUSED(ALTERED, "altered after it was signed");
	scene_make(&s);
	s.pe.bytes[0] = 'X';
	list_cert(DB, ROOT);
	REFUSED(NO_IMAGE, "no PE image");
}

static void a_signature_that_does_not_hold_counts_for_nothing(void **state)
{
	struct scene s;
	PKCS7_SIGNER_INFO *si;
	uint8_t digest[32];
	PKCS7 *p7;

	(void)state;
	scene_make(&s);
	testpe_digest(&s.pe, digest);
	p7 = testsign_pkcs7(&people[ROOT], digest, true);
	si = sk_PKCS7_SIGNER_INFO_value(PKCS7_get_signer_info(p7), 0);
	si->enc_digest->data[si->enc_digest->length - 1] ^= 1;
	testsign_attach(&s.pe, p7);
	PKCS7_free(p7);
	list_cert(DB, ROOT);
	REFUSED(WRONG, "its signature does not hold");
}

static void a_digest_in_db_starts_signed_or_not(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	list_image(DB, &s.pe);
	STARTS(DB_DIGEST, "its SHA-256 ");
	scene_make(&s);
	sign(&s.pe, STRANGER);
	list_image(DB, &s.pe);
	STARTS(DB_DIGEST, " is in db");
	scene_make(&s);
	sign(&s.pe, SIGNER);
	s.pe.bytes[TESTPE_HEADERS] ^= 1;
	list_image(DB, &s.pe);
	STARTS(DB_DIGEST, " is in db");
}

static void other_digests_are_made_where_a_list_has_them(void **state)
{
	static const struct {
		const char *guid, *name;
		const EVP_MD *(*md)(void);
	} rows[] = { { GUID_SHA1, "SHA-1", EVP_sha1 }, { GUID_SHA384, "SHA-384", EVP_sha384 },
		     { GUID_SHA512, "SHA-512", EVP_sha512 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pe_digest_layout layout;
		uint8_t digest[EVP_MAX_MD_SIZE];
		struct pe_source source;
		unsigned len;
		struct scene s;

		scene_make(&s);
		sign(&s.pe, SIGNER);
		list_cert(DB, ROOT);
		source = testpe_source(&s.pe);
		assert_int_equal(pe_digest_read(&source, &layout), SB_OK);
		assert_int_equal(pe_digest(&source, &layout, rows[i].md(), digest, &len, NULL), 0);
		(void)testlists_add(DBX, rows[i].guid, digest, len, 1);
		REFUSED(DBX_DIGEST, rows[i].name);
	}
}

static void a_digest_in_dbx_is_refused_whatever_else_is_right(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	sign(&s.pe, SIGNER);
	list_cert(DB, ROOT);
	list_image(DB, &s.pe);
	list_cert(DBX, STRANGER);
	list_image(DBX, &s.pe);
	REFUSED(DBX_DIGEST, " is in dbx: just this image is revoked");
}

static void any_certificate_of_the_chain_in_dbx_refuses(void **state)
{
	static const struct {
		enum who who;
		const char *words;
	} rows[] = { { SIGNER, "CN=signer is revoked" }, { MIDDLE, "CN=middle is revoked" },
		     { ROOT, "CN=root is revoked" } };

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		bool by_digest = i >= ARRAY_SIZE(rows);
		struct scene s;

		scene_make(&s);
		sign(&s.pe, SIGNER);
		list_cert(DB, ROOT);
		list_image(DB, &s.pe);
		if (by_digest)
			list_cert_digest(DBX, rows[i % 3].who, 0);
		else
			list_cert(DBX, rows[i % 3].who);
		REFUSED(DBX_CERT, rows[i % 3].words);
	}
}

/* UEFI: one good signature is enough, but a revoked one refuses the image. */
static void of_several_signatures_one_good_one_is_enough(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	sign(&s.pe, STRANGER);
	sign(&s.pe, SIGNER);
	list_cert(DB, ROOT);
	STARTS(DB_CERT, "signed by O=Acme, CN=signer");
	list_cert(DBX, STRANGER);
	s.rules = (struct secureboot){ .on = true };
	REFUSED(DBX_CERT, "it is signed by O=Acme, CN=stranger, and the certificate O=Acme, CN=stranger");
}

static void a_revocation_with_a_time_is_for_good_without_a_time_stamp(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	sign(&s.pe, SIGNER);
	list_cert(DB, ROOT);
	list_cert_digest(DBX, SIGNER, 2024);
	s.rules.times = true;
	REFUSED(DBX_CERT, "is revoked since 2024-07-07: its digest is in dbx");
}

/* Not checked: whether an authority known to dbt has countersigned in time. */
static void with_a_time_stamp_it_is_unknown(void **state)
{
	uint8_t digest[32];
	struct scene s;
	PKCS7 *p7;

	(void)state;
	for (int times = 0; times < 2; times++) {
		ASN1_STRING *token = ASN1_STRING_type_new(V_ASN1_SEQUENCE);

		scene_make(&s);
		testpe_digest(&s.pe, digest);
		p7 = testsign_pkcs7(&people[STRANGER], digest, true);
		(void)ASN1_STRING_set(token, "\x30\0", 2);
		if (OBJ_txt2nid("1.3.6.1.4.1.311.3.3.1") == NID_undef)
			(void)OBJ_create("1.3.6.1.4.1.311.3.3.1", "token", "token");
		assert_int_equal(PKCS7_add_attribute(sk_PKCS7_SIGNER_INFO_value(PKCS7_get_signer_info(p7), 0),
						     OBJ_txt2nid("1.3.6.1.4.1.311.3.3.1"), V_ASN1_SEQUENCE,
						     token), 1);
		testsign_attach(&s.pe, p7);
		PKCS7_free(p7);
		list_cert(DB, STRANGER);
		list_cert_digest(DBX, STRANGER, 2024);
		s.rules.times = times;
		if (times)
			UNKNOWN(TIME, "revoked in dbx since 2024-07-07; the signature has a time stamp");
		else
			REFUSED(DBX_CERT, "since 2024-07-07");
		/* A signature that is revoked for certain decides, wherever it stands. */
		s.rules = (struct secureboot){ .on = true, .times = times };
		sign(&s.pe, ROOT);
		list_cert(DBX, ROOT);
		REFUSED(DBX_CERT, times ? "CN=root is revoked" : "CN=stranger is revoked");
	}
}

static void dates_are_said_and_do_not_count(void **state)
{
	struct secureboot_verdict v;
	struct scene s;

	(void)state;
	scene_make(&s);
	sign(&s.pe, LATE);
	list_cert(DB, LATE);
	v = judge(&s);
	assert_int_equal(v.answer, SECUREBOOT_STARTS);
	assert_true(v.expired);
}

static void a_table_with_a_rest_is_refused(void **state)
{
	struct scene s;
	uint32_t size;

	(void)state;
	scene_make(&s);
	sign(&s.pe, ROOT);
	size = le32_get(s.pe.bytes + TESTPE_ENTRY + 4);
	le32_put(s.pe.bytes + TESTPE_ENTRY + 4, size + 8);
	s.pe.size += 8;
	list_cert(DB, ROOT);
	list_image(DB, &s.pe);
	REFUSED(MALFORMED, "not made of whole entries");
}

/* Entries of other types do not count; WIN_CERT_TYPE_EFI_GUID is another form of the same entry. */
static void entries_of_other_types_are_passed_over(void **state)
{
	static const uint8_t guid[] = { 0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49,
					0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7 };
	struct scene s;
	uint32_t at, len;

	(void)state;
	scene_make(&s);
	sign(&s.pe, ROOT);
	at = le32_get(s.pe.bytes + TESTPE_ENTRY);
	le16_put(s.pe.bytes + at + 6, 1);
	list_cert(DB, ROOT);
	REFUSED(UNSIGNED, "it is not signed");
	len = le32_get(s.pe.bytes + at);
	memmove(s.pe.bytes + at + 24, s.pe.bytes + at + 8, len - 8);
	memcpy(s.pe.bytes + at + 8, guid, 16);
	le16_put(s.pe.bytes + at + 6, 0x0ef1);
	le32_put(s.pe.bytes + at, len + 16);
	le32_put(s.pe.bytes + TESTPE_ENTRY + 4, (len + 16 + 7) / 8 * 8);
	s.pe.size = at + (len + 16 + 7) / 8 * 8;
	s.rules = (struct secureboot){ .on = true };
	STARTS(DB_CERT, "CN=root is in db");
}

/* --- doubt -------------------------------------------------------------------- */

static void with_a_list_that_cannot_be_read_only_what_is_found_counts(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	sign(&s.pe, SIGNER);
	list_cert(DB, ROOT);
	(void)snprintf(s.rules.doubt, sizeof s.rules.doubt, "dbx ends within a signature list");
	UNKNOWN(LISTS, "dbx ends within a signature list; as far as can be seen, it is signed by");
	scene_make(&s);
	(void)snprintf(s.rules.doubt, sizeof s.rules.doubt, "db cannot be read");
	UNKNOWN(LISTS, "db cannot be read; as far as can be seen, it is not signed");
	scene_make(&s);
	list_image(DBX, &s.pe);
	(void)snprintf(s.rules.doubt, sizeof s.rules.doubt, "db cannot be read");
	REFUSED(DBX_DIGEST, "revoked");
}

static void garbage_in_a_list_is_no_certificate(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	sign(&s.pe, SIGNER);
	(void)testlists_add(DB, GUID_X509, "\x30\x82\xff\xff", 4, 1);
	list_cert(DB, ROOT);
	(void)testlists_add(DBX, GUID_X509, "not DER", 7, 1);
	STARTS(DB_CERT, "CN=root is in db");
}

static void every_rule_has_its_words(void **state)
{
	(void)state;
	for (unsigned rule = 0; rule < SECUREBOOT_RULES; rule++) {
		assert_non_null(secureboot_rule_text(rule));
		assert_int_equal(rule >= SECUREBOOT_RULE_NO_IMAGE, *secureboot_remedy(rule) != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_secure_boot_off_nothing_is_asked),
		cmocka_unit_test(a_signature_that_leads_to_a_certificate_in_db_starts),
		cmocka_unit_test(without_what_is_between_a_signature_leads_nowhere),
		cmocka_unit_test(what_nobody_knows_is_refused_with_its_reason),
		cmocka_unit_test(a_signature_that_does_not_hold_counts_for_nothing),
		cmocka_unit_test(a_digest_in_db_starts_signed_or_not),
		cmocka_unit_test(other_digests_are_made_where_a_list_has_them),
		cmocka_unit_test(a_digest_in_dbx_is_refused_whatever_else_is_right),
		cmocka_unit_test(any_certificate_of_the_chain_in_dbx_refuses),
		cmocka_unit_test(of_several_signatures_one_good_one_is_enough),
		cmocka_unit_test(a_revocation_with_a_time_is_for_good_without_a_time_stamp),
		cmocka_unit_test(with_a_time_stamp_it_is_unknown),
		cmocka_unit_test(dates_are_said_and_do_not_count),
		cmocka_unit_test(a_table_with_a_rest_is_refused),
		cmocka_unit_test(entries_of_other_types_are_passed_over),
		cmocka_unit_test(with_a_list_that_cannot_be_read_only_what_is_found_counts),
		cmocka_unit_test(garbage_in_a_list_is_no_certificate),
		cmocka_unit_test(every_rule_has_its_words),
	};

	return cmocka_run_group_tests_name("secureboot", tests, people_make, people_free);
}
