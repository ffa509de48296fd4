/* SPDX-License-Identifier: MIT */
/* Keys and certificates from files and from a token: SoftHSM's, in a directory. */
#include "signkey.h"

#include "cms.h"
#include "testpki.h"
#include "io.h"

#define TOKEN "pkcs11:token=release"
#define WITH_PIN "?pin-value=1234"

static struct testdir dir;
static char pem_key[128], pem_cert[128];

static void run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	strcat(command, " >/dev/null 2>&1");
	if (system(command) != 0)
		fail_msg("%s", command);
}

static int setup(void **state)
{
	struct testpki rsa = testpki_make_full("release", NULL, EVP_RSA_gen(2048), false, -DAY,
					       DAY, NULL);
	char conf[256];

	(void)state;
	testdir_make(&dir);
	testpki_write(&rsa, &dir, "acme");
	testpki_free(&rsa);
	snprintf(pem_key, sizeof pem_key, "%s/acme.key", dir.path);
	snprintf(pem_cert, sizeof pem_cert, "%s/acme.crt", dir.path);
	snprintf(conf, sizeof conf, "directories.tokendir = %s/tokens\n", dir.path);
	testdir_text(&dir, "softhsm2.conf", conf);
	assert_int_equal(mkdir(testdir_path(&dir, "tokens"), 0700), 0);
	setenv("SOFTHSM2_CONF", testdir_path(&dir, "softhsm2.conf"), 1);
	setenv("PKCS11_MODULE_PATH", "/usr/lib/softhsm/libsofthsm2.so", 1);
	run("openssl pkcs8 -topk8 -nocrypt -in %s -out %s/p8", pem_key, dir.path);
	run("openssl x509 -in %s -outform DER -out %s/der", pem_cert, dir.path);
	run("softhsm2-util --init-token --free --label release --pin 1234 --so-pin 5678");
	run("softhsm2-util --import %s/p8 --token release --label signing --id 01 --pin 1234",
	    dir.path);
	run("pkcs11-tool --module $PKCS11_MODULE_PATH --token-label release --login --pin 1234 "
	    "--write-object %s/der --type cert --label signing --id 01", dir.path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testdir_remove(&dir);
	return 0;
}

static void a_token_signs_as_the_same_key_in_a_file_does(void **state)
{
	static const uint8_t text[] = "manifest";
	uint8_t *by_file, *by_token;
	size_t file_len, token_len;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(cms_sign_detached(text, sizeof text, pem_key, pem_cert, &by_file,
					   &file_len, &err), 0);
	for (int cert_too = 0; cert_too < 2; cert_too++) {
		if (cms_sign_detached(text, sizeof text, TOKEN ";object=signing" WITH_PIN,
				      cert_too ? TOKEN ";object=signing" : pem_cert, &by_token,
				      &token_len, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(token_len, file_len);
		assert_memory_equal(by_token, by_file, file_len);
		free(by_token);
	}
	free(by_file);
}

static void a_token_and_a_file_sign_together(void **state)
{
	static const uint8_t text[] = "manifest";
	struct testpki other = testpki_make("second");
	const struct cms_rules two = { .signers = 2 };
	char key[128], cert[128], both[128], *names = NULL;
	const struct cms_signer signers[] = {
		{ TOKEN ";object=signing" WITH_PIN, TOKEN ";object=signing", NULL },
		{ key, cert, NULL },
	};
	struct err err = { 0 };
	uint8_t *sig;
	size_t len;

	(void)state;
	testpki_write(&other, &dir, "second");
	testpki_free(&other);
	snprintf(key, sizeof key, "%s/second.key", dir.path);
	snprintf(cert, sizeof cert, "%s/second.crt", dir.path);
	snprintf(both, sizeof both, "%s/both.pem", dir.path);
	run("sh -c 'cat %s %s > %s'", pem_cert, cert, both);
	if (cms_sign(text, sizeof text, signers, 2, 0, &sig, &len, &err) < 0 ||
	    cms_verify_detached(text, sizeof text, sig, len, both, &two, &names, &err) < 0)
		fail_msg("%s", err.text);
	free(names);
	free(sig);
}

static void the_pin_may_be_in_a_file(void **state)
{
	char uri[256];
	EVP_PKEY *key;
	struct err err = { 0 };

	(void)state;
	testdir_text(&dir, "pin", "1234");
	snprintf(uri, sizeof uri, TOKEN ";object=signing?pin-source=file:%s/pin", dir.path);
	if (signkey_load(uri, &key, &err) < 0)
		fail_msg("%s", err.text);
	EVP_PKEY_free(key);
}

static void expect_refused(const char *where, const char *why)
{
	EVP_PKEY *key = NULL;
	struct err err = { 0 };

	assert_int_equal(signkey_load(where, &key, &err), -1);
	assert_null(key);
	if (!strstr(err.text, why) || err.exit != EX_NOINPUT)
		fail_msg("expected \"%s\", got exit %d: %s", why, err.exit, err.text);
	assert_null(strstr(err.text, "pin-value=9999"));
}

static void what_the_token_does_not_have_is_refused(void **state)
{
	x509_stack *certs = NULL;
	struct err err = { 0 };

	(void)state;
	expect_refused(TOKEN ";object=nothing" WITH_PIN, "failed to find the signing key "
		       TOKEN ";object=nothing:");
	expect_refused("pkcs11:token=elsewhere;object=signing" WITH_PIN, "failed to find the");
	assert_int_equal(signkey_certs(TOKEN ";object=nothing", &certs, &err), -1);
	assert_non_null(strstr(err.text, "failed to find the certificate " TOKEN));
}

static void a_wrong_pin_is_refused_and_not_told(void **state)
{
	(void)state;
	expect_refused(TOKEN ";object=signing?pin-value=9999", "PIN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: the token lets in who has logged in before */
		cmocka_unit_test(a_wrong_pin_is_refused_and_not_told),
		cmocka_unit_test(a_token_signs_as_the_same_key_in_a_file_does),
		cmocka_unit_test(a_token_and_a_file_sign_together),
		cmocka_unit_test(the_pin_may_be_in_a_file),
		cmocka_unit_test(what_the_token_does_not_have_is_refused),
	};

	if (getenv("RUN_UNDER")) {
		printf("left out: there is neither engine nor token of the architecture that qemu-user stands for\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
