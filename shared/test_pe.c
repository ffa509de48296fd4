/* SPDX-License-Identifier: MIT */
#include "pe.h"

#include "bytes.h"
#include "unittest.h"

enum { PE_AT = 64, TABLE_AT = PE_AT + 24 + 112, FILE_BYTES = 1024 };

struct file {
	uint8_t bytes[FILE_BYTES];
};

static enum sb_error file_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	struct file *f = ctx;

	assert_true(offset <= FILE_BYTES && len <= FILE_BYTES - offset);
	memcpy(buf, f->bytes + offset, len);
	return SB_OK;
}

static void section_put(struct file *f, unsigned index, const char *name, uint32_t vsize,
			uint32_t vaddr, uint32_t rsize, uint32_t raw)
{
	uint8_t *h = f->bytes + TABLE_AT + 40 * index;

	memcpy(h, name, strlen(name));
	le32_put(h + 8, vsize);
	le32_put(h + 12, vaddr);
	le32_put(h + 16, rsize);
	le32_put(h + 20, raw);
}

static void sample(struct file *f)
{
	memset(f, 0, sizeof *f);
	memcpy(f->bytes, "MZ", 2);
	le32_put(f->bytes + 0x3c, PE_AT);
	memcpy(f->bytes + PE_AT, "PE\0\0", 4);
	le16_put(f->bytes + PE_AT + 4, PE_MACHINE_X86_64);
	le16_put(f->bytes + PE_AT + 6, 3);
	le16_put(f->bytes + PE_AT + 20, 112);
	le16_put(f->bytes + PE_AT + 24, 0x20b);
	section_put(f, 0, ".cmdline", 10, 0x300, 32, 512);
	section_put(f, 1, ".linux", 100, 0x340, 64, 600);
	section_put(f, 2, ".initrd", 0, 0x380, 64, 700);
}

static enum sb_error open_as(struct file *f, bool mapped, struct pe_image *image)
{
	struct pe_source source = { f, FILE_BYTES, mapped, file_read };

	return pe_open(&source, image);
}

static void a_section_is_the_smaller_of_its_two_sizes(void **state)
{
	struct pe_image image;
	struct pe_section s;
	struct file f;

	(void)state;
	sample(&f);
	assert_int_equal(open_as(&f, false, &image), SB_OK);
	assert_int_equal(image.machine, PE_MACHINE_X86_64);
	assert_int_equal(pe_section_find(&image, ".cmdline", &s), SB_OK);
	assert_true(s.offset == 512 && s.size == 10);
	assert_int_equal(pe_section_find(&image, ".linux", &s), SB_OK);
	assert_true(s.offset == 600 && s.size == 64);
	assert_int_equal(pe_section_find(&image, ".initrd", &s), SB_OK);
	assert_true(s.size == 0);
	assert_int_equal(pe_section_find(&image, ".uname", &s), SB_NOT_FOUND);
	assert_int_equal(pe_section_find(&image, ".lin", &s), SB_NOT_FOUND);
}

static void what_a_firmware_makes_of_it_is_told_as_the_file_says(void **state)
{
	struct pe_image image;
	struct pe_section s;
	struct file f;

	(void)state;
	sample(&f);
	le32_put(f.bytes + PE_AT + 24 + 32, 0x1000);
	le32_put(f.bytes + PE_AT + 24 + 56, 0x5000);
	le32_put(f.bytes + PE_AT + 24 + 60, 0x200);
	assert_int_equal(open_as(&f, false, &image), SB_OK);
	assert_true(image.alignment == 0x1000 && image.image_size == 0x5000 &&
		    image.headers_size == 0x200);
	assert_int_equal(pe_section_find(&image, ".linux", &s), SB_OK);
	assert_true(s.address == 0x340 && s.memory == 100);
	assert_int_equal(pe_section_find(&image, ".initrd", &s), SB_OK);
	assert_true(s.address == 0x380 && s.memory == 64);
}

static void a_loaded_image_is_read_at_its_virtual_addresses(void **state)
{
	struct pe_image image;
	struct pe_section s;
	struct file f;

	(void)state;
	sample(&f);
	assert_int_equal(open_as(&f, true, &image), SB_OK);
	assert_int_equal(pe_section_find(&image, ".cmdline", &s), SB_OK);
	assert_true(s.offset == 0x300 && s.size == 10);
}

