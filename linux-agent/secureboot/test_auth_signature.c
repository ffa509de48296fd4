/* SPDX-License-Identifier: MIT */
#include "auth_signature.h"

#include "io.h"
#include "testauth.h"
#include "unittest.h"

static struct testpki kek, owner;

static int people_make(void **state)
{
	(void)state;
	kek = testpki_make("KEK");
	owner = testpki_make_full("db", NULL, EVP_RSA_gen(2048), false, -DAY, DAY, NULL);
	return 0;
}

static int people_free(void **state)
{
	(void)state;
	testpki_free(&kek);
	testpki_free(&owner);
	return 0;
}

static void list_cert(struct testlists *lists, const struct testpki *of)
{
	uint8_t *der = NULL;
	int len = i2d_X509(of->cert, &der);

	(void)testlists_add(lists, GUID_X509, der, (size_t)len, 1);
	OPENSSL_free(der);
}

static int check(const struct testauth *auth, enum efi_auth_variable variable, char signer[128], struct err *err)
{
	struct efi_auth parsed;
	int r = efi_auth_parse("x.auth", variable, auth->bytes, auth->len, &parsed, err);

	assert_int_equal(r, 0);
	r = auth_signature_check("x.auth", &parsed, err);
	auth_signature_signer(&parsed, signer, 128);
	efi_auth_clear(&parsed);
	return r;
}

static void what_was_signed_for_appending_holds(void **state)
{
	static const char *const names[EFI_AUTH_VARIABLES] = { "KEK", "db", "dbx" };

	(void)state;
	for (unsigned i = 0; i < 2 * EFI_AUTH_VARIABLES; i++) {
		struct testauth_how how = { .content_info = i % 2 };
		struct testlists lists = { .len = 0 };
		struct err err = { 0 };
		struct testauth auth;
		char signer[128];

		list_cert(&lists, &owner);
		testauth_make_full(&auth, names[i / 2], &lists, i % 2 ? &kek : &owner, how);
		if (check(&auth, i / 2, signer, &err) < 0)
			fail_msg("%s", err.text);
		assert_non_null(strstr(signer, i % 2 ? "CN=KEK" : "CN=db"));
	}
}

/* The usual mistakes, each in its own words. */
static void what_no_firmware_would_append_is_refused(void **state)
{
	static const struct {
		const char *variable;
		struct testauth_how how;
		int flip;		/* the last byte but so many; 0: none */
		const char *why;
	} rows[] = {
		{ "db", { 0 }, 0, "was signed for db, not for dbx" },
		{ "KEK", { 0 }, 0, "was signed for KEK, not for dbx" },
		{ "PK", { 0 }, 0, "does not hold for appending to dbx" },
		{ "dbx", { .attributes = 0x27 }, 0, "for replacing dbx, not for appending to it: sign-efi-sig-list -a" },
		{ "db", { .attributes = 0x27 }, 0, "for replacing db, not for appending" },
		{ "dbx", { .attributes = 0x47 }, 0, "does not hold" },
		{ "dbx", { .flags = PKCS7_NOCERTS }, 0, "does not carry the certificate of its signer" },
		{ "dbx", { 0 }, 1, "was altered" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct testlists lists = { .len = 0 };
		struct err err = { 0 };
		struct testauth auth;
		char signer[128];

		list_cert(&lists, &owner);
		testauth_make_full(&auth, rows[i].variable, &lists, &kek, rows[i].how);
		if (rows[i].flip)
			auth.bytes[auth.len - (size_t)rows[i].flip] ^= 1;
		assert_int_equal(check(&auth, EFI_AUTH_DBX, signer, &err), -1);
		assert_int_equal(err.exit, EX_DATAERR);
		if (!strstr(err.text, rows[i].why))
			fail_msg("%s", err.text);
	}
}

static void a_certificate_that_is_none_is_refused(void **state)
{
	struct testlists lists = { .len = 0 };
	struct err err = { 0 };
	struct testauth auth;
	char signer[128];

	(void)state;
	(void)testlists_add(&lists, GUID_X509, "-----BEGIN", 10, 1);
	testauth_make(&auth, "db", &lists, &kek);
	assert_int_equal(check(&auth, EFI_AUTH_DB, signer, &err), -1);
	assert_non_null(strstr(err.text, "a certificate that is none"));
}

/* The first OID of SHA-256 is SignedData's own. */
static void a_digest_that_nobody_knows_is_refused(void **state)
{
	static const uint8_t sha256[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01 };
	struct testlists lists = { .len = 0 };
	struct err err = { 0 };
	struct testauth auth;
	char signer[128];
	uint8_t *oid;

	(void)state;
	list_cert(&lists, &owner);
	testauth_make(&auth, "db", &lists, &kek);
	oid = memmem(auth.bytes, auth.len, sha256, sizeof sha256);
	assert_non_null(oid);
	oid[sizeof sha256 - 1] = 0x7f;
	assert_int_equal(check(&auth, EFI_AUTH_DB, signer, &err), -1);
	assert_non_null(strstr(err.text, "does not hold"));
}

static void a_signature_that_is_none_has_no_signer(void **state)
{
	static const uint8_t der[] = { 0x30, 0x02, 0x05, 0x00 };
	struct testlists lists = { .len = 0 };
	struct err err = { 0 };
	struct testauth auth;
	char signer[128];

	(void)state;
	list_cert(&lists, &owner);
	testauth_put(&auth, der, sizeof der, &lists);
	assert_int_equal(check(&auth, EFI_AUTH_DB, signer, &err), -1);
	assert_non_null(strstr(err.text, "no PKCS#7 SignedData"));
	assert_string_equal(signer, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_signed_for_appending_holds),
		cmocka_unit_test(what_no_firmware_would_append_is_refused),
		cmocka_unit_test(a_certificate_that_is_none_is_refused),
		cmocka_unit_test(a_digest_that_nobody_knows_is_refused),
		cmocka_unit_test(a_signature_that_is_none_has_no_signer),
	};

	return cmocka_run_group_tests_name("auth_signature", tests, people_make, people_free);
}
