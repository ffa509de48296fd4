/* SPDX-License-Identifier: MIT */
#include "verbs.h"

#include "testbundle.h"
#include "testpair.h"

#include <sys/mman.h>

static char text[8192];		/* what the verb printed */

/* Runs "bundle ARGS", args being cut at spaces; output goes to text. */
static int run(struct err *err, const char *fmt, ...)
{
	char line[1024], *argv[32] = { (char *)"bundle" }, *rest = line, *word;
	int argc = 1, saved = dup(1), out = memfd_create("out", 0), r;
	va_list ap;
	ssize_t n;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	while ((word = strsep(&rest, " ")))
		argv[argc++] = word;
	*err = (struct err){ 0 };
	fflush(stdout);
	assert_int_equal(dup2(out, 1), 1);
	r = verb_bundle(argc, argv, err);
	fflush(stdout);
	dup2(saved, 1);
	close(saved);
	n = pread(out, text, sizeof text - 1, 0);
	text[n < 0 ? 0 : n] = 0;
	close(out);
	return r;
}

static void expect_ok(int r, const struct err *err, const char *printed)
{
	if (r < 0)
		fail_msg("%s", err->text);
	if (!strstr(text, printed))
		fail_msg("expected \"%s\", got: %s", printed, text);
}

static void create_info_and_verify_fit_together(void **state)
{
	const char *d = dir.path;
	char root[65], cmdline[128];
	struct err err;

	(void)state;
	testpair_image(&dir, "root.img", 'x', root);
	snprintf(cmdline, sizeof cmdline, "roothash=%s", root);
	testpair_uki(&dir, "linux.efi", cmdline);
	expect_ok(run(&err, "create --output=%s --compatible acme-gw --version=2.0~rc1 "
		      "--uki=%s/linux.efi --image rootfs=%s/root.img,roothash=%s --key=%s/acme.key "
		      "--raise-floor --cert=%s/acme.crt", zip_path, d, d, root, d, d), &err, "");
	expect_ok(run(&err, "info %s", zip_path), &err, "version     2.0~rc1\narch        ");
	assert_non_null(strstr(text, "signature   not checked"));
	assert_non_null(strstr(text, "rootfs      rootfs.img.zst, 16384 bytes"));
	assert_non_null(strstr(text, "floor       raised to this version by mark-good"));
	assert_non_null(strstr(text, root));
	expect_ok(run(&err, "info --json %s", zip_path), &err, "\"signature_checked\": false");
	expect_ok(run(&err, "verify --keyring=%s %s", keyring, zip_path), &err,
		  "bundle.zip: good, signed by O=Acme, CN=release\n");
}

static void a_base_is_for_the_image_it_names_or_for_the_only_one(void **state)
{
	static const struct {
		const char *bases, *files;
	} rows[] = {
		{ "--base=%s/old=1.img", "rootfs.from-1.zst" },
		{ "--base=rootfs=%s/old=1.img", "rootfs.from-1.zst" },
		{ "--base=uki=%s/old=1.img", "uki.from-1.zst" },
	};
	const char *d = dir.path;

	(void)state;
	testdir_text(&dir, "linux.efi", "MZ and a kernel");
	testdir_text(&dir, "root.img", "rootfs");
	testdir_text(&dir, "old=1.img", "rootfs of old");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char base[256];
		struct err err;

		snprintf(base, sizeof base, rows[i].bases, d);
		expect_ok(run(&err, "create --output=%s --compatible acme-gw --version=2 "
			      "--uki=%s/linux.efi %s --image rootfs=%s/root.img --chunk-size=64K "
			      "--level=1 --threads=1 --json --key=%s/acme.key --cert=%s/acme.crt",
			      zip_path, d, base, d, d, d), &err, "{\"event\":\"pack\"");
		expect_ok(run(&err, "info --json %s", zip_path), &err, rows[i].files);
		expect_ok(run(&err, "info %s", zip_path), &err, "...: index ");
		assert_non_null(strstr(text, "whole: index 60 bytes, frames "));
	}
}

static void shell(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("%s", command);
}

#define OPENSSL_SIGN "openssl cms -sign -binary -noattr -nosmimecap -outform DER "         \
	"-in %s/manifest.json -signer %s/acme.crt -inkey %s/acme.key -out %s/offline.p7s"

