/* SPDX-License-Identifier: MIT */
#include "efi_auth.h"

#include "io.h"
#include "unittest.h"
#include "testauth.h"

static const uint8_t digest[48] = { 1, 2, 3 };

/* By form alone: a SEQUENCE with a NULL in it stands for the signature. */
static void make(struct testauth *auth, const char *type, size_t len)
{
	static const uint8_t der[] = { 0x30, 0x02, 0x05, 0x00 };
	struct testlists lists = { .len = 0 };

	(void)testlists_add(&lists, type, digest, len, 1);
	testauth_put(auth, der, sizeof der, &lists);
}

/* In memory of just their size, so that ASan watches the bounds. */
static int parse(const struct testauth *auth, enum efi_auth_variable variable, struct err *err)
{
	uint8_t *bytes = malloc(auth->len ? auth->len : 1);
	struct efi_auth parsed;
	int r;

	assert_non_null(bytes);
	memcpy(bytes, auth->bytes, auth->len);
	r = efi_auth_parse("x.auth", variable, bytes, auth->len, &parsed, err);
	if (r == 0)
		efi_auth_clear(&parsed);
	free(bytes);
	return r;
}

static void the_parts_of_an_update_are_found(void **state)
{
	struct efi_auth parsed;
	struct testauth auth;

	(void)state;
	make(&auth, GUID_SHA256, 32);
	assert_int_equal(efi_auth_parse("x", EFI_AUTH_DBX, auth.bytes, auth.len, &parsed, NULL), 0);
	assert_int_equal(parsed.signature_len, 4);
	assert_ptr_equal(parsed.signature, auth.bytes + 40);
	assert_int_equal(parsed.authentication, 44);
	assert_int_equal(parsed.list.count, 1);
	assert_memory_equal(parsed.list.entries[0].data, digest, 32);
	efi_auth_clear(&parsed);
}

