/* SPDX-License-Identifier: MIT */
#include "layout.h"
#include "unittest.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

/* --- FAT --- */

static void a_fat_has_the_clusters_of_its_type(void **state)
{
	static const struct {
		uint64_t mib;
		unsigned sector, type, cluster;
	} rows[] = {
		{ 3, 512, 16, 512 },	{ 32, 512, 16, 512 },	{ 36, 512, 32, 512 },  { 128, 512, 32, 1024 },
		{ 200, 512, 32, 2048 }, { 512, 512, 32, 4096 },	{ 17, 4096, 16, 4096 }, { 200, 4096, 16, 4096 },
		{ 256, 4096, 16, 4096 }, { 257, 4096, 32, 4096 }, { 512, 4096, 32, 4096 }, { 65536, 512, 32, 16384 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fat_size size;
		struct err err = { 0 };

		if (fat_size_choose(rows[i].mib * MIB, rows[i].sector, &size, &err) < 0)
			fail_msg("%llu MiB: %s", (unsigned long long)rows[i].mib, err.text);
		if (size.type != rows[i].type || size.cluster_sectors * rows[i].sector != rows[i].cluster)
			fail_msg("%llu MiB in %u: FAT%u of %u", (unsigned long long)rows[i].mib, rows[i].sector,
				 size.type, size.cluster_sectors * rows[i].sector);
	}
}

static void every_size_from_the_smallest_on_has_a_type_that_its_clusters_agree_with(void **state)
{
	static const unsigned sectors[] = { 512, 4096 };

	(void)state;
	for (size_t s = 0; s < 2; s++)
		for (uint64_t mib = s ? 17 : 3; mib < 1100; mib++) {
			struct fat_size size;
			struct err err = { 0 };

			if (fat_size_choose(mib * MIB, sectors[s], &size, &err) < 0)
				fail_msg("%llu MiB: %s", (unsigned long long)mib, err.text);
			assert_true(size.type == 32 ? size.clusters >= 65525 + 16
						    : size.clusters >= 4085 + 16 && size.clusters < 65525 - 16);
		}
}

static void a_fat_that_is_too_small_names_the_smallest_that_is_not(void **state)
{
	struct fat_size size;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(fat_size_choose(8 * MIB, 4096, &size, &err), -1);
	assert_int_equal(err.exit, EX_USAGE);
	assert_non_null(strstr(err.text, "the smallest is 17M"));
	assert_int_equal(fat_size_choose(1 * MIB, 512, &size, &err), -1);
	assert_non_null(strstr(err.text, "the smallest is 3M"));
	assert_int_equal(fat_size_choose(200 * GIB, 512, &size, &err), -1);
	assert_non_null(strstr(err.text, "too large"));
}

static void a_boot_sector_of_another_type_is_refused(void **state)
{
	struct fat_size size;
	uint8_t sector[512] = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(fat_size_choose(200 * MIB, 4096, &size, &err), 0);
	/* What mkfs.fat -F 32 makes of 200 MB in such sectors. */
	sector[12] = 0x10, sector[13] = 1, sector[14] = 32, sector[16] = 2;
	sector[33] = 200 * 256 / 256, sector[36] = 50;
	assert_int_equal(fat_size_check(&size, sector, &err), -1);
	/* The same as a FAT16. */
	sector[22] = 25, sector[36] = 0, sector[18] = 2;
	if (fat_size_check(&size, sector, &err) < 0)
		fail_msg("%s", err.text);
}

/* --- partitions --- */

struct row {
	const char *what;
	struct layout_want want;
	uint64_t mib[LAYOUT_ROLES];	/* sizes; 0: no such partition */
	const char *refused;		/* instead */
	int exit;
};

static const struct row rows[] = {
	{ "all fitted", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .uki_bytes = 60 * MIB, .images[0].bytes = GIB },
	  { 512, 3839, 3839, 0 }, NULL, 0 },
	{ "all fitted, sectors of 4096", { .disk_bytes = 8 * GIB, .sector_bytes = 4096, .uki_bytes = 60 * MIB,
	  .images[0].bytes = GIB }, { 512, 3839, 3839, 0 }, NULL, 0 },
	{ "sizes given", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .esp_bytes = 300 * MIB, .images[0].part_bytes = GIB + 1,
	  .data_bytes = 100 * MIB, .images[0].bytes = GIB }, { 300, 1025, 1025, 100 }, NULL, 0 },
	{ "data has the rest", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .esp_bytes = 300 * MIB, .images[0].part_bytes = GIB,
	  .data_rest = true, .images[0].bytes = GIB }, { 300, 1024, 1024, 5842 }, NULL, 0 },
	{ "data given, slots fitted", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .data_bytes = GIB,
	  .images[0].bytes = GIB }, { 512, 3327, 3327, 1024 }, NULL, 0 },
	{ "a small disk has a small ESP", { .disk_bytes = GIB, .sector_bytes = 512, .uki_bytes = 10 * MIB,
	  .images[0].bytes = 100 * MIB }, { 128, 447, 447, 0 }, NULL, 0 },
	{ "but one for two UKIs", { .disk_bytes = GIB, .sector_bytes = 512, .uki_bytes = 100 * MIB,
	  .images[0].bytes = 100 * MIB }, { 216, 403, 403, 0 }, NULL, 0 },
	{ "a bundle without an image", { .disk_bytes = GIB, .sector_bytes = 512, .uki_bytes = 10 * MIB },
	  { 128, 0, 0, 0 }, NULL, 0 },
	{ "data=rest without slots' size", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .data_rest = true,
	  .images[0].bytes = GIB }, { 0 }, "--data=rest needs --slot-size", EX_USAGE },
	{ "too small a disk", { .disk_bytes = 2 * GIB, .sector_bytes = 512, .images[0].bytes = GIB },
	  { 0 }, "2046 MiB of partitions, and 2304 MiB are needed", EX_DATAERR },
	{ "no disk at all", { .disk_bytes = 0, .sector_bytes = 512, .images[0].bytes = 1 },
	  { 0 }, "room for 0 MiB", EX_DATAERR },
	{ "too small a slot", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .images[0].part_bytes = GIB, .images[0].bytes = GIB + 1 },
	  { 0 }, "no room for the image (1073741825 bytes, 1025 MiB)", EX_DATAERR },
	{ "too small an ESP", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .esp_bytes = 100 * MIB,
	  .uki_bytes = 60 * MIB, .images[0].bytes = GIB }, { 0 }, "136M is enough", EX_DATAERR },
	{ "a FAT without a type", { .disk_bytes = 8 * GIB, .sector_bytes = 4096, .esp_bytes = 8 * MIB,
	  .images[0].bytes = GIB }, { 0 }, "the smallest is 17M", EX_USAGE },
	{ "an absurd size", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .images[0].part_bytes = UINT64_MAX - 5,
	  .images[0].bytes = GIB }, { 0 }, "beyond what a disk has", EX_USAGE },
};