static void a_signature_made_elsewhere_gives_the_bytes_of_direct_signing(void **state)
{
	struct testpki rsa = testpki_make_full("release", NULL, EVP_RSA_gen(2048), false, -DAY,
					       DAY, NULL);
	const char *d = dir.path;
	struct err err;

	(void)state;
	testpki_write(&rsa, &dir, "acme");	/* ECDSA signs differently each time */
	testpki_free(&rsa);
	testdir_text(&dir, "linux.efi", "MZ and a kernel");
	expect_ok(run(&err, "create --output=%s/direct.zip --compatible=a --version=2 "
		      "--uki=%s/linux.efi --key=%s/acme.key --cert=%s/acme.crt", d, d, d, d), &err, "");
	expect_ok(run(&err, "create --output=%s --compatible=a --version=2 --uki=%s/linux.efi "
		      "--unsigned", zip_path, d), &err, "");
	assert_int_equal(run(&err, "verify --keyring=%s %s", keyring, zip_path), -1);
	expect_err(&err, EX_DATAERR, "it is not signed");
	expect_ok(run(&err, "info --manifest %s", zip_path), &err, "\"version\": \"2\"");
	testdir_text(&dir, "manifest.json", text);
	shell(OPENSSL_SIGN, d, d, d, d);
	for (int again = 0; again < 2; again++) {
		expect_ok(run(&err, "sign --signature=%s/offline.p7s %s", d, zip_path), &err, "");
		shell("cmp %s %s/direct.zip", zip_path, d);
	}
	expect_ok(run(&err, "verify --keyring=%s %s", keyring, zip_path), &err, "good, signed by");
}

static void two_rsa_keys(void)
{
	static const char *const names[] = { "acme", "second" };

	for (int i = 0; i < 2; i++) {
		struct testpki rsa = testpki_make_full(names[i], NULL, EVP_RSA_gen(2048), false,
						       -DAY, DAY, NULL);

		testpki_write(&rsa, &dir, names[i]);
		testpki_free(&rsa);
	}
}

#define BY_ACME "--key=%1$s/acme.key --cert=%1$s/acme.crt"
#define BY_SECOND "--key=%1$s/second.key --cert=%1$s/second.crt"

static void a_bundle_of_two_keys_satisfies_a_rule_of_two_signers(void **state)
{
	static const char create[] = "create --output=%1$s/%2$s.zip --compatible=a --version=2 "
				     "--uki=%1$s/linux.efi ";
	static const struct {
		const char *name, *by;
	} rows[] = {
		{ "one", BY_ACME },
		{ "two", BY_ACME " " BY_SECOND },
		{ "swapped", BY_SECOND " " BY_ACME },
		{ "apart", "--key=%1$s/second.key --key=%1$s/acme.key --cert=%1$s/second.crt "
			   "--cert=%1$s/acme.crt" },
		{ "offline", "--unsigned" },
	};
	const char *d = dir.path;
	char conf[256], line[512];
	struct err err;

	(void)state;
	two_rsa_keys();
	testdir_text(&dir, "linux.efi", "MZ and a kernel");
	shell("cat %s/acme.crt %s/second.crt > %s/both.pem", d, d, d);
	snprintf(conf, sizeof conf, "[slotboot]\nkeyring=%s/both.pem\nsigners=2\n", d);
	testdir_text(&dir, "s.conf", conf);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(line, sizeof line, "%s%s", create, rows[i].by);
		expect_ok(run(&err, line, d, rows[i].name), &err, "");
	}
	assert_int_equal(run(&err, "verify --config=%s/s.conf %s/one.zip", d, d), -1);
	expect_err(&err, EX_DATAERR, "manifest.json has 1 of the 2 signers needed (signers = 2)");
	expect_ok(run(&err, "verify --config=%s/s.conf %s/two.zip", d, d), &err,
		  "two.zip: good, signed by ");
	assert_non_null(strstr(text, "CN=acme"));
	assert_non_null(strstr(text, "CN=second"));
	shell("cmp %s/two.zip %s/swapped.zip && cmp %s/two.zip %s/apart.zip", d, d, d, d);
	expect_ok(run(&err, "info --manifest %s/offline.zip", d), &err, "");
	testdir_text(&dir, "manifest.json", text);
	shell(OPENSSL_SIGN " -signer %s/second.crt -inkey %s/second.key", d, d, d, d, d, d);
	expect_ok(run(&err, "sign --signature=%s/offline.p7s %s/offline.zip", d, d), &err, "");
	shell("cmp %s/two.zip %s/offline.zip", d, d);
	/* One after the other, in two places. */
	shell("cd %s; sign='-binary -nosmimecap -outform DER'; openssl cms -sign $sign "
	      "-in manifest.json -signer acme.crt -inkey acme.key -out first.p7s && "
	      "openssl cms -resign $sign -inform DER -in first.p7s -signer second.crt "
	      "-inkey second.key -out both.p7s", d);
	expect_ok(run(&err, "sign --signature=%s/both.p7s %s/offline.zip", d, d), &err, "");
	expect_ok(run(&err, "verify --config=%s/s.conf %s/offline.zip", d, d), &err, "good");
}

