/* SPDX-License-Identifier: MIT */
#include "report_text.h"

#include "io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void what_is_secret_is_cut_off_and_the_rest_stays(void **test)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ "one\ntwo\n", "one\ntwo\n" },
		{ "no end", "no end" },
		{ "reading https://me:pw@host/x.zip?sig=abc: done\n", "reading https://...@host/x.zip?...: done\n" },
		{ "Authorization: Bearer abcdef\nnext\n", "Authorization: ...\nnext\n" },
		{ "sent bearer abcdef\n", "sent bearer ...\n" },
		{ "password=hunter2 user=me\n", "password=...\n" },
		{ "PASSWORD = x\n", "PASSWORD = .\n" },
		{ "token-file = /etc/slotboot/token\n", "token-file = /etc/slotboot/token\n" },
		{ "api-key: k\napi-key:\n", "api-key: .\napi-key:\n" },
		{ "pkcs11:object=k;pin-value=1234\n", "pkcs11:object=k;pin-value=...\n" },
		{ "bell \a and \033[31m red\n", "bell ? and ?[31m red\n" },
	};

	(void)test;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text = strdup(rows[i].text);

		report_text_redact(text);
		assert_string_equal(text, rows[i].want);
		free(text);
	}
}

static void lines_without_the_words_go(void **test)
{
	static const char *const words[] = { "efi", "watchdog", NULL };
	char text[] = "6,1,2;EFI v2.70\n6,2,3;usb\n4,3,4;a Watchdog\nlast", none[] = "";

	(void)test;
	report_text_keep(text, words);
	assert_string_equal(text, "6,1,2;EFI v2.70\n4,3,4;a Watchdog\n");
	report_text_keep(none, words);
	assert_string_equal(none, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_secret_is_cut_off_and_the_rest_stays),
		cmocka_unit_test(lines_without_the_words_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