static void check_refused(const struct row *row, int r, const struct err *err)
{
	if (r != -1 || err->exit != row->exit || !strstr(err->text, row->refused))
		fail_msg("%s: %d, %d, %s", row->what, r, err->exit, err->text);
}

static void check_sizes(const struct row *row, const struct layout *l)
{
	uint64_t at = MIB;

	for (enum layout_role role = 0; role < LAYOUT_ROLES; role++) {
		const struct layout_part *p = layout_find(l, role);
		uint64_t mib = p ? p->bytes / MIB : 0;

		if (mib != row->mib[role])
			fail_msg("%s: %s has %llu MiB", row->what, layout_name(role), (unsigned long long)mib);
		if (!p)
			continue;
		assert_int_equal(p->start, at);
		assert_int_equal(p->bytes % MIB, 0);
		at += p->bytes;
	}
	/* The second table has its room. */
	assert_true(at + row->want.sector_bytes + 128 * 128 <= row->want.disk_bytes);
}

static void partitions_have_the_sizes_asked_for_or_what_is_left(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct layout l;
		struct err err = { 0 };
		int r = layout_plan(&rows[i].want, &l, &err);

		if (rows[i].refused) {
			check_refused(&rows[i], r, &err);
			continue;
		}
		if (r < 0)
			fail_msg("%s: %s", rows[i].what, err.text);
		check_sizes(&rows[i], &l);
	}
}

/* --- several images in a slot --- */

#define IMAGE(n, size, asked) { .name = n, .bytes = size, .part_bytes = asked, \
				.label = { "slotboot-a-" n, "slotboot-b-" n } }

struct images_row {
	const char *what;
	struct layout_want want;
	uint64_t mib[LAYOUT_IMAGES + 1];	/* of each image, then of data */
	const char *refused;
	int exit;
};

/* 8 GiB, of which 300 MiB are the ESP's, and one is before it and one behind all: 7890 are left, 3945 of a slot. */
#define DISK .disk_bytes = 8 * GIB, .sector_bytes = 512, .esp_bytes = 300 * MIB

