/* SPDX-License-Identifier: MIT */
#include "loadoption.h"

#include "bytes.h"
#include "espinfo.h"
#include "io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define OURS "\\EFI\\slotboot\\a\\uki.efi"

static const struct esp_info esp = {
	.part = 1, .start = 0x800, .size = 0x32000, .sector_size = 512,
	.guid = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
};

/* --- device paths in words: "H" our partition, "h" another's GUID, "m" an MBR
 * partition with our bytes, "P" a PCI node, "(text)" a file path node, "E" the end,
 * "I" the end of an instance, "s" a hard drive node too short, "0" a node of length
 * 0, "L" a node longer than the rest, "o" a file path node of odd length, no NUL --- */

struct bytes {
	uint8_t data[512];
	size_t len;
};

static void put(struct bytes *to, const void *data, size_t len)
{
	assert_true(len <= sizeof to->data - to->len);
	memcpy(to->data + to->len, data, len);
	to->len += len;
}

static void put_hd(struct bytes *to, uint8_t guid_flip, uint8_t format, uint8_t type)
{
	uint8_t node[42] = { 4, 1, 42, 0, 1, 0, 0, 0 };

	le64_put(node + 8, esp.start);
	le64_put(node + 16, esp.size);
	memcpy(node + 24, esp.guid, 16);
	node[39] ^= guid_flip;
	node[40] = format;
	node[41] = type;
	put(to, node, sizeof node);
}

static const char *put_file(struct bytes *to, const char *text)
{
	size_t len = strcspn(text, ")");
	uint8_t head[4] = { 4, 4, (uint8_t)(4 + 2 * (len + 1)), 0 };

	put(to, head, 4);
	for (size_t i = 0; i < len; i++)
		put(to, (uint8_t[2]){ (uint8_t)text[i], 0 }, 2);
	put(to, "\0", 2);
	return text + len;
}

static void put_path(struct bytes *to, const char *words)
{
	for (; *words; words++) {
		switch (*words) {
		case 'H': put_hd(to, 0, 2, 2); break;
		case 'h': put_hd(to, 1, 2, 2); break;
		case 'm': put_hd(to, 0, 1, 1); break;
		case 'P': put(to, "\x01\x01\x06\0\x02\x03", 6); break;
		case 'E': put(to, "\x7f\xff\x04\0", 4); break;
		case 'I': put(to, "\x7f\x01\x04\0", 4); break;
		case 's': put(to, "\x04\x01\x08\0\x01\0\0\0", 8); break;
		case '0': put(to, "\x04\x04\0\0", 4); break;
		case 'L': put(to, "\x04\x04\xfe\0", 4); break;
		case 'o': put(to, "\x04\x04\x07\0E\0F", 7); break;
		case '(': words = put_file(to, words + 1); break;
		default: fail_msg("no such node: %c", *words);
		}
	}
}

static struct bytes make(const char *description, const char *words)
{
	struct bytes option = { .data = { 1 }, .len = 6 };
	size_t path_at;

	for (size_t i = 0; i <= strlen(description); i++)
		put(&option, (uint8_t[2]){ (uint8_t)description[i], 0 }, 2);
	path_at = option.len;
	put_path(&option, words);
	le16_put(option.data + 4, (uint16_t)(option.len - path_at));
	return option;
}

/* Exactly as long as the bytes are, so that ASan sees a read past the end. */
static bool is_ours(const struct bytes *option, size_t len)
{
	_cleanup_free_ uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, option->data, len);
	return loadoption_is_ours(copy, len, esp.guid, OURS);
}

