/* SPDX-License-Identifier: MIT */
/* Order and sizes. SLOTBOOT_LONG=1 adds entries and images beyond 2 and 4 GiB, which take
 * minutes and as much room in /tmp. */
#include "zip_write.h"

#include "bundle_check.h"
#include "bundle_create.h"
#include "testbundle.h"

#define GIB (1ULL << 30)

static char output[128];

static FILE *sparse(uint64_t size)
{
	FILE *f;
	struct err err = { 0 };

	assert_int_equal(zip_write_temporary(output, &f, &err), 0);
	assert_int_equal(ftruncate(fileno(f), (off_t)size), 0);
	return f;
}

static void entries_stand_in_the_order_of_their_ranks(void **state)
{
	struct zip_write *list = calloc(1, sizeof *list);
	struct err err = { 0 };
	zip_t *zip;

	(void)state;
	zip_write_add_data(list, 7, "c", (uint8_t *)strdup("c"), 1);
	zip_write_add_file(list, 3, "b", sparse(10));
	zip_write_add_data(list, 0, "a", (uint8_t *)strdup("a"), 1);
	assert_int_equal(zip_write(list, output, NULL, &err), 0);
	zip = zip_open(output, ZIP_RDONLY, NULL);
	assert_string_equal(zip_get_name(zip, 0, 0), "a");
	assert_string_equal(zip_get_name(zip, 1, 0), "b");
	assert_string_equal(zip_get_name(zip, 2, 0), "c");
	zip_discard(zip);
	zip_write_clear(list);
	free(list);
}

static void entries_beyond_4_gib_are_read_again(void **state)
{
	static const uint64_t sizes[] = { 2 * GIB + 1, 4 * GIB + 1 };

	(void)state;
	if (!getenv("SLOTBOOT_LONG"))
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct zip_write *list = calloc(1, sizeof *list);
		struct err err = { 0 };
		zip_stat_t st;
		zip_t *zip;

		zip_write_add_file(list, 0, "large", sparse(sizes[i]));
		zip_write_add_data(list, 1, "small", (uint8_t *)strdup("behind"), 6);
		if (zip_write(list, output, NULL, &err) < 0)
			fail_msg("%s", err.text);
		zip = zip_open(output, ZIP_RDONLY | ZIP_CHECKCONS, NULL);
		assert_non_null(zip);
		assert_int_equal(zip_stat(zip, "large", 0, &st), 0);
		assert_true(st.size == sizes[i]);
		assert_int_equal(zip_stat(zip, "small", 0, &st), 0);
		assert_true(st.size == 6);
		zip_discard(zip);
		zip_write_clear(list);
		free(list);
	}
}

static void images_beyond_4_gib_are_packed_and_checked(void **state)
{
	static const uint64_t sizes[] = { 2 * GIB + 5, 4 * GIB + 5 };
	char image[128], uki[128];

	(void)state;
	if (!getenv("SLOTBOOT_LONG"))
		skip();
	testdir_text(&dir, "uki", "MZ");
	snprintf(image, sizeof image, "%s/image", dir.path);
	snprintf(uki, sizeof uki, "%s/uki", dir.path);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const struct bundle_image images[] = { { .name = "rootfs", .file = image } };
		const struct bundle_base bases[] = { { "rootfs", image } };
		const struct bundle_create_options o = {
			.output = output, .compatible = "a", .version = "1", .uki = uki,
			.images = images, .image_count = 1, .bases = bases, .base_count = 1,
			.level = 1,
		};
		struct err err = { 0 };
		FILE *f = fopen(image, "w");

		assert_int_equal(fseeko(f, (off_t)(sizes[i] - 4), SEEK_SET), 0);
		assert_int_equal(fwrite("tail", 1, 4, f), 4);
		fclose(f);
		if (bundle_create(&o, &err) < 0)	/* checks all of it in the end */
			fail_msg("%s", err.text);
	}
}

static int make(void **state)
{
	(void)state;
	testdir_make(&dir);
	snprintf(output, sizeof output, "%s/out.zip", dir.path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_stand_in_the_order_of_their_ranks),
		cmocka_unit_test(entries_beyond_4_gib_are_read_again),
		cmocka_unit_test(images_beyond_4_gib_are_packed_and_checked),
	};

	return cmocka_run_group_tests(tests, make, teardown);
}