static const struct images_row images_rows[] = {
	{ "what is left is shared as the contents are", { DISK, .images = { IMAGE("rootfs", 300 * MIB, 0),
	  IMAGE("app", 100 * MIB, 0) } }, { 2958, 987 }, NULL, 0 },
	{ "all given", { DISK, .images = { IMAGE("rootfs", 300 * MIB, GIB), IMAGE("app", 100 * MIB, 200 * MIB) },
	  .data_rest = true }, { 1024, 200, 5442 }, NULL, 0 },
	{ "one given, the other fitted", { DISK, .images = { IMAGE("rootfs", 300 * MIB, GIB),
	  IMAGE("app", 100 * MIB, 0) } }, { 1024, 2921 }, NULL, 0 },
	{ "the first fitted", { DISK, .images = { IMAGE("rootfs", 300 * MIB, 0), IMAGE("app", 100 * MIB, 945 * MIB) } },
	  { 3000, 945 }, NULL, 0 },
	{ "a tree of the whole partition that was asked for", { DISK, .images = { IMAGE("rootfs", 256 * MIB, 2 * GIB),
	  IMAGE("rootfs-verity", 2 * MIB + 100, 0) }, .data_rest = true }, { 2048, 18, 3758 }, NULL, 0 },
	{ "a tree of the whole partition that was fitted", { DISK, .images = { IMAGE("rootfs", 254 * MIB, 0),
	  IMAGE("rootfs-verity", 2 * MIB, 0) } }, { 3914, 31 }, NULL, 0 },
	{ "no more than fits", { .disk_bytes = 404 * MIB, .sector_bytes = 512, .esp_bytes = 100 * MIB,
	  .images = { IMAGE("rootfs", 100 * MIB, 0), IMAGE("app", 50 * MIB, 0) } }, { 100, 51 }, NULL, 0 },
	{ "one more does not", { .disk_bytes = 401 * MIB, .sector_bytes = 512, .esp_bytes = 100 * MIB,
	  .images = { IMAGE("rootfs", 100 * MIB, 0), IMAGE("app", 50 * MIB, 0) } }, { 0 }, "399 MiB of partitions, and 400",
	  EX_DATAERR },
	{ "data=rest without a size of the second", { DISK, .images = { IMAGE("rootfs", 300 * MIB, GIB),
	  IMAGE("app", 100 * MIB, 0) }, .data_rest = true }, { 0 }, "--data=rest needs --image-size=app=SIZE", EX_USAGE },
	{ "too small a second", { DISK, .images = { IMAGE("rootfs", 300 * MIB, 0), IMAGE("app", 100 * MIB, 99 * MIB) } },
	  { 0 }, "slotboot-a-app, of 99 MiB, has no room for the image app (104857600 bytes, 100 MiB)", EX_DATAERR },
	{ "a label twice", { DISK, .images = { IMAGE("rootfs", MIB, 0),
	  { .name = "app", .bytes = MIB, .label = { "slotboot-a", "slotboot-b" } } } }, { 0 },
	  "two partitions would have the label slotboot-a", EX_CONFIG },
	{ "a GUID twice", { DISK, .images = { IMAGE("rootfs", MIB, 0), { .name = "app", .bytes = MIB,
	  .label = { "slotboot-a-app", "slotboot-b-app" }, .has_guid = { true, true }, .guid = { { 7 }, { 7 } } } } },
	  { 0 }, "slotboot-a-app and slotboot-b-app would have the same GUID", EX_CONFIG },
};

static void check_images(const struct images_row *row, const struct layout *l)
{
	size_t count = layout_image_count(&row->want);
	const struct layout_part *data = layout_find(l, LAYOUT_DATA);
	uint64_t at = MIB;

	for (unsigned i = 0; i < count; i++) {
		const struct layout_part *a = layout_find_image(l, LAYOUT_A, i), *b = layout_find_image(l, LAYOUT_B, i);

		if (a->bytes != row->mib[i] * MIB || b->bytes != a->bytes)
			fail_msg("%s: %s has %llu MiB", row->what, a->name, (unsigned long long)(a->bytes / MIB));
		assert_memory_not_equal(a->guid, b->guid, LAYOUT_GUID_BYTES);
	}
	assert_int_equal(data ? data->bytes / MIB : 0, row->mib[count]);
	for (size_t i = 0; i < l->count; i++) {
		assert_int_equal(l->parts[i].start, at);
		assert_int_equal(l->parts[i].number, i + 1);
		at += l->parts[i].bytes;
	}
	assert_true(at + row->want.sector_bytes + 128 * 128 <= row->want.disk_bytes);
}