static void each_variable_has_kinds_of_signatures_of_its_own(void **state)
{
	static const struct {
		const char *type;
		size_t len;
		bool takes[EFI_AUTH_VARIABLES];
	} rows[] = {
		{ GUID_X509, 48, { true, true, true } },
		{ GUID_SHA256, 32, { false, true, true } },
		{ GUID_SHA1, 20, { false, true, true } },
		{ GUID_X509_SHA256, 48, { false, false, true } },
		{ GUID_RSA2048, 48, { false, false, false } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned v = 0; v < EFI_AUTH_VARIABLES; v++) {
			struct err err = { 0 };
			struct testauth auth;

			make(&auth, rows[i].type, rows[i].len);
			assert_int_equal(parse(&auth, v, &err) == 0, rows[i].takes[v]);
			if (!rows[i].takes[v] && !strstr(err.text, "no firmware looks for in"))
				fail_msg("%s", err.text);
		}
}

static void what_is_no_update_is_refused(void **state)
{
	static const struct {
		const char *what;
		int at;			/* of the bytes that are put; -1: none */
		uint32_t value;
		int size;		/* of them */
		int cut;		/* bytes that are missing at the end */
		const char *why;
	} rows[] = {
		{ "nothing at all", -1, 0, 0, 120, "ends within its EFI_VARIABLE_AUTHENTICATION_2" },
		{ "cut off within the header", -1, 0, 0, 81, "ends within its EFI_VARIABLE" },
		{ "cut off within the signature", -1, 0, 0, 77, "a signature of 28 bytes, where 27 are left" },
		{ "cut off behind the signature", -1, 0, 0, 76, "nothing behind its signature" },
		{ "cut off within the lists", -1, 0, 0, 1, "where 75 are left" },
		{ "a signature larger than the file", 16, 105, 4, 0, "a signature of 105 bytes, where 104" },
		{ "as large as a number can be", 16, 0xffffffff, 4, 0, "a signature of 4294967295 bytes" },
		{ "smaller than its own header", 16, 23, 4, 0, "a signature of 23 bytes" },
		{ "of no size", 16, 0, 4, 0, "a signature of 0 bytes" },
		{ "no room for DER", 16, 24, 4, 0, "not one DER sequence" },
		{ "another revision", 20, 0x0100, 2, 0, "does not begin with a PKCS#7 signature" },
		{ "another kind of certificate", 22, 0x0ef0, 2, 0, "does not begin with a PKCS#7" },
		{ "another GUID", 24, 0, 4, 0, "an .esl is made one by sign-efi-sig-list -a" },
		{ "a time with a pad", 7, 1, 1, 0, "a time stamp with" },
		{ "a time with nanoseconds", 8, 1, 4, 0, "a time stamp with" },
		{ "a time with a zone", 12, 60, 2, 0, "a time stamp with" },
		{ "a time with daylight saving", 14, 1, 1, 0, "a time stamp with" },
		{ "a signature that is no sequence", 40, 0x31, 1, 0, "not one DER sequence" },
		{ "a sequence that is larger", 41, 3, 1, 0, "not one DER sequence" },
		{ "a sequence that is smaller", 41, 1, 1, 0, "not one DER sequence" },
		{ "a sequence without an end", 41, 0x80, 1, 0, "not one DER sequence" },
		{ "a length of more bytes than there are", 41, 0x84, 1, 0, "not one DER sequence" },
		{ "a list whose size lies", 60, 77, 4, 0, "signature list of 77 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		struct testauth auth;
		uint8_t le[4];

		print_message("  %s\n", rows[i].what);
		make(&auth, GUID_SHA256, 32);
		assert_int_equal(auth.len, 120);
		le32_put(le, rows[i].value);
		if (rows[i].at >= 0)
			memcpy(auth.bytes + rows[i].at, le, (size_t)rows[i].size);
		auth.len -= (size_t)rows[i].cut;
		assert_int_equal(parse(&auth, EFI_AUTH_DBX, &err), -1);
		assert_int_equal(err.exit, EX_DATAERR);
		if (!strstr(err.text, rows[i].why))
			fail_msg("%s", err.text);
	}
}

static void an_empty_list_is_no_update(void **state)
{
	static const uint8_t der[] = { 0x30, 0x02, 0x05, 0x00 };
	struct testlists lists = { .len = 0 };
	struct err err = { 0 };
	struct testauth auth;

	(void)state;
	(void)testlists_add(&lists, GUID_SHA256, "", 32, 0);
	testauth_put(&auth, der, sizeof der, &lists);
	assert_int_equal(parse(&auth, EFI_AUTH_DBX, &err), -1);
	assert_non_null(strstr(err.text, "no signature in its lists"));
}

/* Owners do not matter; the time since when a certificate is revoked does. */
static void an_update_is_in_a_variable_that_has_all_of_it(void **state)
{
	struct testlists lists = { .len = 0 };
	uint8_t two[96] = { 0 }, *copy;
	struct siglist variable;
	struct efi_auth parsed;
	struct testauth auth;
	size_t more[] = { 0, 1, 2 };

	(void)state;
	memcpy(two + 48, digest, sizeof digest);
	make(&auth, GUID_X509_SHA256, 48);
	assert_int_equal(efi_auth_parse("x", EFI_AUTH_DBX, auth.bytes, auth.len, &parsed, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		uint8_t *list;

		lists.len = 0;
		list = testlists_add(&lists, GUID_X509_SHA256, two, 48, i == 0 ? 1 : 2);
		memset(list + 28 + 64, 0x11, i == 1 ? 16 : 0);
		list[lists.len - 1] = i == 2;
		copy = malloc(lists.len);
		assert_non_null(copy);
		memcpy(copy, lists.bytes, lists.len);
		assert_int_equal(siglist_parse("dbx", copy, lists.len, &variable, NULL), 0);
		assert_int_equal(efi_auth_is_in(&parsed, &variable), i == 1);
		siglist_clear(&variable);
	}
	efi_auth_clear(&parsed);
}

static void the_variable_is_in_the_name(void **state)
{
	static const struct {
		const char *name;
		enum efi_auth_variable variable;
	} rows[] = {
		{ "KEK-1", EFI_AUTH_KEK }, { "db-2.auth", EFI_AUTH_DB }, { "dbx-1", EFI_AUTH_DBX },
		{ "dbx", EFI_AUTH_DBX }, { "PK-1", EFI_AUTH_VARIABLES }, { "d-1", EFI_AUTH_VARIABLES },
		{ "", EFI_AUTH_VARIABLES },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(efi_auth_variable_of(rows[i].name), rows[i].variable);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_parts_of_an_update_are_found),
		cmocka_unit_test(each_variable_has_kinds_of_signatures_of_its_own),
		cmocka_unit_test(what_is_no_update_is_refused),
		cmocka_unit_test(an_empty_list_is_no_update),
		cmocka_unit_test(an_update_is_in_a_variable_that_has_all_of_it),
		cmocka_unit_test(the_variable_is_in_the_name),
	};

	return cmocka_run_group_tests_name("efi_auth", tests, NULL, NULL);
}
