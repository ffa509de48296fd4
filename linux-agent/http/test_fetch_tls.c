/* SPDX-License-Identifier: MIT */
#include "fetch.h"

#include "testfetch.h"
#include "testpki.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Runs openssl's test server in dir. Returns its port, or -1 if openssl is not installed. */
static int tls_server_start(const struct testdir *dir, pid_t *ret_pid)
{
	char line[128];
	int out[2], port = -1;
	FILE *f;

	assert_int_equal(pipe(out), 0);
	*ret_pid = fork();
	if (*ret_pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (chdir(dir->path) < 0 || dup2(out[1], 1) < 0 || !freopen("/dev/null", "w", stderr))
			_exit(126);
		execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
		       "tls.crt", "-key", "tls.key", "-HTTP", (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	f = fdopen(out[0], "r");
	while (port < 0 && fgets(line, sizeof line, f))
		(void)sscanf(line, "ACCEPT 127.0.0.1:%d", &port);
	fclose(f);
	return port;
}

static void expect_fail(const char *url, const struct fetch_options *o, const char *why)
{
	int fd = memfd_create("body", 0);
	struct err err = { 0 };
	uint64_t len;

	assert_int_equal(fetch_to_fd(url, o, fd, &len, &err), -1);
	close(fd);
	if (!strstr(err.text, why) || err.exit != EX_UNAVAILABLE)
		fail_msg("expected \"%s\", got exit %d: %s", why, err.exit, err.text);
}

static void expect_hello(const char *url, const struct fetch_options *o)
{
	int fd = memfd_create("body", 0);
	struct err err = { 0 };
	char body[6] = "";
	uint64_t len;

	if (fetch_to_fd(url, o, fd, &len, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pread(fd, body, sizeof body, 0), 5);
	assert_string_equal(body, "hello");
	close(fd);
}

static void https_needs_a_known_certificate_and_is_never_left_for_http(void **state)
{
	struct testpki tls = testpki_make("127.0.0.1");
	struct http_options http = { 0 };
	struct fetch_options o = { .deadline_s = 3600, .backoff_ms = 10, .http = &http };
	struct testdir dir;
	char url[64], ca[128];
	pid_t pid;
	int port;

	(void)state;
	testdir_make(&dir);
	testpki_extension(tls.cert, NID_subject_alt_name, "IP:127.0.0.1");
	assert_true(X509_sign(tls.cert, tls.key, EVP_sha256()) > 0);
	testpki_write(&tls, &dir, "tls");
	testpki_free(&tls);
	testdir_text(&dir, "b.zip", "HTTP/1.1 302 Found\r\n"
		     "Location: http://127.0.0.1:1/b.zip\r\n\r\n");
	testdir_text(&dir, "good.zip", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
	port = tls_server_start(&dir, &pid);
	if (port > 0) {
		snprintf(ca, sizeof ca, "%s/tls.crt", dir.path);
		http.ca_file = ca;
		http.redirects = 1;
		snprintf(url, sizeof url, "https://127.0.0.1:%d/good.zip", port);
		expect_hello(url, &o);
		snprintf(url, sizeof url, "https://127.0.0.1:%d/b.zip", port);
		expect_fail(url, &o, "not allowed from https://");
		http.ca_file = NULL;
		expect_fail(url, &o, "certificate");
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	testdir_remove(&dir);
	if (port <= 0)
		skip();
}

static void a_server_s_certificate_out_of_its_dates_makes_the_clock_doubted(void **state)
{
	static const struct { long from, until; const char *why; } rows[] = {
		{ DAY, 2 * DAY, "certificate is not yet valid; is this machine's clock right? It says " },
		{ -2 * DAY, -DAY, "certificate has expired; is this machine's clock right? It says " },
	};
	bool skipped = false;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct testpki tls = testpki_make_full("127.0.0.1", NULL, EVP_EC_gen("P-256"), false,
						       rows[i].from, rows[i].until, NULL);
		struct http_options http = { 0 };
		struct fetch_options o = { .deadline_s = 3600, .backoff_ms = 10, .http = &http };
		struct testdir dir;
		char url[64], ca[128];
		pid_t pid;
		int port;

		testdir_make(&dir);
		testpki_write(&tls, &dir, "tls");
		testpki_free(&tls);
		port = tls_server_start(&dir, &pid);
		snprintf(ca, sizeof ca, "%s/tls.crt", dir.path);
		http.ca_file = ca;
		snprintf(url, sizeof url, "https://127.0.0.1:%d/b.zip", port);
		skipped = port <= 0;
		if (!skipped)
			expect_fail(url, &o, rows[i].why);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		testdir_remove(&dir);
	}
	if (skipped)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_s_certificate_out_of_its_dates_makes_the_clock_doubted),
		cmocka_unit_test(https_needs_a_known_certificate_and_is_never_left_for_http),
	};

	/* libcurl would send even requests to 127.0.0.1 through this machine's proxy. */
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