static void further_images_have_partitions_of_their_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof images_rows / sizeof *images_rows; i++) {
		const struct images_row *row = &images_rows[i];
		struct layout l;
		struct err err = { 0 };
		int r = layout_plan(&row->want, &l, &err);

		if (row->refused && (r != -1 || err.exit != row->exit || !strstr(err.text, row->refused)))
			fail_msg("%s: %d, %d, %s", row->what, r, err.exit, err.text);
		if (row->refused)
			continue;
		if (r < 0)
			fail_msg("%s: %s", row->what, err.text);
		check_images(row, &l);
	}
}

static void an_image_has_the_type_that_is_made_for_it(void **state)
{
	(void)state;
	assert_string_equal(layout_image_type("rootfs-verity", false, LAYOUT_X64), "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5");
	assert_string_equal(layout_image_type("usr", true, LAYOUT_AA64), "b0e01050-ee5f-4390-949a-9101b17104e9");
	assert_string_equal(layout_image_type("usr-verity", false, LAYOUT_AA64), "6e11a4e7-fbca-4ded-b9e9-e1a512bb664e");
	assert_string_equal(layout_image_type("app", false, LAYOUT_X64), "0fc63daf-8483-4772-8e79-3d69d8477de4");
	assert_string_equal(layout_image_type("app", true, LAYOUT_X64), layout_type(LAYOUT_A, LAYOUT_X64));
}

static void types_and_attributes_are_those_of_the_specification(void **state)
{
	struct layout_want want = { .disk_bytes = 8 * GIB, .sector_bytes = 512, .data_bytes = GIB,
				    .images[0].bytes = GIB, .arch = LAYOUT_AA64 };
	struct layout l;

	(void)state;
	assert_int_equal(layout_plan(&want, &l, NULL), 0);
	assert_string_equal(l.parts[1].type, "b921b045-1df0-41c3-af44-4c6f280d3fae");
	assert_true(l.parts[1].attributes == (uint64_t)1 << 63 && l.parts[2].attributes == (uint64_t)1 << 63);
	assert_true(l.parts[3].attributes == (uint64_t)1 << 59 && l.parts[0].attributes == 0);
	assert_string_equal(layout_type(LAYOUT_B, LAYOUT_X64), "4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
	assert_string_equal(l.parts[3].name, "slotboot-data");
}

static void guids_follow_from_the_seed_and_differ(void **state)
{
	struct layout_want want = { .disk_bytes = 8 * GIB, .sector_bytes = 512, .images[0].bytes = GIB };
	struct layout one, same, other;
	char text[LAYOUT_GUID_TEXT];

	(void)state;
	assert_int_equal(layout_plan(&want, &one, NULL), 0);
	assert_int_equal(layout_plan(&want, &same, NULL), 0);
	want.seed[31] = 1;
	assert_int_equal(layout_plan(&want, &other, NULL), 0);
	for (size_t i = 0; i < one.count; i++) {
		assert_memory_equal(one.parts[i].guid, same.parts[i].guid, 16);
		assert_memory_not_equal(one.parts[i].guid, other.parts[i].guid, 16);
		assert_memory_not_equal(one.parts[i].guid, one.guid, 16);
		layout_guid_text(one.parts[i].guid, text);
		assert_true(text[14] == '8' && strchr("89ab", text[19]));
	}
	assert_memory_not_equal(one.parts[1].guid, one.parts[2].guid, 16);
	assert_int_equal(one.volume_id, same.volume_id);
	assert_int_not_equal(one.volume_id, other.volume_id);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fat_has_the_clusters_of_its_type),
		cmocka_unit_test(every_size_from_the_smallest_on_has_a_type_that_its_clusters_agree_with),
		cmocka_unit_test(a_fat_that_is_too_small_names_the_smallest_that_is_not),
		cmocka_unit_test(a_boot_sector_of_another_type_is_refused),
		cmocka_unit_test(partitions_have_the_sizes_asked_for_or_what_is_left),
		cmocka_unit_test(further_images_have_partitions_of_their_own),
		cmocka_unit_test(an_image_has_the_type_that_is_made_for_it),
		cmocka_unit_test(types_and_attributes_are_those_of_the_specification),
		cmocka_unit_test(guids_follow_from_the_seed_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
