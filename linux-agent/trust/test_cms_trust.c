/* SPDX-License-Identifier: MIT */
/* Who may sign: purpose, validity, revocation, rotation, m of n; and the list of
 * signatures that must be refused, each with its own message. */
#include "cms.h"

#include "testpki.h"
#include "io.h"

#include <openssl/cms.h>

static struct testdir dir;
static struct testpki ca;		/* ca.crt */
static const char *carried_crl;		/* what sign() puts in; NULL: none */
static char crl[128];			/* now.crl */
static const uint8_t text[] = "{\"format\":2}";

static char *in_dir(const char *name, const char *suffix)
{
	static char paths[8][128];
	static unsigned next;

	next = (next + 1) % 8;
	snprintf(paths[next], sizeof paths[next], "%s/%s%s", dir.path, name, suffix);
	return paths[next];
}

/* NAME.key and NAME.crt, from ca (or self-signed); freed by the caller. */
static struct testpki make(const char *name, bool from_ca, long from, long until,
			   const char *usage)
{
	struct testpki p = testpki_make_full(name, from_ca ? &ca : NULL, EVP_EC_gen("P-256"),
					     false, from, until, usage);

	testpki_write(&p, &dir, name);
	return p;
}

static void make_only(const char *name, bool from_ca, long from, long until, const char *usage)
{
	struct testpki p = make(name, from_ca, from, until, usage);

	testpki_free(&p);
}

struct signature {
	uint8_t *der;
	size_t len;
};

/* By one or two; second may be NULL. when as in cms_sign(). */
static struct signature sign(const char *first, const char *second, time_t when)
{
	const struct cms_signer signers[] = {
		{ in_dir(first, ".key"), in_dir(first, ".crt"), carried_crl },
		{ in_dir(second ? second : "", ".key"), in_dir(second ? second : "", ".crt"), NULL },
	};
	struct signature s = { 0 };
	struct err err = { 0 };

