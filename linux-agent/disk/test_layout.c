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
	{ "all fitted", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .uki_bytes = 60 * MIB, .image_bytes = GIB },
	  { 512, 3839, 3839, 0 }, NULL, 0 },
	{ "all fitted, sectors of 4096", { .disk_bytes = 8 * GIB, .sector_bytes = 4096, .uki_bytes = 60 * MIB,
	  .image_bytes = GIB }, { 512, 3839, 3839, 0 }, NULL, 0 },
	{ "sizes given", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .esp_bytes = 300 * MIB, .slot_bytes = GIB + 1,
	  .data_bytes = 100 * MIB, .image_bytes = GIB }, { 300, 1025, 1025, 100 }, NULL, 0 },
	{ "data has the rest", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .esp_bytes = 300 * MIB, .slot_bytes = GIB,
	  .data_rest = true, .image_bytes = GIB }, { 300, 1024, 1024, 5842 }, NULL, 0 },
	{ "data given, slots fitted", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .data_bytes = GIB,
	  .image_bytes = GIB }, { 512, 3327, 3327, 1024 }, NULL, 0 },
	{ "a small disk has a small ESP", { .disk_bytes = GIB, .sector_bytes = 512, .uki_bytes = 10 * MIB,
	  .image_bytes = 100 * MIB }, { 128, 447, 447, 0 }, NULL, 0 },
	{ "but one for two UKIs", { .disk_bytes = GIB, .sector_bytes = 512, .uki_bytes = 100 * MIB,
	  .image_bytes = 100 * MIB }, { 216, 403, 403, 0 }, NULL, 0 },
	{ "a bundle without an image", { .disk_bytes = GIB, .sector_bytes = 512, .uki_bytes = 10 * MIB },
	  { 128, 0, 0, 0 }, NULL, 0 },
	{ "data=rest without slots' size", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .data_rest = true,
	  .image_bytes = GIB }, { 0 }, "--data=rest needs --slot-size", EX_USAGE },
	{ "too small a disk", { .disk_bytes = 2 * GIB, .sector_bytes = 512, .image_bytes = GIB },
	  { 0 }, "2046 MiB of partitions, and 2304 MiB are needed", EX_DATAERR },
	{ "no disk at all", { .disk_bytes = 0, .sector_bytes = 512, .image_bytes = 1 },
	  { 0 }, "room for 0 MiB", EX_DATAERR },
	{ "too small a slot", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .slot_bytes = GIB, .image_bytes = GIB + 1 },
	  { 0 }, "no room for the image (1073741825 bytes, 1025 MiB)", EX_DATAERR },
	{ "too small an ESP", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .esp_bytes = 100 * MIB,
	  .uki_bytes = 60 * MIB, .image_bytes = GIB }, { 0 }, "136M is enough", EX_DATAERR },
	{ "a FAT without a type", { .disk_bytes = 8 * GIB, .sector_bytes = 4096, .esp_bytes = 8 * MIB,
	  .image_bytes = GIB }, { 0 }, "the smallest is 17M", EX_USAGE },
	{ "an absurd size", { .disk_bytes = 8 * GIB, .sector_bytes = 512, .slot_bytes = UINT64_MAX - 5,
	  .image_bytes = GIB }, { 0 }, "beyond what a disk has", EX_USAGE },
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

static void types_and_attributes_are_those_of_the_specification(void **state)
{
	struct layout_want want = { .disk_bytes = 8 * GIB, .sector_bytes = 512, .data_bytes = GIB,
				    .image_bytes = GIB, .arch = LAYOUT_AA64 };
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
	struct layout_want want = { .disk_bytes = 8 * GIB, .sector_bytes = 512, .image_bytes = GIB };
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
		cmocka_unit_test(types_and_attributes_are_those_of_the_specification),
		cmocka_unit_test(guids_follow_from_the_seed_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
