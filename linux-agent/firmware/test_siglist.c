/* SPDX-License-Identifier: MIT */
#include "siglist.h"

#include "io.h"
#include "testsiglist.h"
#include "unittest.h"

/* In memory of just their size, so that ASan watches the bounds. */
static int parse(const struct testlists *lists, struct siglist *ret_list, struct err *err)
{
	uint8_t *bytes = malloc(lists->len ? lists->len : 1);

	assert_non_null(bytes);
	memcpy(bytes, lists->bytes, lists->len);
	return siglist_parse("dbx", bytes, lists->len, ret_list, err);
}

static void lists_of_every_type_are_read_one_behind_the_other(void **state)
{
	static const struct {
		const char *guid;
		enum siglist_kind kind;
		size_t len, digest;
	} types[] = {
		{ GUID_SHA1, SIGLIST_SHA1, 20, 20 },	   { GUID_SHA256, SIGLIST_SHA256, 32, 32 },
		{ GUID_SHA384, SIGLIST_SHA384, 48, 48 },   { GUID_SHA512, SIGLIST_SHA512, 64, 64 },
		{ GUID_X509, SIGLIST_X509, 700, 700 },	   { GUID_X509_SHA256, SIGLIST_X509_SHA256, 48, 32 },
		{ GUID_X509_SHA384, SIGLIST_X509_SHA384, 64, 48 },
		{ GUID_X509_SHA512, SIGLIST_X509_SHA512, 80, 64 },
		{ GUID_RSA2048, SIGLIST_OTHER, 256, 256 },
	};
	struct testlists lists = { .len = 0 };
	struct siglist list;
	struct err err = { 0 };
	uint8_t data[1400];

	(void)state;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i % 251);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		(void)testlists_add(&lists, types[i].guid, data, types[i].len, 2);
	assert_int_equal(parse(&lists, &list, &err), 0);
	assert_int_equal(list.count, 2 * ARRAY_SIZE(types));
	for (size_t i = 0; i < list.count; i++) {
		const struct siglist_entry *e = &list.entries[i];
		const uint8_t *want = data + i % 2 * types[i / 2].len;

		assert_int_equal(e->kind, types[i / 2].kind);
		assert_int_equal(e->len, types[i / 2].digest);
		assert_memory_equal(e->data, want, e->len);
		assert_int_equal(e->time != NULL, types[i / 2].len != types[i / 2].digest);
		if (e->time)
			assert_memory_equal(e->time, want + e->len, SIGLIST_TIME_BYTES);
	}
	siglist_clear(&list);
}

static void an_empty_variable_and_an_empty_list_have_nothing(void **state)
{
	struct testlists lists = { .len = 0 };
	struct siglist list;

	(void)state;
	assert_int_equal(parse(&lists, &list, NULL), 0);
	assert_int_equal(list.count, 0);
	siglist_clear(&list);
	(void)testlists_add(&lists, GUID_SHA256, "", 32, 0);
	assert_int_equal(parse(&lists, &list, NULL), 0);
	assert_int_equal(list.count, 0);
	siglist_clear(&list);
	assert_int_equal(siglist_parse("db", NULL, 0, &list, NULL), 0);
	siglist_clear(&list);
}

/* No type that is known here has one; a list of another may. */
static void a_header_is_passed_over(void **state)
{
	struct testlists lists = { .len = 0 };
	uint8_t *at = testlists_add(&lists, GUID_RSA2048, "0123456789abcdef", 16, 1);
	struct siglist list;

	(void)state;
	memmove(at + 32, at + 28, 32);
	le32_put(at + 16, 28 + 4 + 32);
	le32_put(at + 20, 4);
	lists.len += 4;
	assert_int_equal(parse(&lists, &list, NULL), 0);
	assert_int_equal(list.count, 1);
	assert_memory_equal(list.entries[0].data, "0123456789abcdef", 16);
	siglist_clear(&list);
}

