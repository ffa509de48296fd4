/* SPDX-License-Identifier: MIT */
/* Headers made here, field by field; ovmf-test/ has a real kernel's. */
#include "unittest.h"

#include "bytes.h"
#include "kernel_image.h"

static void header_put(uint8_t head[KERNEL_IMAGE_HEADER])
{
	memset(head, 0, KERNEL_IMAGE_HEADER);
	head[0x1f1] = 39;
	le16_put(head + 0x1fe, 0xaa55);
	memcpy(head + 0x202, "HdrS", 4);
	le16_put(head + 0x206, 0x020f);
	head[0x211] = 1;
	head[0x234] = 1;
	le16_put(head + 0x236, 0x7f);
	le32_put(head + 0x238, 2047);
	le32_put(head + 0x260, 0x3000000);
}

static void the_setup_header_is_read_field_by_field(void **state)
{
	uint8_t head[KERNEL_IMAGE_HEADER];
	struct kernel_image image;

	(void)state;
	header_put(head);
	kernel_image_parse(head, sizeof head, &image);
	assert_int_equal(image.format, KERNEL_IMAGE_X86);
	assert_int_equal(image.protocol, 0x020f);
	assert_int_equal(image.boot_flag, 0xaa55);
	assert_true(image.loaded_high);
	assert_true(image.relocatable);
	assert_int_equal(image.xloadflags, 0x7f);
	assert_int_equal(image.setup_bytes, 40 * 512);
	assert_int_equal(image.cmdline_size, 2047);
	assert_int_equal(image.memory, 0x3000000);
}

static void fields_newer_than_the_protocol_are_not_read(void **state)
{
	static const struct {
		uint16_t protocol;
		bool relocatable;
		uint32_t cmdline_size;
		uint64_t memory;
		uint16_t xloadflags;
	} rows[] = {
		{ 0x0204, false, 0, 0, 0 },
		{ 0x0205, true, 0, 0, 0 },
		{ 0x0206, true, 2047, 0, 0 },
		{ 0x020a, true, 2047, 0x3000000, 0 },
		{ 0x020c, true, 2047, 0x3000000, 0x7f },
	};
	uint8_t head[KERNEL_IMAGE_HEADER];
	struct kernel_image image;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		header_put(head);
		le16_put(head + 0x206, rows[i].protocol);
		kernel_image_parse(head, sizeof head, &image);
		assert_int_equal(image.relocatable, rows[i].relocatable);
		assert_int_equal(image.cmdline_size, rows[i].cmdline_size);
		assert_int_equal(image.memory, rows[i].memory);
		assert_int_equal(image.xloadflags, rows[i].xloadflags);
	}
}

static void no_setup_sectors_mean_four(void **state)
{
	uint8_t head[KERNEL_IMAGE_HEADER];
	struct kernel_image image;

	(void)state;
	header_put(head);
	head[0x1f1] = 0;
	kernel_image_parse(head, sizeof head, &image);
	assert_int_equal(image.setup_bytes, 5 * 512);
}

static void a_header_cut_short_is_no_kernel(void **state)
{
	uint8_t head[KERNEL_IMAGE_HEADER];
	struct kernel_image image;

	(void)state;
	header_put(head);
	kernel_image_parse(head, 0x267, &image);
	assert_int_equal(image.format, KERNEL_IMAGE_UNKNOWN);
	kernel_image_parse(head, 0, &image);
	assert_int_equal(image.format, KERNEL_IMAGE_UNKNOWN);
}

static void arm64_images_and_zboot_are_told_apart(void **state)
{
	uint8_t head[KERNEL_IMAGE_HEADER] = { 'M', 'Z' };
	struct kernel_image image;

	(void)state;
	memcpy(head + 56, "ARM\x64", 4);
	le64_put(head + 16, 0x123456789);
	kernel_image_parse(head, sizeof head, &image);
	assert_int_equal(image.format, KERNEL_IMAGE_ARM64);
	assert_int_equal(image.memory, 0x123456789);
	memcpy(head + 4, "zimg", 4);
	kernel_image_parse(head, sizeof head, &image);
	assert_int_equal(image.format, KERNEL_IMAGE_ZBOOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_setup_header_is_read_field_by_field),
		cmocka_unit_test(fields_newer_than_the_protocol_are_not_read),
		cmocka_unit_test(no_setup_sectors_mean_four),
		cmocka_unit_test(a_header_cut_short_is_no_kernel),
		cmocka_unit_test(arm64_images_and_zboot_are_told_apart),
	};

	return cmocka_run_group_tests_name("bzimage", tests, NULL, NULL);
}
