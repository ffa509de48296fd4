/* SPDX-License-Identifier: MIT */
#include "uki_layout.h"

#include "testuki.h"
#include "unittest.h"
#include "io.h"

enum { OPTIONAL_AT = TESTUKI_PE_AT + 24, FIRST = 0x1000 };

struct place {
	const char *name;
	uint32_t address, size;
};

/* Sections of these sizes at these addresses in memory. */
static void lay_out(struct testuki *uki, uint32_t alignment, uint32_t image_size,
		    const struct place *places, size_t count)
{
	testuki_begin(uki, NATIVE_MACHINE);
	le32_put(uki->bytes + OPTIONAL_AT + 32, alignment);
	le32_put(uki->bytes + OPTIONAL_AT + 56, image_size);
	le32_put(uki->bytes + OPTIONAL_AT + 60, 0x400);
	for (size_t i = 0; i < count; i++) {
		unsigned k = testuki_text(uki, places[i].name, "x");

		le32_put(testuki_header(uki, k) + 8, places[i].size);
		le32_put(testuki_header(uki, k) + 12, places[i].address);
	}
}

static void open_uki(const struct testuki *uki, struct ukifile *file)
{
	assert_int_equal(ukifile_open_fd(testuki_memfd(uki), "u.efi", file, NULL), 0);
}

static void expect(const struct testuki *uki, const char *why)
{
	struct err err = { 0 };
	struct ukifile file;
	int r;

	open_uki(uki, &file);
	r = uki_layout_check(&file, &err);
	ukifile_close(&file);
	if (!why && r < 0)
		fail_msg("%s", err.text);
	if (why && (r == 0 || err.exit != EX_DATAERR || !strstr(err.text, why)))
		fail_msg("expected \"%s\", got exit %d: %s", why, err.exit, err.text);
}

