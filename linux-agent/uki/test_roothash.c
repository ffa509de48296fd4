/* SPDX-License-Identifier: MIT */
#include "roothash.h"

#include "testpair.h"
#include "io.h"

#include <ctype.h>

static struct testdir dir;
static char uki_path[128], image_path[128], root[65], other[65];

/* One image of that name; root_hash as in the manifest, or NULL. */
static int check(const char *cmdline, const char *name, const char *root_hash, struct err *err)
{
	const char *const files[] = { uki_path, image_path };
	struct manifest m = { .payload_count = 2 };

	m.payloads[0] = (struct payload){ .type = PAYLOAD_UKI, .name = (char *)"uki" };
	m.payloads[1] = (struct payload){ .type = PAYLOAD_IMAGE, .name = (char *)(uintptr_t)name,
					  .root_hash = (char *)(uintptr_t)root_hash };
	testpair_uki(&dir, "uki.efi", cmdline);
	*err = (struct err){ 0 };
	return roothash_check_files(&m, files, err);
}

static const char *line(const char *before, const char *hash, const char *after)
{
	static char text[256];

	snprintf(text, sizeof text, "%s%s%s", before, hash, after);
	return text;
}

static void expect_good(const char *cmdline, const char *name, const char *root_hash)
{
	struct err err;

	if (check(cmdline, name, root_hash, &err) < 0)
		fail_msg("%s", err.text);
}

static void expect_bad(const char *cmdline, const char *name, const char *root_hash,
		       const char *why)
{
	struct err err;

	assert_int_equal(check(cmdline, name, root_hash, &err), -1);
	if (err.exit != EX_DATAERR || !strstr(err.text, why))
		fail_msg("expected \"%s\", got exit %d: %s", why, err.exit, err.text);
}

static void a_pair_that_agrees_is_good(void **state)
{
	char upper[65];

	(void)state;
	expect_good(line("quiet roothash=", root, " x=1"), "rootfs", root);
	expect_good(line("usrhash=", root, ""), "usr", root);
	expect_good("quiet", "rootfs", NULL);
	for (int i = 0; i < 65; i++)
		upper[i] = (char)toupper(root[i]);
	expect_good(line("roothash=", upper, ""), "rootfs", root);
}

static void a_ukis_other_hash_is_refused_with_both(void **state)
{
	(void)state;
	expect_bad(line("roothash=", other, ""), "rootfs", root,
		   "the UKI and the image rootfs do not belong together: roothash=");
	expect_bad(line("roothash=", other, ""), "rootfs", root, other);
	expect_bad(line("roothash=", root, "00"), "rootfs", root, "do not belong together");
	expect_bad("roothash=", "rootfs", root, "do not belong together");
	expect_bad(line("usrhash=", other, ""), "usr", root, "usrhash=");
}

static void a_hash_on_one_side_only_is_refused(void **state)
{
	(void)state;
	expect_bad("quiet", "rootfs", root, "the UKI's command line has no roothash=");
	expect_bad(line("roothash=", root, ""), "rootfs", NULL,
		   "the image rootfs has no root hash in the manifest");
	expect_bad(line("roothash=", root, ""), "usr", root, "has no usrhash=");
}

/* Its root hash is for whoever mounts it. */
static void an_image_that_no_word_names_is_held_to_its_tree_alone(void **state)
{
	(void)state;
	expect_good("quiet", "app", root);
	expect_bad("quiet", "app", other, "does not belong to its root hash");
	expect_good(line("roothash=", other, ""), "app", NULL);
}

static void the_image_must_have_that_tree(void **state)
{
	(void)state;
	expect_bad(line("roothash=", other, ""), "rootfs", other,
		   "does not belong to its root hash");
}

/* mkosi's layout: the image of data in one file, its tree in another. */
static int split_check(const char *cmdline, const char *data, const char *tree, const char *tree_root, struct err *err)
{
	char data_path[160], tree_path[160];
	const char *const files[] = { uki_path, tree_path, data_path };
	struct manifest m = { .payload_count = 3 };
	uint8_t *bytes;
	size_t len;

	snprintf(data_path, sizeof data_path, "%s/%s", dir.path, data);
	snprintf(tree_path, sizeof tree_path, "%s/%s", dir.path, tree);
	assert_int_equal(read_file(tree_path, TESTPAIR_IMAGE_BYTES, &bytes, &len), 0);
	testdir_put(&dir, "split.tree", bytes + 2 * 4096, len - 2 * 4096);
	free(bytes);
	snprintf(tree_path, sizeof tree_path, "%s/split.tree", dir.path);
	m.payloads[0] = (struct payload){ .type = PAYLOAD_UKI, .name = (char *)"uki" };
	m.payloads[1] = (struct payload){ .type = PAYLOAD_IMAGE, .name = (char *)"rootfs-verity",
					  .root_hash = (char *)(uintptr_t)tree_root };
	m.payloads[2] = (struct payload){ .type = PAYLOAD_IMAGE, .name = (char *)"rootfs" };
	testpair_uki(&dir, "uki.efi", cmdline);
	*err = (struct err){ 0 };
	return roothash_check_files(&m, files, err);
}

static void a_tree_may_be_an_image_of_its_own(void **state)
{
	struct err err;

	(void)state;
	if (split_check(line("roothash=", root, ""), "image", "image", root, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(split_check(line("roothash=", root, ""), "other", "image", root, &err), -1);
	assert_non_null(strstr(err.text, "is not what its dm-verity tree was made of"));
	assert_int_equal(split_check(line("roothash=", other, ""), "image", "image", root, &err), -1);
	assert_non_null(strstr(err.text, "the UKI and the image rootfs-verity do not belong together"));
	assert_int_equal(split_check(line("roothash=", root, ""), "image", "image", NULL, &err), -1);
	assert_non_null(strstr(err.text, "the image rootfs-verity has no root hash in the manifest"));
}

static void what_is_no_uki_matters_only_beside_a_root_hash(void **state)
{
	const char *const files[] = { image_path, image_path };
	struct manifest m = { .payload_count = 2 };
	struct err err = { 0 };

	(void)state;
	m.payloads[0] = (struct payload){ .type = PAYLOAD_UKI, .name = (char *)"uki" };
	m.payloads[1] = (struct payload){ .type = PAYLOAD_IMAGE, .name = (char *)"rootfs" };
	assert_int_equal(roothash_check_files(&m, files, &err), 0);
	m.payloads[1].root_hash = root;
	assert_int_equal(roothash_check_files(&m, files, &err), -1);
	assert_int_equal(err.exit, EX_DATAERR);
}

static int setup(void **state)
{
	(void)state;
	testdir_make(&dir);
	testpair_image(&dir, "other", 2, other);
	testpair_image(&dir, "image", 1, root);
	snprintf(uki_path, sizeof uki_path, "%s/uki.efi", dir.path);
	snprintf(image_path, sizeof image_path, "%s/image", dir.path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testdir_remove(&dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pair_that_agrees_is_good),
		cmocka_unit_test(a_ukis_other_hash_is_refused_with_both),
		cmocka_unit_test(a_hash_on_one_side_only_is_refused),
		cmocka_unit_test(an_image_that_no_word_names_is_held_to_its_tree_alone),
		cmocka_unit_test(the_image_must_have_that_tree),
		cmocka_unit_test(a_tree_may_be_an_image_of_its_own),
		cmocka_unit_test(what_is_no_uki_matters_only_beside_a_root_hash),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
