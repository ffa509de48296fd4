/* SPDX-License-Identifier: MIT */
/* A PE image signed here by libcrypto; ovmf-test/ has Debian's signed kernel. */
#include "authenticode.h"

#include "testsign.h"
#include "io.h"

static struct authenticode read_it(struct testpe *pe)
{
	struct pe_source source = testpe_source(pe);
	struct authenticode a;
	struct err err = { 0 };

	assert_int_equal(authenticode_read(&source, &a, &err), 0);
	return a;
}

static struct testpki signer_make(void)
{
	return testpki_make_full("kernel signer", NULL, EVP_RSA_gen(2048), false, -DAY, DAY, NULL);
}

static void a_signed_image_names_its_signer_and_its_key(void **state)
{
	struct testpki p = signer_make();
	const ASN1_INTEGER *serial = X509_get0_serialNumber(p.cert);
	struct authenticode a;
	struct testpe pe;
	char hex[64];

	(void)state;
	testpe_make(&pe);
	testsign(&pe, &p);
	a = read_it(&pe);
	assert_int_equal(a.state, AUTHENTICODE_SIGNED);
	assert_string_equal(a.signer, "O=Acme, CN=kernel signer");
	assert_string_equal(a.issuer, "O=Acme, CN=kernel signer");
	assert_string_equal(a.digest, "SHA256");
	hex_encode(serial->data, (size_t)serial->length, hex);
	assert_int_equal(a.key_count, 1);
	assert_string_equal(a.keys[0], hex);
	assert_int_equal(a.count, 1);
	testpki_free(&p);
}

static void signatures_behind_the_first_are_counted_only(void **state)
{
	struct testpki p = signer_make();
	struct authenticode a;
	struct testpe pe;
	uint32_t second;

	(void)state;
	testpe_make(&pe);
	testsign(&pe, &p);
	second = (uint32_t)pe.size;
	testsign_again(&pe);
	a = read_it(&pe);
	assert_int_equal(a.state, AUTHENTICODE_SIGNED);
	assert_int_equal(a.count, 2);
	for (uint32_t len = 0; len < 8; len++) {
		le32_put(pe.bytes + second, len);
		assert_int_equal(read_it(&pe).count, 1);
	}
	le32_put(pe.bytes + second, 0xffffffff);
	assert_int_equal(read_it(&pe).count, 1);
	testpki_free(&p);
}

static void an_image_without_a_table_is_unsigned(void **state)
{
	struct testpe pe;

	(void)state;
	testpe_make(&pe);
	assert_int_equal(read_it(&pe).state, AUTHENTICODE_UNSIGNED);
	le32_put(pe.bytes + TESTPE_OPT + 108, 4);	/* and one without that directory */
	assert_int_equal(read_it(&pe).state, AUTHENTICODE_UNSIGNED);
}

static void what_is_no_pe_image_is_told_apart(void **state)
{
	struct testpe pe = { .size = 4096 };

	(void)state;
	assert_int_equal(read_it(&pe).state, AUTHENTICODE_NO_PE);
	testpe_make(&pe);
	le16_put(pe.bytes + TESTPE_OPT, 0x107);
	assert_int_equal(read_it(&pe).state, AUTHENTICODE_NO_PE);
}

static void every_byte_that_is_signed_is_hashed(void **state)
{
	static const struct {
		size_t at;
		enum authenticode_state want;
	} rows[] = {
		{ 2, AUTHENTICODE_ALTERED },			/* DOS header */
		{ TESTPE_OPT + 63, AUTHENTICODE_NO_PE },	/* headers past the end */
		{ TESTPE_OPT + 64, AUTHENTICODE_SIGNED },	/* the checksum is left out */
		{ TESTPE_OPT + 67, AUTHENTICODE_SIGNED },
		{ TESTPE_OPT + 68, AUTHENTICODE_ALTERED },
		{ TESTPE_ENTRY - 1, AUTHENTICODE_ALTERED },
		{ TESTPE_ENTRY + 8, AUTHENTICODE_ALTERED },
		{ TESTPE_HEADERS - 1, AUTHENTICODE_ALTERED },
		{ TESTPE_HEADERS, AUTHENTICODE_ALTERED },
		{ TESTPE_HEADERS + 2047, AUTHENTICODE_ALTERED },
		{ TESTPE_HEADERS + 2048, AUTHENTICODE_ALTERED },	/* after the sections */
		{ TESTPE_BYTES - 1, AUTHENTICODE_ALTERED },
	};
	struct testpki p = signer_make();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct testpe pe;

		testpe_make(&pe);
		testsign(&pe, &p);
		pe.bytes[rows[i].at] ^= 0x80;
		assert_int_equal(read_it(&pe).state, rows[i].want);
	}
	testpki_free(&p);
}