static void an_entry_is_told_by_partition_and_file_and_nothing_else(void **test)
{
	static const struct {
		const char *path;
		bool ours;
		const char *why;
	} rows[] = {
		{ "H(\\EFI\\slotboot\\a\\uki.efi)E", true, "the short form" },
		{ "PPH(\\EFI\\slotboot\\a\\uki.efi)E", true, "the full path" },
		{ "H(\\efi\\SLOTBOOT\\A\\Uki.EFI)E", true, "FAT ignores case" },
		{ "H(\\EFI\\slotboot)(a\\uki.efi)E", true, "split, no separator" },
		{ "H(\\EFI\\slotboot\\)(\\a)(\\uki.efi)E", true, "split, separators twice" },
		{ "H(EFI\\slotboot\\a\\uki.efi)E", true, "no backslash in front" },
		{ "H(\\EFI\\\\slotboot\\a\\uki.efi)E", true, "a backslash twice" },
		{ "H(\\EFI\\slotboot\\a\\uki.efi)EP", true, "a second path in the list" },
		{ "H(\\EFI\\slotboot\\b\\uki.efi)E", false, "the other slot" },
		{ "H(\\EFI\\slotboot\\a\\uki.efi.bak)E", false, "a longer name" },
		{ "H(\\EFI\\slotboot\\a\\uki.ef)E", false, "a shorter name" },
		{ "H(\\EFI\\slotboot\\a)E", false, "its directory" },
		{ "H(\\EFI\\slotbo)(ot\\a\\uki.efi)E", false, "split inside a name" },
		{ "h(\\EFI\\slotboot\\a\\uki.efi)E", false, "another partition" },
		{ "m(\\EFI\\slotboot\\a\\uki.efi)E", false, "an MBR partition" },
		{ "hH(\\EFI\\slotboot\\a\\uki.efi)E", false, "two partitions" },
		{ "(\\EFI\\slotboot\\a\\uki.efi)E", false, "no partition" },
		{ "(\\EFI\\slotboot\\a\\uki.efi)HE", false, "the file in front" },
		{ "HP(\\EFI\\slotboot\\a\\uki.efi)E", false, "a node between" },
		{ "H(\\EFI\\slotboot\\a\\uki.efi)PE", false, "a node behind" },
		{ "H(\\EFI\\slotboot\\a\\uki.efi)", false, "no end" },
		{ "H(\\EFI\\slotboot\\a\\uki.efi)I", false, "an instance's end" },
		{ "IH(\\EFI\\slotboot\\a\\uki.efi)E", false, "a second instance" },
		{ "EH(\\EFI\\slotboot\\a\\uki.efi)E", false, "behind the end" },
		{ "HE", false, "the removable-media path" },
		{ "E", false, "nothing" },
		{ "", false, "no node" },
		{ "s(\\EFI\\slotboot\\a\\uki.efi)E", false, "a short drive node" },
		{ "s", false, "a short drive node at the end of the bytes" },
		{ "Ho", false, "an odd file node at the end of the bytes" },
		{ "H0(\\EFI\\slotboot\\a\\uki.efi)E", false, "a node of length 0" },
		{ "H(\\EFI\\slotboot\\a\\uki.efi)L", false, "a node too long" },
	};

	(void)test;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bytes option = make("any label", rows[i].path);

		if (is_ours(&option, option.len) != rows[i].ours)
			fail_msg("%s: %s", rows[i].path, rows[i].why);
	}
}

static void the_label_plays_no_part(void **test)
{
	struct bytes other = make("slotboot a", "H(\\EFI\\debian\\shimx64.efi)E");
	struct bytes ours = make("Windows Boot Manager", "H(" OURS ")E");

	(void)test;
	assert_false(is_ours(&other, other.len));
	assert_true(is_ours(&ours, ours.len));
}

static void a_path_of_devices_alone_leads_nowhere(void **test)
{
	static const struct {
		const char *path;
		bool nowhere, elsewhere;
	} rows[] = {
		{ "PPE", true, false },
		{ "E", true, false },
		{ "P", false, false },
		{ "", false, false },
		{ "P0", false, false },
		{ "PIPE", false, false },
		{ "HE", false, false },
		{ "PhE", false, true },
		{ "H(" OURS ")E", false, false },
		{ "Ph(" OURS ")E", false, true },
		{ "m(" OURS ")E", false, true },
		{ "(" OURS ")E", false, false },
	};

	(void)test;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bytes option = make("slotboot a", rows[i].path);

		if (loadoption_leads_nowhere(option.data, option.len) != rows[i].nowhere ||
		    loadoption_is_elsewhere(option.data, option.len, esp.guid) !=
			    rows[i].elsewhere)
			fail_msg("%s", rows[i].path);
	}
}

