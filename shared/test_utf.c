/* SPDX-License-Identifier: MIT */
#include "utf.h"

#include "unittest.h"

#define TEXT(s) { (s), sizeof(s) - 1 }

struct text {
	const char *bytes;
	size_t len;
};

static void a_code_point_has_one_form_in_either(void **test)
{
	static const struct {
		uint32_t code;
		struct text utf8, utf16;
	} rows[] = {
		{ 0, TEXT("\0"), TEXT("\0\0") },
		{ 'a', TEXT("a"), TEXT("a\0") },
		{ 0x7f, TEXT("\x7f"), TEXT("\x7f\0") },
		{ 0x80, TEXT("\xc2\x80"), TEXT("\x80\0") },
		{ 0x7ff, TEXT("\xdf\xbf"), TEXT("\xff\x07") },
		{ 0x800, TEXT("\xe0\xa0\x80"), TEXT("\0\x08") },
		{ 0xd7ff, TEXT("\xed\x9f\xbf"), TEXT("\xff\xd7") },
		{ 0xe000, TEXT("\xee\x80\x80"), TEXT("\0\xe0") },
		{ 0xffff, TEXT("\xef\xbf\xbf"), TEXT("\xff\xff") },
		{ 0x10000, TEXT("\xf0\x90\x80\x80"), TEXT("\0\xd8\0\xdc") },
		{ 0x10ffff, TEXT("\xf4\x8f\xbf\xbf"), TEXT("\xff\xdb\xff\xdf") },
	};
	uint8_t out[4];
	uint32_t code;

	(void)test;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(utf8_put(out, rows[i].code), rows[i].utf8.len);
		assert_memory_equal(out, rows[i].utf8.bytes, rows[i].utf8.len);
		assert_int_equal(utf8_get(out, rows[i].utf8.len, &code), rows[i].utf8.len);
		assert_int_equal(code, rows[i].code);
		assert_int_equal(utf8_get(out, UTF8_TO_NUL, &code), rows[i].utf8.len);
		assert_int_equal(utf16_put(out, rows[i].code), rows[i].utf16.len);
		assert_memory_equal(out, rows[i].utf16.bytes, rows[i].utf16.len);
		assert_int_equal(utf16_get(out, rows[i].utf16.len, &code), rows[i].utf16.len);
		assert_int_equal(code, rows[i].code);
	}
}

/* Each in memory of just its size, so that a byte read past it is seen. */
static void none_is_read(const struct text *text, size_t (*get)(const uint8_t *, size_t, uint32_t *))
{
	uint8_t *copy = malloc(text->len);
	uint32_t code;

	assert_non_null(copy);
	memcpy(copy, text->bytes, text->len);
	assert_int_equal(get(copy, text->len, &code), 0);
	free(copy);
}

static size_t utf8(const uint8_t *text, size_t left, uint32_t *ret_code)
{
	return utf8_get(text, left, ret_code);
}

static void what_is_no_code_point_is_none(void **test)
{
	static const struct text none8[] = {
		TEXT("\x80"), TEXT("\xbf"), TEXT("\xc0\x80"), TEXT("\xc1\xbf"), TEXT("\xe0\x9f\xbf"), TEXT("\xf0\x8f\xbf\xbf"),
		TEXT("\xed\xa0\x80"), TEXT("\xed\xbf\xbf"), TEXT("\xf4\x90\x80\x80"), TEXT("\xf8\x88\x80\x80\x80"), TEXT("\xff"),
		TEXT("\xc2"), TEXT("\xe2\x82"), TEXT("\xf0\x9f\x98"), TEXT("\xc2" "a"), TEXT("\xe2\x82" "a"),
	};
	static const struct text none16[] = {
		TEXT("a"), TEXT("\0\xd8"), TEXT("\0\xdc"), TEXT("\0\xd8" "a\0"), TEXT("\0\xd8\0\xd8"), TEXT("\0\xdc\0\xdc"),
		TEXT("\0\xd8\0"),
	};

	(void)test;
	for (size_t i = 0; i < sizeof none8 / sizeof *none8; i++)
		none_is_read(&none8[i], utf8);
	for (size_t i = 0; i < sizeof none16 / sizeof *none16; i++)
		none_is_read(&none16[i], utf16_get);
}

static void a_text_is_utf8_if_all_of_it_is(void **test)
{
	(void)test;
	assert_true(utf8_is(""));
	assert_true(utf8_is("root=LABEL=W\xc3\xbcste \xf0\x9f\x98\x80"));
	assert_false(utf8_is("root=LABEL=W\xfcste"));
	assert_false(utf8_is("ends in the middle \xe2\x82"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_code_point_has_one_form_in_either),
		cmocka_unit_test(what_is_no_code_point_is_none),
		cmocka_unit_test(a_text_is_utf8_if_all_of_it_is),
	};

	return cmocka_run_group_tests_name("utf", tests, NULL, NULL);
}
