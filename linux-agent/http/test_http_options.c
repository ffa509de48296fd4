/* SPDX-License-Identifier: MIT */
/* What the configuration says about https, checked before anything is sent. What is sent, and to
 * whom, is tested in test_fetch_tls.c and test_https.py. */
#include "http_options.h"

#include "io.h"
#include "testdir.h"

#include <stdbool.h>

enum { SECRET_MAX = 64 * 1024 };

static struct testdir dir;

/* Makes a file that only its owner may read. */
static const char *put(const char *name, const char *text, size_t len)
{
	testdir_put(&dir, name, text, len);
	assert_int_equal(chmod(testdir_path(&dir, name), 0600), 0);
	return testdir_path(&dir, name);
}

static void expect(const struct err *err, const char *why)
{
	if (!strstr(err->text, why) || err->exit != EX_CONFIG)
		fail_msg("expected \"%s\", got exit %d: %s", why, err->exit, err->text);
}

static void a_key_of_https_or_a_user_does_not_go_with_http(void **state)
{
	static const struct {
		struct http_options options;
		const char *url, *why;		/* why is NULL if it may be fetched */
	} rows[] = {
		{ { 0 }, "http://host/b.zip", NULL },
		{ { .redirects = 8, .rate_limit = 5, .proxy = "none" }, "http://host/b.zip", NULL },
		{ { .token_file = "t" }, "http://host/b.zip", "token-file is for https only" },
		{ { .header_file = "h" }, "HTTP://host/b.zip", "header-file is for https only" },
		{ { .client_cert = "c" }, "http://host/b.zip", "client-cert is for https only" },
		{ { .ca_file = "a" }, "http://host/b.zip", "ca-file is for https only" },
		{ { .pin = "sha256//x" }, "http://host/b.zip", "pin is for https only" },
		{ { 0 }, "http://me:secret@host/b.zip", "would be sent in the clear" },
		{ { .token_file = "t", .pin = "sha256//x" }, "https://me:secret@host/b.zip", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };

		assert_int_equal(http_options_check_url(&rows[i].options, rows[i].url, &err),
				 rows[i].why ? -1 : 0);
		if (rows[i].why)
			expect(&err, rows[i].why);
	}
}