	if (cms_sign(text, sizeof text, signers, second ? 2 : 1, when, &s.der, &s.len, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static int verify(const struct signature *s, const char *keyring, const struct cms_rules *rules,
		  char **name, struct err *err)
{
	*name = NULL;
	*err = (struct err){ 0 };
	return cms_verify_detached(text, sizeof text, s->der, s->len, in_dir(keyring, ""), rules,
				   name, err);
}

static void expect_good(struct signature s, const char *keyring, const struct cms_rules *rules,
			const char *signers)
{
	struct err err;
	char *name;

	if (verify(&s, keyring, rules, &name, &err) < 0)
		fail_msg("%s", err.text);
	/* DER sorts the signers by their bytes: two stand in either order. */
	for (const char *one = signers; one; one = strstr(one, " and ") ? strstr(one, " and ") + 5
									: NULL) {
		size_t len = strstr(one, " and ") ? (size_t)(strstr(one, " and ") - one) : strlen(one);

		if (!memmem(name, strlen(name), one, len))
			fail_msg("%s is not among %s", one, name);
	}
	assert_int_equal(strlen(name), strlen(signers));
	free(name);
	free(s.der);
}

static void expect_bad(struct signature s, const char *keyring, const struct cms_rules *rules,
		       int exit, const char *why)
{
	struct err err;
	char *name;

	assert_int_equal(verify(&s, keyring, rules, &name, &err), -1);
	assert_null(name);
	if (!strstr(err.text, why) || err.exit != exit)
		fail_msg("expected \"%s\", got exit %d: %s", why, err.exit, err.text);
	free(s.der);
}

/* A keyring of several files. */
static void keyring_make(const char *name, const char *const *certs)
{
	FILE *f = fopen(in_dir(name, ""), "w");

	for (; *certs; certs++) {
		uint8_t *pem;
		size_t len;

		assert_int_equal(read_file(in_dir(*certs, ".crt"), 65536, &pem, &len), 0);
		assert_int_equal(fwrite(pem, 1, len, f), len);
		free(pem);
	}
	fclose(f);
}

static void a_certificate_for_another_purpose_is_refused(void **state)
{
	(void)state;
	make_only("tls", true, -DAY, DAY, "serverAuth");
	expect_bad(sign("tls", NULL, 0), "ca.crt", NULL, EX_DATAERR,
		   "the certificate of O=Acme, CN=tls is not for code signing");
	/* Also if it is itself in the keyring, and anyExtendedKeyUsage is not enough. */
	expect_bad(sign("tls", NULL, 0), "tls.crt", NULL, EX_DATAERR, "is not for code signing");
	make_only("any", true, -DAY, DAY, "anyExtendedKeyUsage");
	expect_bad(sign("any", NULL, 0), "ca.crt", NULL, EX_DATAERR, "is not for code signing");
	make_only("both", true, -DAY, DAY, "serverAuth,codeSigning");
	expect_good(sign("both", NULL, 0), "ca.crt", NULL, "O=Acme, CN=both");
}

static void an_authority_for_another_purpose_is_refused(void **state)
{
	struct testpki mid = testpki_make_full("TLS CA", &ca, EVP_EC_gen("P-256"), true, -DAY, DAY,
					       "serverAuth");
	struct testpki leaf = testpki_make_full("leaf", &mid, EVP_EC_gen("P-256"), false, -DAY,
						DAY, "codeSigning");

	(void)state;
	testpki_write(&leaf, &dir, "leaf");
	testpki_write_cert(&mid, in_dir("leaf", ".crt"), "a");
	expect_bad(sign("leaf", NULL, 0), "ca.crt", NULL, EX_DATAERR,
		   "CN=TLS CA is not for code signing");
	testpki_free(&leaf);
	testpki_free(&mid);
}

static void a_certificate_that_may_not_sign_is_refused(void **state)
{
	struct testpki p = testpki_make("agree");

	(void)state;
	testpki_extension(p.cert, NID_key_usage, "critical,keyAgreement");
	assert_true(X509_sign(p.cert, p.key, EVP_sha256()) > 0);
	testpki_write(&p, &dir, "agree");
	expect_bad(sign("agree", NULL, 0), "agree.crt", NULL, EX_DATAERR,
		   "CN=agree is not for signatures (keyUsage)");
	testpki_free(&p);
}

static void a_missing_intermediate_is_named(void **state)
{
	struct testpki mid = testpki_make_full("Acme sub-CA", &ca, EVP_EC_gen("P-256"), true, -DAY,
					       DAY, NULL);
	struct testpki leaf = testpki_make_full("deep", &mid, EVP_EC_gen("P-256"), false, -DAY,
						DAY, NULL);

	(void)state;
	testpki_write(&leaf, &dir, "deep");
	testpki_write(&mid, &dir, "mid");
	expect_bad(sign("deep", NULL, 0), "ca.crt", NULL, EX_DATAERR,
		   "is by O=Acme, CN=deep, certified by O=Acme, CN=Acme sub-CA, who is not in the "
		   "keyring");
	keyring_make("with-mid.pem", (const char *const[]){ "mid", "ca", NULL });
	expect_good(sign("deep", NULL, 0), "with-mid.pem", NULL, "O=Acme, CN=deep");
	testpki_free(&leaf);
	testpki_free(&mid);
}

static void a_revoked_certificate_is_refused(void **state)
{
	struct testpki leaf = make("leaf", true, -DAY, DAY, NULL);
	struct cms_rules rules = { .crl = crl };

	(void)state;
	testpki_write_crl(&ca, NULL, -DAY, DAY, &dir, "now");
	expect_good(sign("leaf", NULL, 0), "ca.crt", &rules, "O=Acme, CN=leaf");
	testpki_write_crl(&ca, &leaf, -DAY, DAY, &dir, "now");
	expect_bad(sign("leaf", NULL, 0), "ca.crt", &rules, EX_DATAERR,
		   "the certificate of O=Acme, CN=leaf is revoked (crl = /tmp/");
	/* Revocation does not wait for the time of the signature. */
	rules.signing_time = true;
	expect_bad(sign("leaf", NULL, time(NULL) - 3600), "ca.crt", &rules, EX_DATAERR,
		   "is revoked");
	testpki_free(&leaf);
}

static void a_crl_that_says_nothing_is_a_configuration_error(void **state)
{
	struct testpki other = testpki_make_full("Other CA", NULL, EVP_EC_gen("P-256"), true, -DAY,
						 DAY, NULL);
	struct cms_rules rules = { .crl = crl };

	(void)state;
	make_only("leaf", true, -DAY, DAY, NULL);
	testpki_write_crl(&ca, NULL, -2 * DAY, -DAY, &dir, "now");
	expect_bad(sign("leaf", NULL, 0), "ca.crt", &rules, EX_CONFIG, "now.crl is out of date");
	testpki_write_crl(&ca, NULL, DAY, 2 * DAY, &dir, "now");
	expect_bad(sign("leaf", NULL, 0), "ca.crt", &rules, EX_CONFIG, "is from the future");
	testpki_write_crl(&other, NULL, -DAY, DAY, &dir, "now");
	expect_bad(sign("leaf", NULL, 0), "ca.crt", &rules, EX_CONFIG,
		   "has no CRL of O=Acme, CN=Acme CA");
	/* What is in the keyring itself needs none. */
	expect_good(sign("leaf", NULL, 0), "leaf.crt", &rules, "O=Acme, CN=leaf");
	testdir_text(&dir, "now.crl", "nothing");
	expect_bad(sign("leaf", NULL, 0), "ca.crt", &rules, EX_CONFIG, "now.crl holds no CRL");
	rules.crl = "/nonexistent.crl";
	expect_bad(sign("leaf", NULL, 0), "ca.crt", &rules, EX_CONFIG,
		   "failed to read the revocation list /nonexistent.crl: No such file");
	testpki_free(&other);
}

static void a_forged_crl_is_no_excuse(void **state)
{
	struct testpki fake = testpki_make_full("Acme CA", NULL, EVP_EC_gen("P-256"), true, -DAY,
						DAY, NULL);
	const struct cms_rules rules = { .crl = crl };

	(void)state;
	make_only("leaf", true, -DAY, DAY, NULL);
	testpki_write_crl(&fake, NULL, -DAY, DAY, &dir, "now");
	expect_bad(sign("leaf", NULL, 0), "ca.crt", &rules, EX_CONFIG, "failed to see whether");
	testpki_free(&fake);
}

/* The list in NAME.crl lapsed or is older or newer than the one in the signature. */
static void the_newest_list_of_the_file_and_the_signature_counts(void **state)
{
	struct testpki leaf = make("leaf", true, -DAY, DAY, NULL);
	struct testpki fake = testpki_make_full("Acme CA", NULL, EVP_EC_gen("P-256"), true, -DAY,
						DAY, NULL);
	const struct {
		const char *what;
		long from, until;		/* of the file's list */
		long carried_from;		/* of the signature's, which is current */
		bool revoked, carried_revoked;
		const struct testpki *carried_by;
		const char *why;		/* NULL: good */
		int exit;
	} rows[] = {
		{ "a fresh list heals", -9, -8, -1, false, false, &ca, NULL, 0 },
		{ "a fresh list revokes", -9, 9, -1, false, true, &ca, "is revoked", EX_DATAERR },
		{ "a fresh list revokes where the file's lapsed", -9, -8, -1, false, true, &ca,
		  "is revoked", EX_DATAERR },
		{ "an older list takes nothing back", -1, 9, -9, true, false, &ca, "is revoked",
		  EX_DATAERR },
		{ "nor where the file's lapsed since", -4, -3, -9, true, false, &ca, "out of date",
		  EX_CONFIG },
		{ "a forged list heals nothing", -9, -8, -1, false, false, &fake,
		  "failed to see whether", EX_CONFIG },
	};
	const struct cms_rules rules = { .crl = crl };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		testpki_write_crl(&ca, rows[i].revoked ? &leaf : NULL, rows[i].from * 3600,
				  rows[i].until * 3600, &dir, "now");
		testpki_write_crl(rows[i].carried_by, rows[i].carried_revoked ? &leaf : NULL,
				  rows[i].carried_from * 3600, DAY, &dir, "carried");
		carried_crl = in_dir("carried", ".crl");
		print_message("%s\n", rows[i].what);
		if (rows[i].why)
			expect_bad(sign("leaf", NULL, 0), "ca.crt", &rules, rows[i].exit,
				   rows[i].why);
		else
			expect_good(sign("leaf", NULL, 0), "ca.crt", &rules, "O=Acme, CN=leaf");
		carried_crl = NULL;
	}
	testpki_free(&fake);
	testpki_free(&leaf);
}

static void without_a_crl_file_no_list_counts(void **state)
{
	struct testpki leaf = make("leaf", true, -DAY, DAY, NULL);

	(void)state;
	testpki_write_crl(&ca, &leaf, -DAY, DAY, &dir, "carried");
	carried_crl = in_dir("carried", ".crl");
	expect_good(sign("leaf", NULL, 0), "ca.crt", NULL, "O=Acme, CN=leaf");
	carried_crl = NULL;
	testpki_free(&leaf);
}

static void a_lapsed_list_that_only_warns_still_revokes(void **state)
{
	struct testpki leaf = make("leaf", true, -DAY, DAY, NULL);
	const struct cms_rules rules = { .crl = crl, .crl_expired = 1 };
	char good[300];

	(void)state;
	testpki_write_crl(&ca, NULL, -2 * DAY, -DAY, &dir, "now");
	snprintf(good, sizeof good, "O=Acme, CN=leaf (warning: a CRL in %s is out of date and "
		 "counts all the same: crl-expired = warn)", crl);
	expect_good(sign("leaf", NULL, 0), "ca.crt", &rules, good);
	testpki_write_crl(&ca, &leaf, -2 * DAY, -DAY, &dir, "now");
	expect_bad(sign("leaf", NULL, 0), "ca.crt", &rules, EX_DATAERR, "is revoked");
	testpki_write_crl(&ca, NULL, -DAY, DAY, &dir, "now");
	expect_good(sign("leaf", NULL, 0), "ca.crt", &rules, "O=Acme, CN=leaf");
	testpki_free(&leaf);
}

/* The floor and the running slot's manifest were judged when they came; a list that lapsed
 * since must not keep out the bundle that brings the next one. */
static void where_dates_do_not_matter_a_lapsed_list_only_revokes(void **state)
{
	struct testpki leaf = make("leaf", true, -DAY, DAY, NULL);
	const struct cms_rules rules = { .crl = crl, .any_time = true };

	(void)state;
	testpki_write_crl(&ca, NULL, -2 * DAY, -DAY, &dir, "now");
	expect_good(sign("leaf", NULL, 0), "ca.crt", &rules, "O=Acme, CN=leaf");
	testpki_write_crl(&ca, &leaf, -2 * DAY, -DAY, &dir, "now");
	expect_bad(sign("leaf", NULL, 0), "ca.crt", &rules, EX_DATAERR, "is revoked");
	testpki_free(&leaf);
}

static void validity_goes_by_the_signing_time_only_where_configured(void **state)
{
	const struct cms_rules by_time = { .signing_time = true };
	const time_t then = time(NULL) - 2 * DAY - 3600;

	(void)state;
	make_only("old", true, -3 * DAY, -2 * DAY, NULL);
	expect_bad(sign("old", NULL, then), "ca.crt", NULL, EX_DATAERR, "CN=old expired on");
	make_only("oldself", false, -3 * DAY, -2 * DAY, NULL);
	expect_good(sign("oldself", NULL, then), "oldself.crt", &by_time, "O=Acme, CN=oldself");
	expect_bad(sign("oldself", NULL, then + DAY), "oldself.crt", &by_time, EX_DATAERR,
		   ", and the signature was made later");
	expect_bad(sign("oldself", NULL, then - 2 * DAY), "oldself.crt", &by_time, EX_DATAERR,
		   ", and the signature was made earlier");
	/* Without a time in it: now. */
	expect_bad(sign("oldself", NULL, 0), "oldself.crt", &by_time, EX_DATAERR, "expired on");
	/* The authority must have been valid as well: it was not yet. */
	expect_bad(sign("old", NULL, then), "ca.crt", &by_time, EX_DATAERR,
		   "CN=Acme CA is valid only from");
}

/* As a DER UTCTime has it. */
static void utc_text(time_t when, char out[14])
{
	struct tm tm;

	assert_int_equal(strftime(out, 14, "%y%m%d%H%M%SZ", gmtime_r(&when, &tm)), 13);
}

static void a_signing_time_that_was_moved_is_refused(void **state)
{
	const struct cms_rules by_time = { .signing_time = true };
	const time_t then = time(NULL) - 2 * DAY - 3600;
	struct signature s;
	char is[14], was[14];
	uint8_t *at;

	(void)state;
	make_only("moved", false, -3 * DAY, -2 * DAY, NULL);
	s = sign("moved", NULL, then + DAY);
	utc_text(then + DAY, is);
	utc_text(then, was);
	at = memmem(s.der, s.len, is, 13);
	assert_non_null(at);
	memcpy(at, was, 13);
	expect_bad(s, "moved.crt", &by_time, EX_DATAERR, "does not match its signature");
}

static void a_signature_by_old_and_new_key_is_good_for_either_keyring(void **state)
{
	(void)state;
	make_only("old", false, -DAY, DAY, NULL);
	make_only("new", false, -DAY, DAY, NULL);
	make_only("other", false, -DAY, DAY, NULL);
	expect_good(sign("old", "new", 0), "old.crt", NULL, "O=Acme, CN=old");
	expect_good(sign("old", "new", 0), "new.crt", NULL, "O=Acme, CN=new");
	expect_bad(sign("old", "new", 0), "other.crt", NULL, EX_DATAERR, "is not in the keyring");
}

static void as_many_signers_as_configured_must_have_signed(void **state)
{
	const struct cms_rules two = { .signers = 2 }, three = { .signers = 3 };

	(void)state;
	make_only("one", false, -DAY, DAY, NULL);
	make_only("two", false, -DAY, DAY, NULL);
	make_only("past", false, -2 * DAY, -DAY, NULL);
	keyring_make("all.pem", (const char *const[]){ "one", "two", "past", NULL });
	expect_good(sign("one", "two", 0), "all.pem", &two, "O=Acme, CN=one and O=Acme, CN=two");
	expect_bad(sign("one", NULL, 0), "all.pem", &two, EX_DATAERR,
		   "manifest.json has 1 of the 2 signers needed (signers = 2)");
	expect_bad(sign("one", "one", 0), "all.pem", &two, EX_DATAERR, "has 1 of the 2 signers");
	expect_bad(sign("one", "past", 0), "all.pem", &two, EX_DATAERR, "CN=past expired on");
	expect_bad(sign("one", "two", 0), "one.crt", &two, EX_DATAERR,
		   "1 of the 2 signers needed (signers = 2): the signature of manifest.json is by "
		   "O=Acme, CN=two, who is not in the keyring");
	expect_bad(sign("one", "two", 0), "all.pem", &three, EX_DATAERR, "has 2 of the 3");
}

/* One person with two certificates for one key must not count twice. */
static void two_certificates_of_one_key_are_one_signer(void **state)
{
	struct testpki p = make("first", true, -DAY, DAY, NULL);
	const struct cms_rules two = { .signers = 2 };
	struct testpki again;

	(void)state;
	EVP_PKEY_up_ref(p.key);
	again = testpki_make_full("second", &ca, p.key, false, -DAY, DAY, NULL);
	testpki_write(&again, &dir, "second");
	expect_bad(sign("first", "second", 0), "ca.crt", &two, EX_DATAERR, "has 1 of the 2");
	testpki_free(&again);
	testpki_free(&p);
}

static struct signature encode(CMS_ContentInfo *cms)
{
	struct signature s = { 0 };
	uint8_t *der = NULL;
	int len;

	assert_non_null(cms);
	len = i2d_CMS_ContentInfo(cms, &der);
	assert_true(len > 0);
	s.der = malloc((size_t)len);
	memcpy(s.der, der, (size_t)len);
	s.len = (size_t)len;
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	return s;
}

/* Signs any bytes with any digest. */
static struct signature sign_raw(const struct testpki *p, const EVP_MD *md, const void *data,
				 size_t len)
{
	CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL,
					CMS_BINARY | CMS_DETACHED | CMS_PARTIAL);
	BIO *content = BIO_new_mem_buf(data, (int)len);

	assert_non_null(CMS_add1_signer(cms, p->cert, p->key, md, CMS_BINARY));
	assert_int_equal(CMS_final(cms, content, NULL, CMS_BINARY), 1);
	BIO_free(content);
	return encode(cms);
}

static void a_weak_digest_is_refused(void **state)
{
	struct testpki p = testpki_make_full("weak", NULL, EVP_RSA_gen(2048), false, -DAY, DAY,
					     NULL);

	(void)state;
	testpki_write(&p, &dir, "weak");
	expect_bad(sign_raw(&p, EVP_sha1(), text, sizeof text), "weak.crt", NULL, EX_DATAERR,
		   "by O=Acme, CN=weak uses the digest sha1, which is too weak");
	expect_bad(sign_raw(&p, EVP_md5(), text, sizeof text), "weak.crt", NULL, EX_DATAERR,
		   "uses the digest md5");
	expect_good(sign_raw(&p, EVP_sha512(), text, sizeof text), "weak.crt", NULL,
		    "O=Acme, CN=weak");
	testpki_free(&p);
}

static void an_authority_with_a_weak_digest_is_refused(void **state)
{
	struct testpki leaf = testpki_make_full("leaf", &ca, EVP_EC_gen("P-256"), false, -DAY, DAY,
						NULL);

	(void)state;
	assert_true(X509_sign(leaf.cert, ca.key, EVP_sha1()) > 0);
	testpki_write(&leaf, &dir, "sha1");
	expect_bad(sign("sha1", NULL, 0), "ca.crt", NULL, EX_DATAERR, "digest algorithm too weak");
	testpki_free(&leaf);
}

static void a_signature_over_other_bytes_is_refused(void **state)
{
	struct testpki p = make("other", false, -DAY, DAY, NULL);

	(void)state;
	expect_bad(sign_raw(&p, EVP_sha256(), "other bytes", 11), "other.crt", NULL, EX_DATAERR,
		   "manifest.json does not match its signature");
	testpki_free(&p);
}

static void no_signature_and_an_empty_one_are_refused(void **state)
{
	struct signature none = { malloc(1), 0 };

	(void)state;
	expect_bad(none, "ca.crt", NULL, EX_DATAERR,
		   "manifest.json is not signed: manifest.p7s is empty");
	expect_bad(encode(CMS_sign(NULL, NULL, NULL, NULL,
				   CMS_BINARY | CMS_DETACHED | CMS_PARTIAL)),
		   "ca.crt", NULL, EX_DATAERR, "manifest.p7s names no signer");
}

/* Padded with certificates that nobody asked for: well-formed, and too large. */
static void a_signature_over_64_kib_is_refused(void **state)
{
	struct testpki p = make("fat", false, -DAY, DAY, NULL);
	CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL,
					CMS_BINARY | CMS_DETACHED | CMS_PARTIAL);
	BIO *content = BIO_new_mem_buf(text, sizeof text);

