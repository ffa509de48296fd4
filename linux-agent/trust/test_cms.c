/* SPDX-License-Identifier: MIT */
#include "cms.h"

#include "cms_digest.h"
#include "testpki.h"
#include "io.h"

#include <openssl/cms.h>

static struct testdir dir;
static const uint8_t text[] = "{\"format\":1}";

static const char *in_dir(const char *name)
{
	static char paths[4][128];
	static unsigned next;

	next = (next + 1) % 4;
	snprintf(paths[next], sizeof paths[next], "%s/%s", dir.path, name);
	return paths[next];
}

static void make(const char *name, const char *cn)
{
	struct testpki p = testpki_make(cn);

	testpki_write(&p, &dir, name);
	testpki_free(&p);
}

static void make_ed25519(const char *name)
{
	struct testpki p = testpki_make_full("ed", NULL, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
					     false, -DAY, DAY, NULL);

	testpki_write(&p, &dir, name);
	testpki_free(&p);
}

static struct testpki make_ca(const char *name)
{
	struct testpki ca = testpki_make_full("Acme CA", NULL, EVP_EC_gen("P-256"), true, -DAY,
					      DAY, NULL);

	testpki_write(&ca, &dir, name);
	return ca;
}

static void make_from(const char *name, const char *cn, const struct testpki *issuer, long from,
		      long until, const char *usage)
{
	struct testpki p = testpki_make_full(cn, issuer, EVP_EC_gen("P-256"), false, from, until,
					     usage);

	testpki_write(&p, &dir, name);
	testpki_free(&p);
}

/* Signs text as name. */
static void sign(const char *name, uint8_t **sig, size_t *len)
{
	char key[32], crt[32];
	struct err err = { 0 };

	snprintf(key, sizeof key, "%s.key", name);
	snprintf(crt, sizeof crt, "%s.crt", name);
	if (cms_sign_detached(text, sizeof text, in_dir(key), in_dir(crt), sig, len, &err) < 0)
		fail_msg("%s", err.text);
}

