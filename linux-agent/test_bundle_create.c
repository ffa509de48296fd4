/* SPDX-License-Identifier: MIT */
#include "bundle_create.h"

#include "testbundle.h"

#include <dirent.h>
#include <time.h>

static char output[128], uki[128], rootfs[128], key[128], cert[128];
static struct bundle_image images[40];

static struct bundle_create_options options(void)
{
	images[0] = (struct bundle_image){ "rootfs", rootfs, NULL };
	return (struct bundle_create_options){
		.output = output, .compatible = "acme-gw", .version = "1.4.2", .uki = uki,
		.images = images, .image_count = 1, .key = key, .cert = cert,
	};
}

/* Also what stands beside the directory under its name. */
static unsigned files_in_dir(void)
{
	DIR *d = opendir(dir.path);
	char beside[128];
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	snprintf(beside, sizeof beside, "%s.%d.tmp", dir.path, getpid());
	return n + (access(beside, F_OK) == 0);
}

static void create(const struct bundle_create_options *o)
{
	struct err err = { 0 };

	if (bundle_create(o, &err) < 0)
		fail_msg("%s", err.text);
}

static void expect_create_refused(const struct bundle_create_options *o, int exit,
				  const char *why)
{
	unsigned files = files_in_dir();
	struct err err = { 0 };

	assert_int_equal(bundle_create(o, &err), -1);
	expect_err(&err, exit, why);
	assert_int_equal(files_in_dir(), files);
}

static void what_is_created_opens_with_its_signer_and_its_payloads(void **state)
{
	const struct bundle_options reading = { .keyring = cert };
	struct bundle_create_options o = options();
	struct seen seen = { 0 };
	struct bundle *b;
	struct err err = { 0 };

	(void)state;
	images[0].root_hash = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	create(&o);
	if (bundle_open(output, &reading, &b, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(bundle_signer(b), "O=Acme, CN=release");
	assert_string_equal(bundle_manifest(b)->payloads[0].file, "uki.efi.zst");
	assert_string_equal(bundle_manifest(b)->payloads[1].file, "rootfs.img.zst");
	assert_string_equal(bundle_manifest(b)->payloads[1].root_hash, images[0].root_hash);
	assert_int_equal(bundle_extract(b, &bundle_manifest(b)->payloads[1], sink, &seen, NULL,
					&err), 0);
	assert_int_equal(seen.len, ROOTFS_LEN);
	assert_memory_equal(seen.data, good.rootfs, ROOTFS_LEN);
	bundle_close(b);
	free(seen.data);
}

static void a_bundle_may_hold_a_uki_alone(void **state)
{
	struct bundle_create_options o = options();

	(void)state;
	o.image_count = 0;
	create(&o);
}

static void the_same_inputs_give_the_same_bytes_in_any_time_zone(void **state)
{
	static const char *const zones[] = { "UTC", "America/Los_Angeles", "XYZ-14" };
	struct bundle_create_options o = options();
	uint8_t *first = NULL, *again;
	size_t first_len = 0, again_len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		setenv("TZ", zones[i], 1);
		tzset();
		assert_int_equal(chmod(rootfs, i ? 0444 : 0755), 0);
		create(&o);
		assert_int_equal(read_file(output, SIZE_MAX / 2, &again, &again_len), 0);
		if (first) {
			assert_int_equal(again_len, first_len);
			assert_memory_equal(again, first, first_len);
			free(again);
		} else {
			first = again;
			first_len = again_len;
		}
	}
	free(first);
	unsetenv("TZ");
}

static void wrong_inputs_are_refused_and_leave_nothing_behind(void **state)
{
	struct bundle_create_options o = options();
	char missing[] = "/nowhere/x";

	(void)state;
	o.uki = missing;
	expect_create_refused(&o, EX_NOINPUT, "/nowhere/x: No such file");
	o.uki = rootfs;
	expect_create_refused(&o, EX_DATAERR, "rootfs.img is not a UKI");
	o = options();
	images[0].file = "/dev/null";
	expect_create_refused(&o, EX_DATAERR, "/dev/null is empty");
	o = options();
	images[0].name = "../x";
	expect_create_refused(&o, EX_DATAERR, "payloads[1].");
	o = options();
	images[0].name = "uki";
	expect_create_refused(&o, EX_DATAERR, "same name, uki");
	o = options();
	images[0].root_hash = "beef";
	expect_create_refused(&o, EX_DATAERR, "payloads[1].roothash must be");
	o = options();
	o.version = "1 2";
	expect_create_refused(&o, EX_DATAERR, "version must be");
	o = options();
	o.compatible = "";
	expect_create_refused(&o, EX_DATAERR, "compatible must be");
	o = options();
	o.key = missing;
	expect_create_refused(&o, EX_NOINPUT, "signing key /nowhere/x");
	o = options();
	o.output = missing;
	expect_create_refused(&o, EX_IOERR, "failed to write /nowhere/x");
	o = options();
	o.output = dir.path;
	expect_create_refused(&o, EX_IOERR, "failed to rename");
	o = options();
	o.image_count = ARRAY_SIZE(images);
	expect_create_refused(&o, EX_DATAERR, "too many images");
}

static void a_failure_leaves_the_older_bundle_as_it_was(void **state)
{
	struct bundle_create_options o = options();
	uint8_t *before, *after;
	size_t before_len, after_len;

	(void)state;
	create(&o);
	assert_int_equal(read_file(output, SIZE_MAX / 2, &before, &before_len), 0);
	images[0].root_hash = "beef";
	expect_create_refused(&o, EX_DATAERR, "roothash");
	assert_int_equal(read_file(output, SIZE_MAX / 2, &after, &after_len), 0);
	assert_int_equal(before_len, after_len);
	assert_memory_equal(before, after, before_len);
	free(before);
	free(after);
}

static int create_setup(void **state)
{
	struct testpki rsa;

	(void)setup(state);
	rsa = testpki_make_full("release", NULL, EVP_RSA_gen(2048), false, -DAY, DAY, NULL);
	testpki_write(&rsa, &dir, "acme");
	testpki_free(&rsa);
	testbundle_make(&good, &dir, ROOTFS_LEN);
	testdir_text(&dir, "linux.efi", "MZ and a kernel");
	testdir_put(&dir, "rootfs.img", good.rootfs, ROOTFS_LEN);
	snprintf(output, sizeof output, "%s/out.zip", dir.path);
	snprintf(uki, sizeof uki, "%s/linux.efi", dir.path);
	snprintf(rootfs, sizeof rootfs, "%s/rootfs.img", dir.path);
	snprintf(key, sizeof key, "%s/acme.key", dir.path);
	snprintf(cert, sizeof cert, "%s/acme.crt", dir.path);
	return 0;
}

static int create_teardown(void **state)
{
	testbundle_free(&good);
	return teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_created_opens_with_its_signer_and_its_payloads),
		cmocka_unit_test(a_bundle_may_hold_a_uki_alone),
		cmocka_unit_test(the_same_inputs_give_the_same_bytes_in_any_time_zone),
		cmocka_unit_test(wrong_inputs_are_refused_and_leave_nothing_behind),
		cmocka_unit_test(a_failure_leaves_the_older_bundle_as_it_was),
	};

	return cmocka_run_group_tests(tests, create_setup, create_teardown);
}