static void sizes_that_lie_are_refused(void **state)
{
	static const struct {
		const char *what;
		int at;			/* of the 32-bit number that is put; -1: none */
		uint32_t value;
		int cut;		/* bytes that are missing at the end */
		const char *why;
	} rows[] = {
		{ "the list is larger than the variable", 16, 28 + 48 + 1, 0, "77 bytes" },
		{ "as large as a number can be", 16, 0xffffffff, 0, "4294967295 bytes" },
		{ "smaller than its own header", 16, 27, 0, "27 bytes" },
		{ "no size at all, for ever", 16, 0, 0, "0 bytes" },
		{ "a header larger than the list", 20, 49, 0, "a header of 49" },
		{ "a header that wraps", 20, 0xffffffe4, 0, "a header of 4294967268" },
		{ "a header that leaves half a signature", 20, 4, 0, "signatures have 48" },
		{ "signatures of no size", 24, 0, 0, "signatures have 0" },
		{ "signatures that are owners only", 24, 16, 0, "signatures have 16" },
		{ "signatures of another size than their type", 24, 24, 0, "signatures have 24" },
		{ "signatures larger than the list", 24, 0x80000000, 0, "signatures have 2147483648" },
		{ "cut off within a signature", -1, 0, 1, "where 75 are left" },
		{ "cut off within the header", -1, 0, 48 + 1, "ends within a signature list" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct testlists lists = { .len = 0 };
		uint8_t digest[32] = { 1 };
		struct siglist list;
		struct err err = { 0 };
		uint8_t *at = testlists_add(&lists, GUID_SHA256, digest, 32, 1);

		print_message("  %s\n", rows[i].what);
		if (rows[i].at >= 0)
			le32_put(at + rows[i].at, rows[i].value);
		lists.len -= (size_t)rows[i].cut;
		assert_int_equal(parse(&lists, &list, &err), -1);
		assert_int_equal(err.exit, EX_DATAERR);
		if (!strstr(err.text, rows[i].why))
			fail_msg("%s", err.text);
	}
}

/* What comes first is as it was; what follows it is wrong, and so is the whole. */
static void a_list_behind_a_good_one_is_checked_too(void **state)
{
	struct testlists lists = { .len = 0 };
	uint8_t digest[32] = { 1 };
	struct siglist list;
	struct err err = { 0 };

	(void)state;
	(void)testlists_add(&lists, GUID_SHA256, digest, 32, 1);
	lists.len += 27;
	assert_int_equal(parse(&lists, &list, &err), -1);
	assert_non_null(strstr(err.text, "dbx ends within"));
}

static void there_is_an_end_to_what_is_taken(void **state)
{
	size_t each = 17, count = SIGLIST_MAX_ENTRIES + 1, len = 28 + each * count;
	uint8_t *bytes = calloc(1, len);
	struct siglist list;
	struct err err = { 0 };

	(void)state;
	assert_non_null(bytes);
	le32_put(bytes + 16, (uint32_t)len);
	le32_put(bytes + 24, (uint32_t)each);
	assert_int_equal(siglist_parse("dbx", bytes, len, &list, &err), -1);
	assert_non_null(strstr(err.text, "more than 16384"));
	bytes = calloc(1, SIGLIST_MAX_BYTES + 1);
	assert_non_null(bytes);
	assert_int_equal(siglist_parse("dbx", bytes, SIGLIST_MAX_BYTES + 1, &list, &err), -1);
	assert_non_null(strstr(err.text, "1048577 bytes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_every_type_are_read_one_behind_the_other),
		cmocka_unit_test(an_empty_variable_and_an_empty_list_have_nothing),
		cmocka_unit_test(a_header_is_passed_over),
		cmocka_unit_test(sizes_that_lie_are_refused),
		cmocka_unit_test(a_list_behind_a_good_one_is_checked_too),
		cmocka_unit_test(there_is_an_end_to_what_is_taken),
	};

	return cmocka_run_group_tests_name("siglist", tests, NULL, NULL);
}
