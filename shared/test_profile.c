/* SPDX-License-Identifier: MIT */
#include "profile.h"

#include "bytes.h"
#include "unittest.h"

enum { PE_AT = 64, TABLE_AT = PE_AT + 24 + 112, DATA_AT = 8192, STEP = 4096, SECTIONS = 97,
       FILE_BYTES = DATA_AT + SECTIONS * STEP };

struct file {
	uint8_t bytes[FILE_BYTES];
	unsigned count, fails_at;	/* reads until one fails; 0: none does */
};

static enum sb_error file_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	struct file *f = ctx;

	assert_true(offset <= FILE_BYTES && len <= FILE_BYTES - offset);
	if (f->fails_at > 0 && --f->fails_at == 0)
		return SB_IO;
	memcpy(buf, f->bytes + offset, len);
	return SB_OK;
}

static uint8_t *header(struct file *f, unsigned index)
{
	return f->bytes + TABLE_AT + 40 * index;
}

static void begin(struct file *f)
{
	memset(f, 0, sizeof *f);
	memcpy(f->bytes, "MZ", 2);
	le32_put(f->bytes + 0x3c, PE_AT);
	memcpy(f->bytes + PE_AT, "PE\0\0", 4);
	le16_put(f->bytes + PE_AT + 20, 112);
	le16_put(f->bytes + PE_AT + 24, 0x20b);
}

static void put(struct file *f, const char *name, const void *data, size_t len)
{
	uint32_t at = DATA_AT + STEP * f->count;
	uint8_t *h = header(f, f->count);

	assert_true(f->count < SECTIONS && len <= STEP);
	memcpy(h, name, strlen(name));
	le32_put(h + 8, (uint32_t)len);
	le32_put(h + 12, at);
	le32_put(h + 16, STEP);
	le32_put(h + 20, at);
	memcpy(f->bytes + at, data, len);
	le16_put(f->bytes + PE_AT + 6, (uint16_t)++f->count);
}

static void put_profile(struct file *f, const char *text)
{
	put(f, ".profile", text, strlen(text));
	put(f, ".cmdline", "x", 1);
}

static void open_as(struct file *f, bool mapped, struct pe_image *image)
{
	struct pe_source source = { f, FILE_BYTES, mapped, file_read };

	assert_int_equal(pe_open(&source, image), SB_OK);
}

static enum sb_error find(struct file *f, unsigned slot, unsigned *ret_profile)
{
	struct pe_image image;

	open_as(f, false, &image);
	return profile_find(&image, slot, ret_profile);
}