/* Common: .cmdline, .linux, .cmdline once more. Profile 0: .cmdline. Profile 1: .osrel. */
static void a_profile_goes_before_what_is_common(void **state)
{
	static const struct {
		unsigned profile;
		const char *name;
		enum sb_error want;
		uint64_t offset;
	} rows[] = {
		{ 0, ".cmdline", SB_OK, 804 },	 { 0, ".linux", SB_OK, 801 },
		{ 0, ".osrel", SB_NOT_FOUND, 0 }, { 0, ".profile", SB_OK, 803 },
		{ 1, ".cmdline", SB_OK, 800 },	 { 1, ".osrel", SB_OK, 806 },
		{ 1, ".profile", SB_OK, 805 },	 { 2, ".profile", SB_NOT_FOUND, 0 },
		{ 2, ".cmdline", SB_OK, 800 },	 { 95, ".linux", SB_OK, 801 },
	};
	static const char *const names[] = { ".cmdline", ".linux",   ".cmdline", ".profile",
					     ".cmdline", ".profile", ".osrel" };
	struct pe_image image;
	struct pe_section s;
	struct file f;

	(void)state;
	sample(&f);
	le16_put(f.bytes + PE_AT + 6, 7);
	memset(f.bytes + TABLE_AT, 0, 7 * 40);
	for (unsigned i = 0; i < 7; i++)
		section_put(&f, i, names[i], 1, 0, 1, 800 + i);
	assert_int_equal(open_as(&f, false, &image), SB_OK);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		print_message("  %u %s\n", rows[i].profile, rows[i].name);
		assert_int_equal(pe_section_find_in(&image, rows[i].profile, rows[i].name, &s),
				 rows[i].want);
		if (rows[i].want == SB_OK)
			assert_int_equal(s.offset, rows[i].offset);
	}
	assert_int_equal(pe_section_find(&image, ".cmdline", &s), SB_OK);
	assert_int_equal(s.offset, 804);
}

static void one_wrong_field_is_refused(void **state)
{
	static const struct {
		const char *what;
		unsigned at;
		unsigned bytes;
		uint32_t value;
		enum sb_error want;
	} rows[] = {
		{ "no MZ", 0, 2, 0, SB_MAGIC },
		{ "PE header past the end", 0x3c, 4, FILE_BYTES - 10, SB_RANGE },
		{ "PE header far past the end", 0x3c, 4, 0xffffffff, SB_RANGE },
		{ "no PE signature", PE_AT, 4, 0, SB_MAGIC },
		{ "PE32", PE_AT + 24, 2, 0x10b, SB_MAGIC },
		{ "no sections", PE_AT + 6, 2, 0, SB_RANGE },
		{ "too many sections", PE_AT + 6, 2, 97, SB_LONG },
		{ "65535 sections", PE_AT + 6, 2, 65535, SB_LONG },
		{ "table past the end", PE_AT + 20, 2, 65535, SB_RANGE },
		{ "section past the end", TABLE_AT + 20, 4, FILE_BYTES - 9, SB_RANGE },
		{ "section at 4 GiB", TABLE_AT + 20, 4, 0xffffffff, SB_RANGE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct pe_image image;
		struct file f;

		sample(&f);
		if (rows[i].bytes == 2)
			le16_put(f.bytes + rows[i].at, (uint16_t)rows[i].value);
		else
			le32_put(f.bytes + rows[i].at, rows[i].value);
		print_message("  %s\n", rows[i].what);
		assert_int_equal(open_as(&f, false, &image), rows[i].want);
	}
}

static void a_short_file_is_no_pe_file(void **state)
{
	struct pe_source source = { .read = file_read };
	struct pe_image image;
	struct file f;

	(void)state;
	sample(&f);
	source.ctx = &f;
	for (source.size = 0; source.size < 512 + 10; source.size++)
		assert_int_not_equal(pe_open(&source, &image), SB_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_section_is_the_smaller_of_its_two_sizes),
		cmocka_unit_test(what_a_firmware_makes_of_it_is_told_as_the_file_says),
		cmocka_unit_test(a_loaded_image_is_read_at_its_virtual_addresses),
		cmocka_unit_test(a_profile_goes_before_what_is_common),
		cmocka_unit_test(one_wrong_field_is_refused),
		cmocka_unit_test(a_short_file_is_no_pe_file),
	};

	return cmocka_run_group_tests_name("pe", tests, NULL, NULL);
}