	(void)state;
	assert_non_null(CMS_add1_signer(cms, p.cert, p.key, NULL, CMS_BINARY));
	assert_int_equal(CMS_final(cms, content, NULL, CMS_BINARY), 1);
	BIO_free(content);
	for (int i = 0; i < 250; i++) {
		struct testpki more = testpki_make("more");

		assert_int_equal(CMS_add1_cert(cms, more.cert), 1);
		testpki_free(&more);
	}
	expect_bad(encode(cms), "fat.crt", NULL, EX_DATAERR, "is larger than 65536 bytes");
	testpki_free(&p);
}

static int setup(void **state)
{
	(void)state;
	testdir_make(&dir);
	ca = testpki_make_full("Acme CA", NULL, EVP_EC_gen("P-256"), true, -DAY, DAY, NULL);
	testpki_write(&ca, &dir, "ca");
	snprintf(crl, sizeof crl, "%s/now.crl", dir.path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testpki_free(&ca);
	testdir_remove(&dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_for_another_purpose_is_refused),
		cmocka_unit_test(an_authority_for_another_purpose_is_refused),
		cmocka_unit_test(a_certificate_that_may_not_sign_is_refused),
		cmocka_unit_test(a_missing_intermediate_is_named),
		cmocka_unit_test(a_revoked_certificate_is_refused),
		cmocka_unit_test(a_crl_that_says_nothing_is_a_configuration_error),
		cmocka_unit_test(a_forged_crl_is_no_excuse),
		cmocka_unit_test(the_newest_list_of_the_file_and_the_signature_counts),
		cmocka_unit_test(without_a_crl_file_no_list_counts),
		cmocka_unit_test(a_lapsed_list_that_only_warns_still_revokes),
		cmocka_unit_test(where_dates_do_not_matter_a_lapsed_list_only_revokes),
		cmocka_unit_test(validity_goes_by_the_signing_time_only_where_configured),
		cmocka_unit_test(a_signing_time_that_was_moved_is_refused),
		cmocka_unit_test(a_signature_by_old_and_new_key_is_good_for_either_keyring),
		cmocka_unit_test(as_many_signers_as_configured_must_have_signed),
		cmocka_unit_test(two_certificates_of_one_key_are_one_signer),
		cmocka_unit_test(a_weak_digest_is_refused),
		cmocka_unit_test(an_authority_with_a_weak_digest_is_refused),
		cmocka_unit_test(a_signature_over_other_bytes_is_refused),
		cmocka_unit_test(no_signature_and_an_empty_one_are_refused),
		cmocka_unit_test(a_signature_over_64_kib_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