/* Its signature, not attached yet. */
static PKCS7 *pe_sign(struct testpe *pe, const struct testpki *p, bool with_cert)
{
	uint8_t digest[32];

	testpe_make(pe);
	testpe_digest(pe, digest);
	return testsign_pkcs7(p, digest, with_cert);
}

static void pe_attach(struct testpe *pe, PKCS7 *p7)
{
	testsign_attach(pe, p7);
	PKCS7_free(p7);
}

static void a_signature_that_does_not_hold_is_wrong(void **state)
{
	struct testpki p = signer_make();
	struct authenticode a;
	struct testpe pe;
	PKCS7 *p7;
	PKCS7_SIGNER_INFO *si;

	(void)state;
	p7 = pe_sign(&pe, &p, true);
	si = sk_PKCS7_SIGNER_INFO_value(PKCS7_get_signer_info(p7), 0);
	si->enc_digest->data[7] ^= 1;
	pe_attach(&pe, p7);
	a = read_it(&pe);
	assert_int_equal(a.state, AUTHENTICODE_WRONG);
	assert_true(a.why[0]);
	testpki_free(&p);
}

/* And nothing of it stays in memory, which the end of the program checks. */
static void a_digest_that_is_none_is_wrong(void **state)
{
	struct testpki p = signer_make();
	struct authenticode a;
	struct testpe pe;
	PKCS7 *p7;

	(void)state;
	p7 = pe_sign(&pe, &p, true);
	(void)X509_ALGOR_set0(sk_X509_ALGOR_value(p7->d.sign->md_algs, 0),
			      OBJ_nid2obj(NID_rsaEncryption), V_ASN1_NULL, NULL);
	pe_attach(&pe, p7);
	a = read_it(&pe);
	assert_int_equal(a.state, AUTHENTICODE_WRONG);
	assert_string_equal(a.why, "unknown digest type");
	testpki_free(&p);
}

static void a_signature_without_its_certificate_cannot_be_checked(void **state)
{
	struct testpki p = signer_make();
	struct testpe pe;
	PKCS7 *p7;

	(void)state;
	p7 = pe_sign(&pe, &p, false);
	pe_attach(&pe, p7);
	assert_int_equal(read_it(&pe).state, AUTHENTICODE_UNKNOWN_SIGNER);
	testpki_free(&p);
}

static void a_damaged_table_is_malformed(void **state)
{
	static const struct {
		size_t at;		/* from the start of the table */
		uint8_t value;
	} rows[] = {
		{ 3, 0x7f },		/* longer than the table */
		{ 5, 0x01 },		/* revision 1 */
		{ 6, 0x01 },		/* an X.509 certificate */
		{ 8, 0x31 },		/* not a SEQUENCE */
		{ 8 + 6 + 8, 0x01 },	/* not signedData */
	};
	struct testpki p = signer_make();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct testpe pe;

		testpe_make(&pe);
		testsign(&pe, &p);
		pe.bytes[TESTPE_BYTES + rows[i].at] = rows[i].value;
		assert_int_equal(read_it(&pe).state, AUTHENTICODE_MALFORMED);
	}
	testpki_free(&p);
}

static void the_certificate_table_may_not_reach_past_the_end(void **state)
{
	struct testpki p = signer_make();
	struct testpe pe;

	(void)state;
	testpe_make(&pe);
	testsign(&pe, &p);
	pe.size -= 8;
	assert_int_equal(read_it(&pe).state, AUTHENTICODE_NO_PE);
	testpki_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signed_image_names_its_signer_and_its_key),
		cmocka_unit_test(signatures_behind_the_first_are_counted_only),
		cmocka_unit_test(an_image_without_a_table_is_unsigned),
		cmocka_unit_test(what_is_no_pe_image_is_told_apart),
		cmocka_unit_test(every_byte_that_is_signed_is_hashed),
		cmocka_unit_test(a_signature_that_does_not_hold_is_wrong),
		cmocka_unit_test(a_digest_that_is_none_is_wrong),
		cmocka_unit_test(a_signature_without_its_certificate_cannot_be_checked),
		cmocka_unit_test(a_damaged_table_is_malformed),
		cmocka_unit_test(the_certificate_table_may_not_reach_past_the_end),
	};

	return cmocka_run_group_tests_name("authenticode", tests, NULL, NULL);
}