static void a_key_that_is_not_its_certificates_makes_no_bundle(void **state)
{
	const char *d = dir.path;
	struct err err;

	(void)state;
	two_rsa_keys();
	testdir_text(&dir, "linux.efi", "MZ and a kernel");
	assert_int_equal(run(&err, "create --output=%s --compatible=a --version=2 --uki=%s/linux.efi "
			     "--key=%s/acme.key --key=%s/second.key --cert=%s/second.crt "
			     "--cert=%s/acme.crt", zip_path, d, d, d, d, d), -1);
	expect_err(&err, EX_DATAERR, "acme.key does not belong to the certificate");
	assert_int_equal(access(zip_path, F_OK), -1);
}

static void a_signature_of_something_else_leaves_the_bundle_as_it_was(void **state)
{
	static const struct {
		const char *file;
		int exit;
		const char *why;
	} rows[] = {
		{ "other.p7s", EX_DATAERR, "is not a signature of this bundle's manifest.json" },
		{ "linux.efi", EX_DATAERR, "is not a detached CMS signature in DER form" },
		{ "empty", EX_DATAERR, "is not a detached CMS signature" },
		{ "nothing", EX_NOINPUT, "failed to read the signature" },
	};
	const char *d = dir.path;
	struct err err;

	(void)state;
	testdir_text(&dir, "linux.efi", "MZ and a kernel");
	testdir_text(&dir, "empty", "");
	testdir_text(&dir, "manifest.json", "{ \"another\": 1 }");
	shell(OPENSSL_SIGN, d, d, d, d);
	shell("mv %s/offline.p7s %s/other.p7s", d, d);
	expect_ok(run(&err, "create --output=%s --compatible=a --version=2 --uki=%s/linux.efi "
		      "--unsigned", zip_path, d), &err, "");
	shell("cp %s %s/before.zip", zip_path, d);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(run(&err, "sign --signature=%s/%s %s", d, rows[i].file, zip_path), -1);
		expect_err(&err, rows[i].exit, rows[i].why);
		shell("cmp %s %s/before.zip", zip_path, d);
	}
	assert_int_equal(run(&err, "sign --signature=%s/other.p7s %s/linux.efi", d, d), -1);
	expect_err(&err, EX_DATAERR, "failed to open the bundle");
	assert_int_equal(run(&err, "sign --signature=%s/other.p7s %s/nothing", d, d), -1);
	expect_err(&err, EX_NOINPUT, "failed to open the bundle");
}

static void verify_takes_the_keyring_from_the_configuration(void **state)
{
	struct err err;
	char conf[256];

	(void)state;
	testbundle_zip(&good, zip_path);
	snprintf(conf, sizeof conf, "[slotboot]\nkeyring=%s/stranger.crt\n", dir.path);
	testdir_text(&dir, "s.conf", conf);
	assert_int_equal(run(&err, "verify --config=%s/s.conf %s", dir.path, zip_path), -1);
	expect_err(&err, EX_DATAERR, "not in the keyring");
	assert_string_equal(text, "");
	expect_ok(run(&err, "verify --config=%s/s.conf --keyring=%s %s", dir.path, keyring,
		      zip_path), &err, "good, signed by");
}

static void verify_looks_at_every_payload(void **state)
{
	struct err err;

	(void)state;
	testbundle_zip(&good, zip_path);
	expect_ok(run(&err, "verify --keyring=%s file://%s", keyring, zip_path), &err, "good, ");
	text[0] = 0;
	good.entries[ENTRY_ROOTFS].data[100] ^= 1;
	testbundle_zip(&good, zip_path);
	assert_int_equal(run(&err, "verify --keyring=%s %s", keyring, zip_path), -1);
	expect_err(&err, EX_DATAERR, "rootfs.img.zst is damaged");
	assert_int_equal(run(&err, "verify --keyring=%s file://%s", keyring, zip_path), -1);
	expect_err(&err, EX_DATAERR, "rootfs.img.zst is damaged");
	assert_string_equal(text, "");
}