static void an_entry_cut_off_anywhere_is_not_ours(void **test)
{
	struct bytes option = make("slotboot a", "PH(" OURS ")E");

	(void)test;
	for (size_t len = 0; len < option.len; len++)
		assert_false(is_ours(&option, len));
	assert_true(is_ours(&option, option.len));
}

static void a_path_length_that_runs_past_the_end_is_no_load_option(void **test)
{
	struct bytes option = make("x", "H(" OURS ")E");
	struct load_option parsed;

	(void)test;
	le16_put(option.data + 4, (uint16_t)(le16_get(option.data + 4) + 1));
	assert_false(loadoption_parse(option.data, option.len, &parsed));
	le16_put(option.data + 4, 0xffff);
	assert_false(loadoption_parse(option.data, option.len, &parsed));
}

static void names_beyond_ascii_or_endless_are_not_ours(void **test)
{
	struct bytes wide = make("x", "H(" OURS ")E");
	struct bytes odd = make("x", "H(" OURS ")E");
	char words[200];
	struct bytes longest;

	(void)test;
	/* 'E' with a high byte: U+0145 */
	wide.data[6 + 4 + 42 + 4 + 3] = 1;
	assert_false(is_ours(&wide, wide.len));
	/* a file node of odd length swallows a byte of the end node */
	odd.data[6 + 4 + 42 + 2]++;
	assert_false(is_ours(&odd, odd.len));
	memset(words, 'x', sizeof words);
	memcpy(words, "H(", 2);
	memcpy(words + 122, ")(", 2);
	memcpy(words + sizeof words - 3, ")E", 3);
	longest = make("x", words);
	assert_false(is_ours(&longest, longest.len));
}

static void a_built_entry_has_the_bytes_of_the_specification(void **test)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct bytes want = make("slotboot a", "H(" OURS ")E");
	struct err err;
	size_t len = 0;

	(void)test;
	put(&want, "a=1", 3);
	assert_int_equal(loadoption_build(&esp, LOADOPTION_ACTIVE, "slotboot a", OURS,
					  (const uint8_t *)"a=1", 3, &data, &len, &err), 0);
	assert_int_equal(len, want.len);
	assert_memory_equal(data, want.data, len);
}

static void a_built_entry_parses_to_what_went_in(void **test)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct load_option option;
	struct err err;
	size_t len = 0;

	(void)test;
	assert_int_equal(loadoption_build(&esp, 0, "slotboot", OURS, NULL, 0, &data, &len,
					  &err), 0);
	assert_true(loadoption_parse(data, len, &option));
	assert_int_equal(option.attributes, 0);
	assert_true(loadoption_description_is(&option, "slotboot"));
	assert_false(loadoption_description_is(&option, "slotboot a"));
	assert_false(loadoption_description_is(&option, "slotbooT"));
	assert_int_equal(option.options_len, 0);
	assert_true(loadoption_is_ours(data, len, esp.guid, OURS));
}

static void a_path_too_long_to_recognise_is_not_built(void **test)
{
	char path[200] = "";
	uint8_t *data = NULL;
	struct err err;
	size_t len = 0;

	(void)test;
	memset(path, 'x', sizeof path - 1);
	assert_int_equal(loadoption_build(&esp, 0, "x", path, NULL, 0, &data, &len, &err), -1);
	assert_int_equal(err.exit, EX_SOFTWARE);
	assert_null(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_told_by_partition_and_file_and_nothing_else),
		cmocka_unit_test(the_label_plays_no_part),
		cmocka_unit_test(a_path_of_devices_alone_leads_nowhere),
		cmocka_unit_test(an_entry_cut_off_anywhere_is_not_ours),
		cmocka_unit_test(a_path_length_that_runs_past_the_end_is_no_load_option),
		cmocka_unit_test(names_beyond_ascii_or_endless_are_not_ours),
		cmocka_unit_test(a_built_entry_has_the_bytes_of_the_specification),
		cmocka_unit_test(a_built_entry_parses_to_what_went_in),
		cmocka_unit_test(a_path_too_long_to_recognise_is_not_built),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
