/* SPDX-License-Identifier: MIT */
#include "bundle_create.h"

#include "testbundle.h"

#include <sys/stat.h>

#include <dirent.h>
#include <time.h>

enum { LARGE = 300000 };	/* large enough for a dictionary */

static char output[128], uki[128], rootfs[128], key[128], cert[128];
static struct bundle_image images[40];
static struct cms_signer signer;

static struct bundle_create_options options(void)
{
	images[0] = (struct bundle_image){ .name = "rootfs", .file = rootfs };
	signer = (struct cms_signer){ .key = key, .cert = cert };
	return (struct bundle_create_options){
		.output = output, .compatible = "acme-gw", .version = "1.4.2", .uki = uki,
		.images = images, .image_count = 1, .signers = &signer, .signer_count = 1,
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
	create(&o);
	if (bundle_open(output, &reading, &b, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(bundle_signer(b), "O=Acme, CN=release");
	assert_string_equal(bundle_manifest(b)->payloads[0].file, "uki.efi.zst");
	assert_string_equal(bundle_manifest(b)->payloads[1].file, "rootfs.img.zst");
	assert_int_equal(bundle_extract(b, &bundle_manifest(b)->payloads[1], sink, &seen, NULL,
					&err), 0);
	assert_int_equal(seen.len, LARGE);
	assert_memory_equal(seen.data, good.rootfs, LARGE);
	bundle_close(b);
	free(seen.data);
}

/* The names of the ZIP's entries in order, each with a space behind it. */
static void zip_names(char *text, size_t size)
{
	zip_t *zip = zip_open(output, ZIP_RDONLY, NULL);

	assert_non_null(zip);
	text[0] = 0;
	for (zip_uint64_t i = 0; i < (zip_uint64_t)zip_get_num_entries(zip, 0); i++)
		snprintf(text + strlen(text), size - strlen(text), "%s ", zip_get_name(zip, i, 0));
	zip_discard(zip);
}

static void unzip_and_zstd_unpack_an_image(void **state)
{
	struct bundle_create_options o = options();
	char command[512];

	(void)state;
	create(&o);
	snprintf(command, sizeof command, "cd %s && unzip -qo %s rootfs.img.zst rootfs.dict && "
		 "zstd -q -d -D rootfs.dict < rootfs.img.zst | cmp - %s", dir.path, output, rootfs);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof command, "unzip -p %s uki.efi.zst | zstd -q -d | cmp - %s", output,
		 uki);
	assert_int_equal(system(command), 0);
}

/* Its index is that of the image whole, and goes before what is written. */
static void an_image_by_reference_has_nothing_but_its_index(void **state)
{
	const struct bundle_image two[] = { { .name = "usr", .file = uki },
					       { .name = "rootfs", .file = rootfs, .by_reference = true } };
	const struct bundle_base base = { "rootfs", uki };
	struct bundle_create_options o = options();
	const struct payload *p;
	struct seen seen = { 0 };
	struct chunkindex index;
	struct bundle *b;
	struct err err = { 0 };
	char names[1024];

	(void)state;
	o.images = two;
	o.image_count = ARRAY_SIZE(two);
	o.no_blocks = true;
	create(&o);
	zip_names(names, sizeof names);
	assert_string_equal(names, "manifest.json manifest.p7s uki.index uki.efi.zst rootfs.index "
				   "usr.index usr.img.zst ");
	assert_int_equal(bundle_open(output, &(struct bundle_options){ .keyring = cert }, &b, &err),
			 0);
	p = &bundle_manifest(b)->payloads[1];
	assert_string_equal(p->name, "rootfs");
	assert_int_equal(p->size, LARGE);
	assert_int_equal(bundle_index(b, p, &index, &err), 0);
	assert_int_equal(index.size, LARGE);
	chunkindex_clear(&index);
	assert_int_equal(bundle_extract(b, p, NULL, NULL, NULL, &err), 0);
	assert_int_equal(bundle_extract(b, p, sink, &seen, NULL, &err), -1);
	expect_err(&err, EX_DATAERR, "rootfs by reference only");
	bundle_close(b);
	o.bases = &base;
	o.base_count = 1;
	expect_create_refused(&o, EX_DATAERR, "a base is for an image that the bundle does not have");
}

static void every_layout_stands_in_the_manifest_and_in_its_place(void **state)
{
	struct bundle_create_options o = options();
	const struct bundle_base bases[] = { { "rootfs", rootfs }, { "uki", uki }, { "rootfs", uki } };
	const struct payload *p;
	struct bundle *b;
	struct err err = { 0 };
	char names[1024];

	(void)state;
	o.bases = bases;
	o.base_count = ARRAY_SIZE(bases);
	create(&o);
	zip_names(names, sizeof names);
	assert_string_equal(names, "manifest.json manifest.p7s "
		"uki.index uki.from-1.index uki.efi.zst uki.from-1.zst "
		"rootfs.index rootfs.4k.index rootfs.dict rootfs.from-1.index "
		"rootfs.from-2.index rootfs.img.zst rootfs.from-1.zst "
		"rootfs.from-2.zst ");
	assert_int_equal(bundle_open(output, &(struct bundle_options){ .keyring = cert }, &b, &err),
			 0);
	p = &bundle_manifest(b)->payloads[1];
	assert_string_equal(p->blocks.index.file, "rootfs.4k.index");
	assert_string_equal(p->blocks.dictionary.file, "rootfs.dict");
	assert_int_equal(p->base_count, 2);
	assert_string_equal(p->bases[1].file, "rootfs.from-2.zst");
	assert_int_equal(p->bases[1].size, 15);
	assert_memory_equal(p->bases[0].sha256, p->sha256, 32);
	assert_memory_equal(p->bases[1].sha256, bundle_manifest(b)->payloads[0].sha256, 32);
	bundle_close(b);
	o.base_count = 0;
	o.no_blocks = true;
	create(&o);
	zip_names(names, sizeof names);
	assert_string_equal(names, "manifest.json manifest.p7s uki.index uki.efi.zst rootfs.index "
		"rootfs.img.zst ");
}

static void an_unsigned_bundle_has_everything_but_the_signature(void **state)
{
	struct bundle_create_options o = options();
	char names[1024];

	(void)state;
	o.signer_count = 0;
	o.no_blocks = true;
	create(&o);
	zip_names(names, sizeof names);
	assert_string_equal(names, "manifest.json uki.index uki.efi.zst rootfs.index "
		"rootfs.img.zst ");
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
		o.threads = (unsigned)i + 1;
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
	char missing[] = "/nowhere/x", special[160];

	(void)state;
	o.uki = missing;
	expect_create_refused(&o, EX_NOINPUT, "/nowhere/x: No such file");
	o.uki = rootfs;
	expect_create_refused(&o, EX_DATAERR, "rootfs.img is not a UKI");
	o = options();
	images[0].file = "/dev/null";
	expect_create_refused(&o, EX_NOINPUT, "/dev/null is neither a file nor a block device");
	testdir_text(&dir, "empty", "");
	snprintf(special, sizeof special, "%s/empty", dir.path);
	images[0].file = special;
	expect_create_refused(&o, EX_DATAERR, "empty is empty");
	snprintf(special, sizeof special, "%s/fifo", dir.path);
	assert_int_equal(mkfifo(special, 0600), 0);
	expect_create_refused(&o, EX_NOINPUT, "fifo is neither a file nor a block device");
	o = options();
	o.uki = special;
	expect_create_refused(&o, EX_NOINPUT, "fifo is neither a file nor a block device");
	o = options();
	o.bases = &(struct bundle_base){ "rootfs", special };
	o.base_count = 1;
	expect_create_refused(&o, EX_NOINPUT, "fifo is neither a file nor a block device");
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
	signer.key = missing;
	expect_create_refused(&o, EX_NOINPUT, "signing key /nowhere/x");
	o = options();
	o.output = missing;
	expect_create_refused(&o, EX_IOERR, "temporary file in /nowhere");
	o = options();
	o.output = dir.path;
	expect_create_refused(&o, EX_IOERR, "failed to rename");
	o = options();
	o.bases = &(struct bundle_base){ "usr", rootfs };
	o.base_count = 1;
	expect_create_refused(&o, EX_DATAERR, "a base is for an image that the bundle does not have");
	o.bases = &(struct bundle_base){ "rootfs", missing };
	expect_create_refused(&o, EX_NOINPUT, "failed to open /nowhere/x");
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
	testbundle_make(&good, &dir, LARGE);
	testdir_text(&dir, "linux.efi", "MZ and a kernel");
	testdir_put(&dir, "rootfs.img", good.rootfs, LARGE);
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
		cmocka_unit_test(unzip_and_zstd_unpack_an_image),
		cmocka_unit_test(an_image_by_reference_has_nothing_but_its_index),
		cmocka_unit_test(every_layout_stands_in_the_manifest_and_in_its_place),
		cmocka_unit_test(an_unsigned_bundle_has_everything_but_the_signature),
		cmocka_unit_test(a_bundle_may_hold_a_uki_alone),
		cmocka_unit_test(the_same_inputs_give_the_same_bytes_in_any_time_zone),
		cmocka_unit_test(wrong_inputs_are_refused_and_leave_nothing_behind),
		cmocka_unit_test(a_failure_leaves_the_older_bundle_as_it_was),
	};

	return cmocka_run_group_tests(tests, create_setup, create_teardown);
}