static void wrong_command_lines_are_usage_errors(void **state)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
		{ "", "create, sign, info or verify must" },
		{ "destroy", "create, sign, info or verify must" },
		{ "create", "--output is missing" },
		{ "create --output=x --compatible=x --version=1 --key=k --cert=c", "--uki is missing" },
		{ "create --output", "--output needs a value" },
		{ "create --nonsense", "unknown option --nonsense" },
		{ "create --image=rootfs", "--image=rootfs: must be NAME=FILE" },
		{ "create --image==x", "must be NAME=FILE" },
		{ "create --image=x=", "must be NAME=FILE" },
		{ "create --level=0", "--level=0: must be a number from 1 to 22" },
		{ "create --level=x", "--level=x: must be" },
		{ "create --threads=65", "--threads=65: must be" },
		{ "create --chunk-size=32K", "must be a power of two from 64K to 8M" },
		{ "create --chunk-size=16M", "must be a power of two" },
		{ "create --chunk-size=1MM", "must be a power of two" },
		{ "create --chunk-size=65537", "must be a power of two" },
		{ "create --chunk-size=1M --chunk-size=", "--chunk-size=: must be" },
		{ "create --base=x", "--base=x: must be NAME=FILE" },
		{ "create --image=a=x --image=b=x --base=c=x", "--base=c=x: must be NAME=FILE" },
		{ "create --output=x --compatible=x --version=1 --uki=u --key=k", "--cert is missing" },
		{ "create --output=x --compatible=x --version=1 --uki=u --key=k --unsigned",
		  "--unsigned does not go with --key" },
		{ "create --output=x --compatible=x --version=1 --uki=u --key=k --cert=c --key=l",
		  "2 --key and 1 --cert: each key has a certificate of its own" },
		{ "create --output=x --compatible=x --version=1 --uki=u --key=k --cert=c --cert=d",
		  "1 --key and 2 --cert: each" },
		{ "create --cert=c --cert=d --cert=c", "--cert=c: given twice" },
		{ "create --key=a --key=a --key=a --key=a --key=a --key=a --key=a --key=a --key=a "
		  "--key=a --key=a --key=a --key=a --key=a --key=a --key=a --key=a",
		  "more than 16 keys" },
		{ "sign a", "--signature is missing" },
		{ "sign --signature=a", "one bundle must be named" },
		{ "create x", "x is no option" },
		{ "info", "one bundle must be named" },
		{ "info a b", "one bundle must be named" },
		{ "info --keyring=x a", "unknown option --keyring" },
		{ "verify --json a", "unknown option --json" },
		{ "verify -x a", "unknown option -x;" },
		{ "verify -xy a", "unknown option -x;" },
		{ "create --output=x --compatible=x --version=1 --uki=u --crl=c --unsigned",
		  "--unsigned does not go with --key, --cert or --crl" },
		{ "create --uki=u -yx", "unknown option -y;" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err;

		assert_int_equal(run(&err, "%s", rows[i].line), -1);
		expect_err(&err, EX_USAGE, rows[i].why);
	}
}

static void each_subcommand_prints_its_help(void **state)
{
	struct err err;

	(void)state;
	expect_ok(run(&err, "--help"), &err, "Usage: slotctl bundle create|sign|info|verify");
	expect_ok(run(&err, "create --help"), &err, "Usage: slotctl bundle create ");
	expect_ok(run(&err, "sign --help"), &err, "Usage: slotctl bundle sign ");
	expect_ok(run(&err, "info --help"), &err, "Usage: slotctl bundle info ");
	expect_ok(run(&err, "verify --help"), &err, "Usage: slotctl bundle verify ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(create_info_and_verify_fit_together),
		TEST(a_base_is_for_the_image_it_names_or_for_the_only_one),
		TEST(a_signature_made_elsewhere_gives_the_bytes_of_direct_signing),
		TEST(a_signature_of_something_else_leaves_the_bundle_as_it_was),
		TEST(verify_takes_the_keyring_from_the_configuration),
		TEST(verify_looks_at_every_payload),
		TEST(a_bundle_of_two_keys_satisfies_a_rule_of_two_signers),
		TEST(a_key_that_is_not_its_certificates_makes_no_bundle),
		TEST(wrong_command_lines_are_usage_errors),
		TEST(each_subcommand_prints_its_help),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
