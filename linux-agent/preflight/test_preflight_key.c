/* SPDX-License-Identifier: MIT */
/* A signed kernel and the keyrings of the running one. */
#include "testpreflight.h"

enum { RING_PLATFORM = 0x12, KEY = 0x2a };

static long ring_read(int32_t keyring, int32_t *keys, unsigned count)
{
	assert_true(count >= 1);
	keys[0] = KEY;
	return keyring == RING_PLATFORM ? 1 : 0;
}

static long ring_empty(int32_t keyring, int32_t *keys, unsigned count)
{
	(void)keyring, (void)keys, (void)count;
	return 0;
}

static long ring_refuse(int32_t keyring, int32_t *keys, unsigned count)
{
	(void)keyring, (void)keys, (void)count;
	return -1;
}

#define RINGS "00000011 I------ 1 perm 1f0b0000 0 0 keyring   .builtin_trusted_keys: 1\n" \
	      "00000012 I------ 1 perm 1f0b0000 0 0 keyring   .platform: 1\n"
#define RIGHT_KEY "0000002a I------ 1 perm 1f030000 0 0 asymmetri Acme: kernel: %s: X509.rsa 1234 []\n"
#define OTHER_KEY "0000002a I------ 1 perm 1f030000 0 0 asymmetri Acme: other: 99: X509.rsa 1234 []\n"

static void under_lockdown_the_signers_key_must_be_in_a_keyring(void **state)
{
	static const struct {
		const char *keys;
		long (*read)(int32_t, int32_t *, unsigned);
		enum preflight_verdict verdict;
		const char *evidence;
	} keyrings[] = {
		{ RINGS RIGHT_KEY, ring_read, PREFLIGHT_PASS, "the key for it is in .platform" },
		{ RINGS OTHER_KEY, ring_read, PREFLIGHT_FAIL, "no key for it" },
		{ RINGS RIGHT_KEY, ring_empty, PREFLIGHT_FAIL, "no key for it" },
		{ RINGS RIGHT_KEY, ring_refuse, PREFLIGHT_UNKNOWN, "keyring that cannot be told" },
		{ RINGS RIGHT_KEY, NULL, PREFLIGHT_UNKNOWN, "keyring that cannot be told" },
		{ RINGS OTHER_KEY, NULL, PREFLIGHT_UNKNOWN, "keyrings cannot be read" },
		{ RIGHT_KEY, ring_read, PREFLIGHT_UNKNOWN, "keyrings cannot be read" },
		{ NULL, ring_read, PREFLIGHT_UNKNOWN, "keyrings cannot be read" },
	};
	struct testpki p = testpki_make_full("kernel", NULL, EVP_RSA_gen(2048), false, -DAY, DAY,
					     NULL);
	const ASN1_INTEGER *serial = X509_get0_serialNumber(p.cert);
	char hex[64], keys[1024];

	(void)state;
	hex_encode(serial->data, (size_t)serial->length, hex);
	for (size_t i = 0; i < ARRAY_SIZE(keyrings); i++) {
		struct fixture f;

		fixture_make(&f);
		testsign(&f.pe, &p);
		f.input.keyring_read = keyrings[i].read;
		testdir_text(&f.dir, "sys/kernel/security/lockdown", "none [integrity] x\n");
		if (keyrings[i].keys) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
			snprintf(keys, sizeof keys, keyrings[i].keys, hex);
#pragma GCC diagnostic pop
			testdir_text(&f.dir, "proc/keys", keys);
		}
		run(&f, NULL, 0);
		expect(&f, "signature", keyrings[i].verdict,
		       keyrings[i].verdict == PREFLIGHT_PASS ? 0 : EPERM, keyrings[i].evidence);
		if (keyrings[i].verdict != PREFLIGHT_UNKNOWN)
			expect(&f, "signature", keyrings[i].verdict,
			       keyrings[i].verdict == PREFLIGHT_PASS ? 0 : EPERM,
			       "signed by O=Acme, CN=kernel");
		fixture_free(&f);
	}
	testpki_free(&p);
}

/* sbsign adds a signature after Debian's own, which the kernel continues to use. */
static void of_two_signatures_the_kernel_looks_at_the_first(void **state)
{
	struct testpki p = testpki_make_full("kernel", NULL, EVP_RSA_gen(2048), false, -DAY, DAY,
					     NULL);
	struct fixture f;

	(void)state;
	fixture_make(&f);
	testsign(&f.pe, &p);
	testsign_again(&f.pe);
	f.input.keyring_read = ring_read;
	testdir_text(&f.dir, "sys/kernel/security/lockdown", "none [integrity] x\n");
	testdir_text(&f.dir, "proc/keys", RINGS OTHER_KEY);
	run(&f, NULL, 0);
	expect(&f, "signature", PREFLIGHT_FAIL, EPERM,
	       "signed by O=Acme, CN=kernel, certified by O=Acme, CN=kernel (the first of its 2 "
	       "signatures, the one that the kernel looks at)");
	assert_non_null(strstr(finding(&f, "signature")->fix, "sbattach --remove"));
	fixture_free(&f);
	testpki_free(&p);
}

static void each_defect_of_a_signature_has_its_errno_where_one_is_forced(void **state)
{
	static const struct {
		size_t at;	/* offset of a byte to change; 0: none, but the key is missing */
		int error;
		const char *evidence;
	} defects[] = {
		{ 3000, EKEYREJECTED, "altered after it was signed" },
		{ TESTPE_BYTES + 8, EBADMSG, "no PKCS #7 signature" },
		{ 0, ENOKEY, "no key for it" },
	};
	struct testpki p = testpki_make_full("kernel", NULL, EVP_RSA_gen(2048), false, -DAY, DAY,
					     NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(defects); i++) {
		static const struct change forced[] = {
			CONFIG("CONFIG_KEXEC_SIG=y\nCONFIG_KEXEC_SIG_FORCE=y\n"),
			{ "proc/keys", RINGS },
		};
		struct fixture f;

		fixture_make(&f);
		testsign(&f.pe, &p);
		if (defects[i].at)
			f.pe.bytes[defects[i].at] ^= 1;
		f.input.keyring_read = ring_empty;
		run(&f, forced, 2);
		expect(&f, "signature", PREFLIGHT_FAIL, defects[i].error, defects[i].evidence);
		fixture_free(&f);
	}
	testpki_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(under_lockdown_the_signers_key_must_be_in_a_keyring),
		cmocka_unit_test(of_two_signatures_the_kernel_looks_at_the_first),
		cmocka_unit_test(each_defect_of_a_signature_has_its_errno_where_one_is_forced),
	};

	return cmocka_run_group_tests_name("preflight_key", tests, NULL, NULL);
}