static void a_token_is_the_one_word_of_the_first_line(void **state)
{
	static const struct {
		const char *text, *header, *why;
		size_t len;			/* 0: strlen(text) */
	} rows[] = {
		{ "abc123", "Authorization: Bearer abc123", NULL, 0 },
		{ "abc123\n", "Authorization: Bearer abc123", NULL, 0 },
		{ "abc123\r\nmore words\n", "Authorization: Bearer abc123", NULL, 0 },
		{ "", NULL, "its first line is not one word", 0 },
		{ "\nabc", NULL, "its first line is not one word", 0 },
		{ "two words\n", NULL, "its first line is not one word", 0 },
		{ "tab\tbed\n", NULL, "its first line is not one word", 0 },
		{ "gr\xc3\xbcn\n", NULL, "its first line is not one word", 0 },
		{ "a\0b", NULL, "it is not text", 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_options options = { 0 };
		struct http_options_session session = { 0 };
		struct err err = { 0 };
		int r;

		options.token_file = put("token", rows[i].text, rows[i].len ? rows[i].len : strlen(rows[i].text));
		r = http_options_open(&options, &session, &err);
		assert_int_equal(r, rows[i].why ? -1 : 0);
		if (r < 0) {
			expect(&err, rows[i].why);
			assert_null(session.headers);
		} else {
			assert_string_equal(session.headers->data, rows[i].header);
			assert_null(session.headers->next);
		}
		http_options_close(&session);
		assert_null(session.headers);
	}
}

static void headers_are_name_and_value_and_the_line_at_fault_is_named(void **state)
{
	static const struct {
		const char *text, *first, *second, *why;
	} rows[] = {
		{ "X-Device: 7\nX-Site: north, 3\n", "X-Device: 7", "X-Site: north, 3", NULL },
		{ "# of the gateway\n\nX-Device:7", "X-Device:7", NULL, NULL },
		{ "X-Device: 7\r\nX-Tab: a\tb\r\n", "X-Device: 7", "X-Tab: a\tb", NULL },
		{ "", NULL, NULL, NULL },
		{ "X-Device: 7\nno colon\n", NULL, NULL, "line 2 is not Name: value" },
		{ ": 7\n", NULL, NULL, "line 1 is not Name: value" },
		{ "#\nX Device: 7\n", NULL, NULL, "line 2 is not Name: value" },
		{ "X-Device: 7\x01\n", NULL, NULL, "line 1 is not Name: value" },
		{ "X-Device: \x7f\n", NULL, NULL, "line 1 is not Name: value" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_options options = { 0 };
		struct http_options_session session = { 0 };
		const struct curl_slist *at;
		struct err err = { 0 };

		options.header_file = put("headers", rows[i].text, strlen(rows[i].text));
		assert_int_equal(http_options_open(&options, &session, &err), rows[i].why ? -1 : 0);
		if (rows[i].why)
			expect(&err, rows[i].why);
		at = rows[i].why ? NULL : session.headers;
		for (int k = 0; k < 2; k++) {
			const char *want = k ? rows[i].second : rows[i].first;

			if (want)
				assert_string_equal(at->data, want);
			else
				assert_null(at);
			at = at ? at->next : NULL;
		}
		http_options_close(&session);
	}
}

/* Tries each fault of a file with each key that names a secret file. */
static void a_secret_that_others_may_read_or_that_is_none_is_refused(void **state)
{
	static char large[SECRET_MAX + 1];
	struct http_options_session session = { 0 };
	const struct {
		const char *what, *why;
		mode_t mode;
		size_t len;
	} rows[] = {
		{ "others", "others may read it (mode 0604)", 0604, 3 }, { "group", "others may read it (mode 0640)", 0640, 3 },
		{ "large", "it is not a file of at most 65536 bytes", 0600, sizeof large },
		{ "directory", "it is not a file of at most 65536 bytes", 0700, 0 },
		{ "missing", "No such file", 0, 0 },
	};

	(void)state;
	memset(large, 'x', sizeof large);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		const char *what = rows[i / 2].what, *path = testdir_path(&dir, what);
		struct http_options options = { 0 };
		struct err err = { 0 };

		if (strcmp(what, "directory") == 0)
			assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
		else if (rows[i / 2].mode)
			assert_int_equal(chmod(put(what, large, rows[i / 2].len), rows[i / 2].mode), 0);
		*(i % 2 ? &options.token_file : &options.header_file) = path;
		assert_int_equal(http_options_open(&options, &session, &err), -1);
		expect(&err, i % 2 ? "failed to read token-file = " : "failed to read header-file = ");
		expect(&err, rows[i / 2].why);
		http_options_close(&session);
	}
}

static void a_file_that_is_missing_is_told_by_its_key_before_any_handshake(void **state)
{
	const struct {
		struct http_options options;
		const char *why;		/* NULL: libcurl accepts it */
	} rows[] = {
		{ { 0 }, NULL },
		{ { .rate_limit = 100, .low_speed = 80, .low_speed_s = 5, .proxy = "none" }, NULL },
		{ { .ca_file = "/nonexistent/ca.pem" }, "failed to read ca-file = /nonexistent/ca.pem: No such" },
		{ { .client_cert = "/nonexistent/c.pem" }, "failed to read client-cert = /nonexistent/c.pem: No such" },
		{ { .client_cert = "/dev/null", .client_key = "/nonexistent/k.pem" },
		  "failed to read client-key = /nonexistent/k.pem: No such" },
		{ { .client_cert = "pkcs11:object=gate", .client_key = "/nonexistent/k.pem" },
		  "failed to read client-key = /nonexistent/k.pem: No such" },
		{ { .client_cert = "PKCS11:object=gate" }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct http_options_session session = { .options = &rows[i].options };
		CURL *easy = curl_easy_init();
		struct err err = { 0 };

		assert_int_equal(http_options_apply(easy, &session, &err), rows[i].why ? -1 : 0);
		if (rows[i].why)
			expect(&err, rows[i].why);
		curl_easy_cleanup(easy);
	}
}

/* The key is in client-key, or in client-cert if client-key is not set. */
static void a_key_that_others_may_read_is_refused(void **state)
{
	struct http_options options = { 0 };
	const struct http_options_session session = { .options = &options };
	char cert[512], key[512];

	(void)state;
	snprintf(cert, sizeof cert, "%s", put("cert.pem", "cert", 4));
	snprintf(key, sizeof key, "%s", put("key.pem", "key", 3));
	options.client_cert = cert;
	for (int own = 0; own < 2; own++) {
		CURL *easy = curl_easy_init();
		struct err err = { 0 };

		options.client_key = own ? key : NULL;
		assert_int_equal(http_options_apply(easy, &session, &err), 0);
		assert_int_equal(chmod(own ? key : cert, 0644), 0);
		assert_int_equal(http_options_apply(easy, &session, &err), -1);
		expect(&err, own ? "failed to read client-key = " : "failed to read client-cert = ");
		curl_easy_cleanup(easy);
	}
}

static void a_failed_exchange_is_told_in_the_words_of_the_configuration(void **state)
{
	const struct http_options with = { .client_cert = "c" }, without = { 0 };
	const struct {
		const struct http_options *options;
		CURLcode code;
		const char *key;		/* NULL: it concerns none of them */
	} rows[] = {
		{ &without, CURLE_SSL_PINNEDPUBKEYNOTMATCH, "(pin)" },
		{ &with, CURLE_SSL_CERTPROBLEM, "client-cert" }, { &without, CURLE_SSL_CERTPROBLEM, NULL },
		{ &without, CURLE_SSL_CACERT_BADFILE, "(ca-file)" },
		{ &with, CURLE_SSL_ENGINE_NOTFOUND, "PKCS#11" }, { &with, CURLE_SSL_ENGINE_SETFAILED, "PKCS#11" },
		{ &with, CURLE_SSL_ENGINE_INITFAILED, "PKCS#11" },
		{ &with, CURLE_COULDNT_CONNECT, NULL }, { &with, CURLE_PEER_FAILED_VERIFICATION, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *words = http_options_explain(rows[i].options, rows[i].code);

		assert_int_equal(words != NULL, rows[i].key != NULL);
		if (words)
			assert_non_null(strstr(words, rows[i].key));
	}
}

static int setup(void **state)
{
	(void)state;
	testdir_make(&dir);
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	testdir_remove(&dir);
	curl_global_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_of_https_or_a_user_does_not_go_with_http),
		cmocka_unit_test(a_token_is_the_one_word_of_the_first_line),
		cmocka_unit_test(headers_are_name_and_value_and_the_line_at_fault_is_named),
		cmocka_unit_test(a_secret_that_others_may_read_or_that_is_none_is_refused),
		cmocka_unit_test(a_file_that_is_missing_is_told_by_its_key_before_any_handshake),
		cmocka_unit_test(a_key_that_others_may_read_is_refused),
		cmocka_unit_test(a_failed_exchange_is_told_in_the_words_of_the_configuration),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