static void what_a_firmware_cannot_load_is_refused_by_name_and_address(void **state)
{
	static const struct {
		const char *what;
		uint32_t alignment, image_size;
		struct place places[3];
		const char *why;
	} rows[] = {
		{ "one behind the other", 0x1000, 0x5000,
		  { { ".text", FIRST, 0x1000 }, { ".linux", 0x2000, 0x1001 },
		    { ".initrd", 0x4000, 0x1000 } }, NULL },
		{ "in any order", 0x1000, 0x5000,
		  { { ".text", 0x4000, 0x1000 }, { ".linux", FIRST, 0x1000 },
		    { ".initrd", 0x2000, 0x1001 } }, NULL },
		{ "a kernel of more than the 16 MiB it was given", 0x1000, 0x5000000,
		  { { ".text", FIRST, 0x1000 }, { ".linux", 0x2000000, 17286144 },
		    { ".initrd", 0x3000000, 0x100 } },
		  ".linux (0x2000000 to 0x307c400) and .initrd (0x3000000 to 0x3000100) overlap" },
		{ "by one byte", 0x1000, 0x5000,
		  { { ".text", FIRST, 0x1001 }, { ".linux", 0x2000, 1 }, { ".initrd", 0x3000, 1 } },
		  ".text (0x1000 to 0x2001) and .linux (0x2000 to 0x2001) overlap" },
		{ "one within another", 0x1000, 0x9000,
		  { { ".initrd", 0x3000, 1 }, { ".text", FIRST, 0x5000 }, { ".linux", 0x7000, 1 } },
		  "overlap" },
		{ "what nobody reads in memory", 0x200, 0x3000,
		  { { ".sbat", FIRST, 0x134 }, { ".sdmagic", 0x1100, 0x34 },
		    { ".linux", 0x2000, 1 } }, NULL },
		{ "only one of them is such", 0x200, 0x3000,
		  { { ".sbat", FIRST, 0x134 }, { ".osrel", 0x1100, 0x34 },
		    { ".linux", 0x2000, 1 } }, ".sbat (0x1000 to 0x1134) and .osrel" },
		{ "addresses raised by 0x200", 0x1000, 0x5000,
		  { { ".text", FIRST, 1 }, { ".linux", 0x2200, 1 }, { ".initrd", 0x4000, 1 } },
		  ".linux is at 0x2200 in memory, no multiple of SectionAlignment (0x1000)" },
		{ "the same where nothing is protected by pages", 0x200, 0x5000,
		  { { ".text", FIRST, 1 }, { ".linux", 0x2100, 1 }, { ".initrd", 0x4000, 1 } }, NULL },
		{ "no alignment", 0, 0x5000,
		  { { ".text", FIRST, 1 }, { ".linux", 0x2100, 1 }, { ".initrd", 0x4000, 1 } }, NULL },
		{ "up to the end", 0x1000, 0x3001,
		  { { ".text", FIRST, 1 }, { ".linux", 0x2000, 1 }, { ".initrd", 0x3000, 1 } }, NULL },
		{ "beyond the end", 0x1000, 0x3000,
		  { { ".text", FIRST, 1 }, { ".linux", 0x2000, 1 }, { ".initrd", 0x3000, 1 } },
		  ".initrd ends at 0x3001 in memory, beyond SizeOfImage (0x3000)" },
		{ "round 2^32", 0x1000, 0xfffff000,
		  { { ".text", FIRST, 1 }, { ".linux", 0x2000, 1 }, { ".initrd", 0xfffff000, 0xffffffff } },
		  "beyond SizeOfImage" },
		{ "without VirtualSize it is as long as in the file", 0x1000, 0x4100,
		  { { ".text", FIRST, 1 }, { ".linux", 0x2000, 1 }, { ".initrd", 0x4000, 0 } },
		  ".initrd ends at 0x4200" },
		{ "over the headers", 0x200, 0x5000,
		  { { ".text", 0x3ff, 1 }, { ".linux", 0x2000, 1 }, { ".initrd", 0x4000, 1 } },
		  ".text is at 0x3ff in memory, within the headers" },
		{ "right behind the headers", 0x200, 0x5000,
		  { { ".text", 0x400, 1 }, { ".linux", 0x2000, 1 }, { ".initrd", 0x4000, 1 } }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct testuki uki;

		print_message("  %s\n", rows[i].what);
		lay_out(&uki, rows[i].alignment, rows[i].image_size, rows[i].places, 3);
		expect(&uki, rows[i].why);
	}
}

static void an_empty_section_is_nowhere(void **state)
{
	static const struct place places[] = { { ".text", FIRST, 1 }, { ".linux", 0x2000, 1 } };
	struct testuki uki;

	(void)state;
	lay_out(&uki, 0x1000, 0x3000, places, 2);
	(void)testuki_put(&uki, ".cmdline", "", 0);
	expect(&uki, NULL);
}

static void a_command_line_with_nothing_in_it_is_refused(void **state)
{
	static const struct {
		const char *text;
		uint32_t len;
		bool good;
	} rows[] = {
		{ "", 0, true }, { "", 1, false }, { "\n", 1, false }, { " \t\r\n\0", 5, false },
		{ "quiet", 5, true }, { "\n\0x", 3, true }, { "\xff", 1, true },
	};
	static const struct place places[] = { { ".text", FIRST, 1 }, { ".linux", 0x2000, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct testuki uki;
		unsigned k;

		lay_out(&uki, 0x1000, 0x4000, places, 2);
		k = testuki_put(&uki, ".cmdline", rows[i].text, rows[i].len);
		le32_put(testuki_header(&uki, k) + 12, 0x3000);
		expect(&uki, rows[i].good ? NULL : "u.efi has a .cmdline section with nothing in it");
	}
}

static void some_firmware_takes_no_more_than_25_sections(void **state)
{
	struct ukifile file;
	struct testuki uki;
	char text[256];

	(void)state;
	testuki_begin(&uki, NATIVE_MACHINE);
	for (unsigned i = 0; i < 25; i++)
		(void)testuki_text(&uki, ".x", "x");
	open_uki(&uki, &file);
	for (unsigned kind = 0; kind < UKI_LAYOUT_DOUBTS; kind++)
		assert_false(uki_layout_doubt(&file, kind, text, sizeof text));
	ukifile_close(&file);
	(void)testuki_text(&uki, ".x", "x");
	open_uki(&uki, &file);
	assert_true(uki_layout_doubt(&file, 0, text, sizeof text));
	assert_non_null(strstr(text, "26 sections"));
	ukifile_close(&file);
}

static void some_firmware_takes_no_gaps_in_the_file(void **state)
{
	struct ukifile file;
	struct testuki uki;
	char text[256];

	(void)state;
	testuki_begin(&uki, NATIVE_MACHINE);
	le32_put(testuki_header(&uki, testuki_text(&uki, ".sdmagic", "x")) + 20, 0x2120);
	open_uki(&uki, &file);
	assert_true(uki_layout_doubt(&file, 1, text, sizeof text));
	assert_non_null(strstr(text, ".sdmagic of u.efi is at 0x2120"));
	ukifile_close(&file);
}

static void some_firmware_takes_no_gaps_in_memory_and_no_disorder(void **state)
{
	static const struct {
		uint32_t alignment;
		struct place places[3];
		const char *why;	/* NULL: none */
	} rows[] = {
		{ 0x1000, { { ".text", 0x1000, 0x1001 }, { ".osrel", 0x3000, 1 }, { ".linux", 0x4000, 1 } }, NULL },
		{ 0x1000, { { ".text", 0x1000, 0x1000 }, { ".osrel", 0x3000, 1 }, { ".linux", 0x4000, 1 } }, NULL },
		{ 0x1000, { { ".text", 0x1000, 0x1000 }, { ".osrel", 0x4000, 1 }, { ".linux", 0x5000, 1 } },
		  "a gap of 0x2000 bytes in memory between the sections .text and .osrel" },
		{ 0x1000, { { ".text", 0x1000, 1 }, { ".osrel", 0x3000, 1 }, { ".linux", 0x2000, 1 } },
		  ".linux of u.efi is before .osrel in memory and behind it in the table" },
		{ 0x200, { { ".text", 0x1000, 1 }, { ".osrel", 0x1200, 1 }, { ".linux", 0x1400, 1 } }, NULL },
		{ 0x200, { { ".text", 0x1000, 1 }, { ".osrel", 0x1200, 1 }, { ".linux", 0x20000, 1 } },
		  "between the sections .osrel and .linux" },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ukifile file;
		struct testuki uki;

		lay_out(&uki, rows[i].alignment, 0x30000, rows[i].places, 3);
		open_uki(&uki, &file);
		assert_int_equal(uki_layout_doubt(&file, 2, text, sizeof text), rows[i].why != NULL);
		if (rows[i].why && !strstr(text, rows[i].why))
			fail_msg("%s", text);
		ukifile_close(&file);
	}
}

static void a_line_break_in_a_command_line_is_said(void **state)
{
	static const struct {
		const char *text;
		uint32_t len;
		bool doubt;
	} rows[] = { { "quiet", 5, false }, { "quiet\n", 6, true }, { "a\nb", 3, true },
		     { "quiet\0\n", 7, false }, { "a\tb", 3, false } };
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ukifile file;
		struct testuki uki;

		testuki_begin(&uki, NATIVE_MACHINE);
		(void)testuki_text(&uki, ".linux", "x");
		(void)testuki_put(&uki, ".cmdline", rows[i].text, rows[i].len);
		open_uki(&uki, &file);
		assert_int_equal(uki_layout_doubt(&file, 3, text, sizeof text), rows[i].doubt);
		ukifile_close(&file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_firmware_cannot_load_is_refused_by_name_and_address),
		cmocka_unit_test(an_empty_section_is_nowhere),
		cmocka_unit_test(a_command_line_with_nothing_in_it_is_refused),
		cmocka_unit_test(some_firmware_takes_no_more_than_25_sections),
		cmocka_unit_test(some_firmware_takes_no_gaps_in_the_file),
		cmocka_unit_test(some_firmware_takes_no_gaps_in_memory_and_no_disorder),
		cmocka_unit_test(a_line_break_in_a_command_line_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