static void the_text_of_a_profile_names_its_slot(void **state)
{
	static const struct {
		const char *text;
		int slot;
	} rows[] = {
		{ "ID=slot-a\nTITLE=Slot A\n", 0 },
		{ "TITLE=\"Slot B\"\nID=slot-b", 1 },
		{ "ID=\"slot-a\"\n", 0 },
		{ "ID='slot-b'\r\n", 1 },
		{ " \tID=slot-b \t\r\n", 1 },
		{ "ID=slot-a\nID=slot-b\n", 1 },
		{ "ID=slot-a\nID=main\n", -1 },
		{ "# ID=slot-a\n", -1 },
		{ "", -1 },
		{ "\n\n\n", -1 },
		{ "ID=", -1 },
		{ "ID", -1 },
		{ "ID=\"", -1 },
		{ "ID=\"\"", -1 },
		{ "ID=\"slot-a'", -1 },
		{ "ID=\"slot-a", -1 },
		{ "ID =slot-a", -1 },
		{ "ID= slot-a", -1 },
		{ "id=slot-a", -1 },
		{ "VARIANT_ID=slot-a", -1 },
		{ "ID=slot-c", -1 },
		{ "ID=slot-A", -1 },
		{ "ID=slot-", -1 },
		{ "ID=slot-ab", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t len = strlen(rows[i].text);
		uint8_t *exact = malloc(len ? len : 1);	/* ASan watches its end */

		assert_non_null(exact);
		memcpy(exact, rows[i].text, len);
		print_message("  %s\n", rows[i].text);
		assert_int_equal(profile_slot(exact, len), rows[i].slot);
		free(exact);
	}
	assert_int_equal(profile_slot((const uint8_t *)"ID=slot-a\0\nID=slot-b", 20), 0);
}

static void a_profile_is_numbered_from_0_in_the_order_of_the_table(void **state)
{
	struct pe_image image;
	unsigned profile = 77;
	struct file f;

	(void)state;
	begin(&f);
	put(&f, ".cmdline", "ID=slot-a", 9);	/* no profile, whatever it says */
	put_profile(&f, "ID=main");
	put_profile(&f, "TITLE=no ID at all");
	put_profile(&f, "ID=slot-b");
	put_profile(&f, "");
	put_profile(&f, "ID=slot-a");
	for (int mapped = 0; mapped < 2; mapped++) {
		open_as(&f, mapped, &image);
		assert_int_equal(profile_find(&image, 0, &profile), SB_OK);
		assert_int_equal(profile, 4);
		assert_int_equal(profile_find(&image, 1, &profile), SB_OK);
		assert_int_equal(profile, 2);
	}
}

static void what_gives_no_slot_of_its_own_is_told_apart(void **state)
{
	static const struct {
		const char *what, *texts[3];
		enum sb_error a, b;
	} rows[] = {
		{ "no profiles", { NULL }, SB_NOT_FOUND, SB_NOT_FOUND },
		{ "others", { "ID=main", "TITLE=x" }, SB_NOT_FOUND, SB_NOT_FOUND },
		{ "a alone", { "ID=main", "ID=slot-a" }, SB_OK, SB_RANGE },
		{ "b alone", { "ID=slot-b" }, SB_RANGE, SB_OK },
		{ "a twice", { "ID=slot-a", "ID=slot-b", "ID=slot-a" }, SB_RANGE, SB_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		unsigned profile = 77;
		struct file f;

		print_message("  %s\n", rows[i].what);
		begin(&f);
		put(&f, ".linux", "x", 1);
		for (unsigned k = 0; k < 3 && rows[i].texts[k]; k++)
			put_profile(&f, rows[i].texts[k]);
		assert_int_equal(find(&f, 0, &profile), rows[i].a);
		assert_true(rows[i].a == SB_OK || profile == 77);
		assert_int_equal(find(&f, 1, &profile), rows[i].b);
	}
}

static void a_profile_that_is_too_large_is_refused_unread(void **state)
{
	unsigned profile = 77;
	char text[PROFILE_TEXT_MAX + 1];
	struct file f;

	(void)state;
	memset(text, '\n', sizeof text);
	memcpy(text, "ID=slot-a", 9);
	begin(&f);
	put(&f, ".profile", text, PROFILE_TEXT_MAX);
	assert_int_equal(find(&f, 0, &profile), SB_OK);
	begin(&f);
	put(&f, ".profile", text, sizeof text);
	assert_int_equal(find(&f, 0, &profile), SB_LONG);
}

/* The sizes are checked when the table is read, so that nothing here trusts them. */
static void lying_sizes_and_too_many_sections_are_no_image(void **state)
{
	struct pe_source source = { .size = FILE_BYTES, .read = file_read };
	struct pe_image image;
	unsigned profile;
	struct file f;

	(void)state;
	source.ctx = &f;
	begin(&f);
	put_profile(&f, "ID=slot-a");
	le32_put(header(&f, 0) + 8, 0xffffffff);
	le32_put(header(&f, 0) + 16, 0xffffffff);
	assert_int_equal(pe_open(&source, &image), SB_RANGE);
	le32_put(header(&f, 0) + 16, 9);		/* VirtualSize alone lies */
	assert_int_equal(find(&f, 0, &profile), SB_OK);
	le32_put(header(&f, 0) + 8, 0);			/* nothing is in it */
	assert_int_equal(find(&f, 0, &profile), SB_NOT_FOUND);
	le16_put(f.bytes + PE_AT + 6, 300);
	assert_int_equal(pe_open(&source, &image), SB_LONG);
}

static void as_many_profiles_as_a_table_holds_are_counted(void **state)
{
	unsigned profile = 77;
	struct file f;

	(void)state;
	begin(&f);
	for (unsigned i = 0; i < PE_MAX_SECTIONS; i++)
		put(&f, ".profile", i == 95 ? "ID=slot-b" : "ID=slot-x", 9);
	assert_int_equal(find(&f, 1, &profile), SB_OK);
	assert_int_equal(profile, 95);
}

static void a_read_that_fails_is_told(void **state)
{
	struct pe_image image;
	unsigned profile = 77, reads = 0;
	struct file f;

	(void)state;
	begin(&f);
	put_profile(&f, "ID=slot-a");
	open_as(&f, false, &image);
	for (reads = 1; reads <= 3; reads++) {		/* two headers, one text */
		f.fails_at = reads;
		assert_int_equal(profile_find(&image, 0, &profile), SB_IO);
		assert_int_equal(profile, 77);
	}
	f.fails_at = 4;
	assert_int_equal(profile_find(&image, 0, &profile), SB_OK);
}

static void its_load_options_are_an_at_sign_and_its_number(void **state)
{
	static const struct {
		unsigned profile;
		const char *text;
	} rows[] = { { 0, "@0" }, { 9, "@9" }, { 10, "@10" }, { 95, "@95" } };
	char text[PROFILE_OPTIONS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(profile_options(rows[i].profile, text), strlen(rows[i].text));
		assert_string_equal(text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_of_a_profile_names_its_slot),
		cmocka_unit_test(a_profile_is_numbered_from_0_in_the_order_of_the_table),
		cmocka_unit_test(what_gives_no_slot_of_its_own_is_told_apart),
		cmocka_unit_test(a_profile_that_is_too_large_is_refused_unread),
		cmocka_unit_test(lying_sizes_and_too_many_sections_are_no_image),
		cmocka_unit_test(as_many_profiles_as_a_table_holds_are_counted),
		cmocka_unit_test(a_read_that_fails_is_told),
		cmocka_unit_test(its_load_options_are_an_at_sign_and_its_number),
	};

	return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