static void expect_good(const char *keyring, const uint8_t *sig, size_t len, const char *signer)
{
	struct err err = { 0 };
	char *name;

	if (cms_verify_detached(text, sizeof text, sig, len, in_dir(keyring), NULL, &name, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(name, signer);
	free(name);
}

static void expect_bad(const char *keyring, const uint8_t *sig, size_t len, int exit,
		       const char *why)
{
	struct err err = { 0 };
	char *name = NULL;

	assert_int_equal(cms_verify_detached(text, sizeof text, sig, len, in_dir(keyring), NULL,
					     &name, &err), -1);
	assert_null(name);
	if (!strstr(err.text, why) || err.exit != exit)
		fail_msg("exit %d: %s", err.exit, err.text);
}

/* Signs as name and expects the verdict; signer NULL: refused because of why. */
static void round_trip(const char *name, const char *keyring, const char *signer, const char *why)
{
	uint8_t *sig;
	size_t len;

	sign(name, &sig, &len);
	if (signer)
		expect_good(keyring, sig, len, signer);
	else
		expect_bad(keyring, sig, len, EX_DATAERR, why);
	free(sig);
}

static void a_signature_by_a_self_signed_certificate_of_the_keyring_is_good(void **state)
{
	(void)state;
	round_trip("acme", "acme.crt", "O=Acme, CN=release", NULL);
}

static void any_certificate_of_the_keyring_may_sign(void **state)
{
	uint8_t *both, *one;
	size_t len, one_len;

	(void)state;
	assert_int_equal(read_file(in_dir("acme.crt"), 65536, &both, &len), 0);
	assert_int_equal(read_file(in_dir("stranger.crt"), 65536, &one, &one_len), 0);
	both = realloc(both, len + one_len);
	memcpy(both + len, one, one_len);
	testdir_put(&dir, "both.pem", both, len + one_len);
	round_trip("acme", "both.pem", "O=Acme, CN=release", NULL);
	round_trip("stranger", "both.pem", "O=Acme, CN=stranger", NULL);
	free(both);
	free(one);
}

static void a_signer_certified_by_a_ca_of_the_keyring_is_good(void **state)
{
	struct testpki ca = make_ca("ca");

	(void)state;
	make_from("leaf", "builder", &ca, -DAY, DAY, "codeSigning");
	round_trip("leaf", "ca.crt", "O=Acme, CN=builder", NULL);
	make_from("plain", "builder", &ca, -DAY, DAY, NULL);
	round_trip("plain", "ca.crt", "O=Acme, CN=builder", NULL);
	testpki_free(&ca);
}

static void intermediates_in_the_certificate_file_go_along(void **state)
{
	struct testpki ca = make_ca("root");
	struct testpki mid = testpki_make_full("Acme sub-CA", &ca, EVP_EC_gen("P-256"), true, -DAY,
					       DAY, NULL);

	(void)state;
	make_from("deep", "builder", &mid, -DAY, DAY, NULL);
	round_trip("deep", "root.crt", NULL, "not in the keyring");
	testpki_write_cert(&mid, in_dir("deep.crt"), "a");
	round_trip("deep", "root.crt", "O=Acme, CN=builder", NULL);
	testpki_free(&mid);
	testpki_free(&ca);
}

static void a_stranger_is_named_and_refused(void **state)
{
	(void)state;
	round_trip("stranger", "acme.crt", NULL,
		   "the signature of manifest.json is by O=Acme, CN=stranger, who is not in the "
		   "keyring /tmp/");
}

static void a_stranger_who_took_a_trusted_name_is_refused(void **state)
{
	struct testpki ca = make_ca("ca");
	struct testpki fake = testpki_make_full("Acme CA", NULL, EVP_EC_gen("P-256"), true, -DAY,
						DAY, NULL);

	(void)state;
	make("impostor", "release");
	round_trip("impostor", "acme.crt", NULL, "not in the keyring");
	make_from("leaf", "builder", &fake, -DAY, DAY, NULL);
	round_trip("leaf", "ca.crt", NULL, "does not hold against the keyring");
	testpki_free(&fake);
	testpki_free(&ca);
}

static void a_certificate_that_is_no_ca_certifies_nobody(void **state)
{
	struct testpki acme = testpki_make("release");

	(void)state;
	testpki_write(&acme, &dir, "noca");
	make_from("leaf", "builder", &acme, -DAY, DAY, NULL);
	round_trip("leaf", "noca.crt", NULL, "invalid CA certificate");
	testpki_free(&acme);
}

static void an_expired_certificate_is_refused_with_its_date(void **state)
{
	struct testpki ca = make_ca("ca");
	char expected[64];
	time_t then = time(NULL) - 2 * DAY;
	struct tm tm;

	(void)state;
	strftime(expected, sizeof expected, "CN=old expired on %Y-%m-%d", gmtime_r(&then, &tm));
	make_from("old", "old", NULL, -3 * DAY, -2 * DAY, NULL);
	round_trip("old", "old.crt", NULL, expected);
	make_from("old", "old", &ca, -3 * DAY, -2 * DAY, NULL);
	round_trip("old", "ca.crt", NULL, expected);
	testpki_free(&ca);
}

static void a_certificate_from_the_future_is_refused_and_the_clock_doubted(void **state)
{
	(void)state;
	make_from("new", "new", NULL, DAY, 2 * DAY, NULL);
	round_trip("new", "new.crt", NULL, "clock");
}

static void a_weak_key_is_refused(void **state)
{
	struct testpki weak = testpki_make_full("weak", NULL, EVP_RSA_gen(1024), false, -DAY, DAY,
						NULL);

	(void)state;
	testpki_write(&weak, &dir, "weak");
	round_trip("weak", "weak.crt", NULL, "too weak");
	testpki_free(&weak);
}

static void altered_content_is_refused(void **state)
{
	uint8_t *sig, altered[sizeof text];
	struct err err = { 0 };
	char *name = NULL;
	size_t len;

	(void)state;
	sign("acme", &sig, &len);
	for (size_t i = 0; i < sizeof text; i++) {
		memcpy(altered, text, sizeof text);
		altered[i] ^= 1;
		assert_int_equal(cms_verify_detached(altered, sizeof altered, sig, len,
						     in_dir("acme.crt"), NULL, &name, &err), -1);
		assert_int_equal(err.exit, EX_DATAERR);
		assert_non_null(strstr(err.text, "altered after it was signed"));
	}
	free(sig);
}

static void what_is_no_signature_is_refused(void **state)
{
	static const uint8_t garbage[] = "garbage";
	uint8_t *sig, *longer;
	size_t len;

	(void)state;
	expect_bad("acme.crt", garbage, 0, EX_DATAERR, "manifest.p7s is empty");
	expect_bad("acme.crt", garbage, sizeof garbage, EX_DATAERR, "is not a CMS signature");
	sign("acme", &sig, &len);
	expect_bad("acme.crt", sig, len - 1, EX_DATAERR, "is not a CMS signature");
	longer = calloc(1, len + 1);
	memcpy(longer, sig, len);
	expect_bad("acme.crt", longer, len + 1, EX_DATAERR, "is not a CMS signature");
	free(longer);
	free(sig);
}

/* Encodes cms, expects the refusal, and frees cms. */
static void expect_cms_bad(CMS_ContentInfo *cms, const char *why)
{
	uint8_t *der = NULL;
	int len;

	assert_non_null(cms);
	len = i2d_CMS_ContentInfo(cms, &der);
	assert_true(len > 0);
	expect_bad("acme.crt", der, (size_t)len, EX_DATAERR, why);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
}

static void signed_data_without_a_signer_is_refused(void **state)
{
	(void)state;
	expect_cms_bad(CMS_sign(NULL, NULL, NULL, NULL, CMS_BINARY | CMS_DETACHED | CMS_PARTIAL),
		       "names no signer");
}

static void a_signature_with_content_of_its_own_is_refused(void **state)
{
	struct testpki p = testpki_make("release");
	BIO *content = BIO_new_mem_buf("other", 5);

	(void)state;
	expect_cms_bad(CMS_sign(p.cert, p.key, NULL, content, CMS_BINARY), "not a detached");
	BIO_free(content);
	testpki_free(&p);
}

static void a_signature_without_certificates_needs_the_signer_in_the_keyring(void **state)
{
	struct testpki p = testpki_make("lone");
	BIO *content = BIO_new_mem_buf(text, sizeof text);
	CMS_ContentInfo *cms = CMS_sign(p.cert, p.key, NULL, content,
					CMS_BINARY | CMS_DETACHED | CMS_NOCERTS);
	uint8_t *der = NULL;
	int len = i2d_CMS_ContentInfo(cms, &der);

	(void)state;
	testpki_write(&p, &dir, "lone");
	expect_good("lone.crt", der, (size_t)len, "O=Acme, CN=lone");
	expect_cms_bad(cms, "neither in manifest.p7s nor in the keyring");
	OPENSSL_free(der);
	BIO_free(content);
	testpki_free(&p);
}

static void a_useless_keyring_is_a_configuration_error_that_names_it(void **state)
{
	uint8_t *sig;
	size_t len;

	(void)state;
	sign("acme", &sig, &len);
	expect_bad("none.pem", sig, len, EX_CONFIG, "none.pem: No such file or directory");
	testdir_text(&dir, "empty.pem", "");
	expect_bad("empty.pem", sig, len, EX_CONFIG, "empty.pem holds no certificate");
	expect_bad("acme.key", sig, len, EX_CONFIG, "acme.key holds no certificate");
	testdir_text(&dir, "bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"
				      "-----END CERTIFICATE-----\n");
	expect_bad("bad.pem", sig, len, EX_CONFIG, "bad.pem is damaged");
	free(sig);
}

static void signing_twice_with_rsa_gives_the_same_bytes(void **state)
{
	struct testpki p = testpki_make_full("rsa", NULL, EVP_RSA_gen(2048), false, -DAY, DAY,
					     NULL);
	uint8_t *one, *two;
	size_t one_len, two_len;

	(void)state;
	testpki_write(&p, &dir, "rsa");
	sign("rsa", &one, &one_len);
	sign("rsa", &two, &two_len);
	assert_int_equal(one_len, two_len);
	assert_memory_equal(one, two, one_len);
	expect_good("rsa.crt", one, one_len, "O=Acme, CN=rsa");
	free(one);
	free(two);
	testpki_free(&p);
}

static void signing_says_which_file_is_wrong(void **state)
{
	static const struct {
		const char *key, *cert;
		int exit;
		const char *why;
	} rows[] = {
		{ "none.key", "acme.crt", EX_NOINPUT, "none.key: No such file" },
		{ "acme.key", "none.crt", EX_NOINPUT, "none.crt: No such file" },
		{ "acme.crt", "acme.crt", EX_DATAERR, "acme.crt: it is not an unencrypted" },
		{ "locked.key", "acme.crt", EX_DATAERR, "locked.key: it is not an unencrypted" },
		{ "acme.key", "acme.key", EX_DATAERR, "acme.key holds no certificate" },
		{ "stranger.key", "acme.crt", EX_DATAERR, "does not belong to" },
		{ "ed.key", "ed.crt", EX_DATAERR, "(RSA and ECDSA keys work)" },
	};
	struct testpki p = testpki_make("locked");
	FILE *f = fopen(in_dir("locked.key"), "w");

	(void)state;
	assert_int_equal(PEM_write_PrivateKey(f, p.key, EVP_aes_128_cbc(), (const uint8_t *)"pw",
					      2, NULL, NULL), 1);
	fclose(f);
	testpki_free(&p);
	make_ed25519("ed");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		uint8_t *sig = NULL;
		size_t len;

		assert_int_equal(cms_sign_detached(text, sizeof text, in_dir(rows[i].key),
						   in_dir(rows[i].cert), &sig, &len, &err), -1);
		if (err.exit != rows[i].exit || !strstr(err.text, rows[i].why))
			fail_msg("row %zu: exit %d: %s", i, err.exit, err.text);
	}
}

static int setup(void **state)
{
	(void)state;
	testdir_make(&dir);
	make("acme", "release");
	make("stranger", "stranger");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testdir_remove(&dir);
	return 0;
}

/* SignedData without content, with so many times SHA3-512 as its digestAlgorithms, and one
 * signer, of whom nothing is known, who uses SHA-256. */
static CMS_ContentInfo *many_digests(unsigned count)
{
	static const uint8_t head[] = { 0x30, 0x82, 0, 0, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13,
					1, 7, 2, 0xa0, 0x82, 0, 0, 0x30, 0x82, 0, 0, 2, 1, 1,
					0x31, 0x82, 0, 0 };
	static const uint8_t sha3[] = { 0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 10 };
	static const uint8_t tail[] = { 0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 7, 1,
					0x31, 41, 0x30, 39, 2, 1, 1, 0x30, 5, 0x30, 0, 2, 1, 1,
					0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1,
					0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1,
					4, 1, 0 };
	static const uint8_t lengths_end[] = { 4, 19, 23, 30 };	/* behind each length of head */
	size_t set = count * sizeof sha3, len = sizeof head + set + sizeof tail;
	uint8_t *der = malloc(len);
	const uint8_t *p = der;
	CMS_ContentInfo *cms;

	memcpy(der, head, sizeof head);
	for (unsigned i = 0; i < ARRAY_SIZE(lengths_end); i++) {
		size_t n = i == 3 ? set : len - lengths_end[i];

		der[lengths_end[i] - 2] = (uint8_t)(n >> 8);
		der[lengths_end[i] - 1] = (uint8_t)n;
	}
	for (unsigned i = 0; i < count; i++)
		memcpy(der + sizeof head + i * sizeof sha3, sha3, sizeof sha3);
	memcpy(der + sizeof head + set, tail, sizeof tail);
	cms = d2i_CMS_ContentInfo(NULL, &p, (long)len);
	assert_non_null(cms);
	free(der);
	return cms;
}

/* 4940 of them, over a megabyte, are 20 seconds, before anything was found good. */
static void the_content_is_digested_once_for_each_digest_that_a_signer_uses(void **state)
{
	CMS_ContentInfo *cms = many_digests(4940);
	struct err err = { 0 };
	unsigned filters = 0;
	BIO *content;

	(void)state;
	assert_int_equal(cms_digest_content(cms, text, sizeof text, &content, &err), 0);
	for (BIO *b = content; (b = BIO_find_type(b, BIO_TYPE_MD)); b = BIO_next(b))
		filters++;
	assert_int_equal(filters, 1);
	BIO_free_all(content);
	CMS_ContentInfo_free(cms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_by_a_self_signed_certificate_of_the_keyring_is_good),
		cmocka_unit_test(any_certificate_of_the_keyring_may_sign),
		cmocka_unit_test(a_signer_certified_by_a_ca_of_the_keyring_is_good),
		cmocka_unit_test(intermediates_in_the_certificate_file_go_along),
		cmocka_unit_test(a_stranger_is_named_and_refused),
		cmocka_unit_test(a_stranger_who_took_a_trusted_name_is_refused),
		cmocka_unit_test(a_certificate_that_is_no_ca_certifies_nobody),
		cmocka_unit_test(an_expired_certificate_is_refused_with_its_date),
		cmocka_unit_test(a_certificate_from_the_future_is_refused_and_the_clock_doubted),
		cmocka_unit_test(a_weak_key_is_refused),
		cmocka_unit_test(altered_content_is_refused),
		cmocka_unit_test(what_is_no_signature_is_refused),
		cmocka_unit_test(signed_data_without_a_signer_is_refused),
		cmocka_unit_test(a_signature_with_content_of_its_own_is_refused),
		cmocka_unit_test(a_signature_without_certificates_needs_the_signer_in_the_keyring),
		cmocka_unit_test(a_useless_keyring_is_a_configuration_error_that_names_it),
		cmocka_unit_test(signing_twice_with_rsa_gives_the_same_bytes),
		cmocka_unit_test(signing_says_which_file_is_wrong),
		cmocka_unit_test(the_content_is_digested_once_for_each_digest_that_a_signer_uses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
