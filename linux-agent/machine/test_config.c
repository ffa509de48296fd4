/* SPDX-License-Identifier: MIT */
#include "config.h"
#include "io.h"

#include "testdir.h"
#include "unittest.h"

#include <unistd.h>

static char path[64];

static int load_bytes(const char *text, size_t len, struct config **config, struct err *err)
{
	FILE *f;

	strcpy(path, "/tmp/slotboot-test-config-XXXXXX");
	f = fdopen(mkstemp(path), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
	return config_load(path, config, err);
}

static int load(const char *text, struct config **config, struct err *err)
{
	return load_bytes(text, strlen(text), config, err);
}

static void every_key_is_read(void **state)
{
	struct config *c;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(load("# comment\n[slotboot]\ncompatible = acme\nesp=/esp\n"
			      "esp-device = disk.img:1\nkeyring = k\ntries = 7\ngood-limit = 5\ncheck = always\nfailover = reset\nloader-entries = shown\n"
			      "lock = l\nca-file = ca\ndeadline = 60\n"
			      "health-timeout = 5\nhealth-settle = 0\nhealth-deadline = 70\n"
			      "health-units = a.service b.mount\nhealth-ignore = c.service\n"
			      "watchdog = always\nwatchdog-timeout = 30\n"
			      "crl = r.crl\nsigners = 2\nsigning-time = yes\n"
			      "pin = sha256//x;sha256//y=\n"
			      "client-cert = pkcs11:object=me;type=cert\nclient-key = ck\n"
			      "token-file = t\nheader-file = h\nproxy = p\nredirects = 0\n"
			      "connections = 3\nrate-limit = 1000\nlow-speed = 50\nlow-speed-time = 5\nsysroot = s\n[image rootfs]\na = /dev/1\nb = /dev/2\n"
			      "[image usr]\nb=y\na=x\n", &c, &err), 0);
	assert_string_equal(c->compatible, "acme");
	assert_string_equal(c->esp_device, "disk.img:1");
	assert_int_equal(c->tries, 7);
	assert_int_equal(c->good_limit, 5);
	assert_int_equal(c->check, CONFIG_CHECK_ALWAYS);
	assert_int_equal(c->failover, CONFIG_FAILOVER_RESET);
	assert_int_equal(c->entries, CONFIG_ENTRIES_SHOWN);
	assert_int_equal(c->deadline_s, 60);
	assert_int_equal(c->watchdog, CONFIG_WATCHDOG_ALWAYS);
	assert_int_equal(c->watchdog_s, 30);
	assert_int_equal(c->health_timeout_s, 5);
	assert_int_equal(c->health_settle_s, 0);
	assert_int_equal(c->health_deadline_s, 70);
	assert_string_equal(c->health_units, "a.service b.mount");
	assert_string_equal(c->health_ignore, "c.service");
	assert_string_equal(c->http.ca_file, "ca");
	assert_string_equal(c->rules.crl, "r.crl");
	assert_int_equal(c->rules.signers, 2);
	assert_true(c->rules.signing_time);
	assert_string_equal(c->http.pin, "sha256//x;sha256//y=");
	assert_string_equal(c->http.client_cert, "pkcs11:object=me;type=cert");
	assert_string_equal(c->http.client_key, "ck");
	assert_string_equal(c->http.token_file, "t");
	assert_string_equal(c->http.header_file, "h");
	assert_string_equal(c->http.proxy, "p");
	assert_int_equal(c->http.redirects, 0);
	assert_int_equal(c->http.connections, 3);
	assert_int_equal(c->http.rate_limit, 1000);
	assert_int_equal(c->http.low_speed, 50);
	assert_int_equal(c->http.low_speed_s, 5);
	assert_int_equal(c->image_count, 2);
	assert_string_equal(config_image_find(c, "usr")->target[0], "x");
	assert_string_equal(config_image_find(c, "rootfs")->target[1], "/dev/2");
	assert_null(config_image_find(c, "app"));
	config_free(c);
	unlink(path);
}

static void a_secret_without_a_slash_is_a_credential_of_the_unit(void **state)
{
	static const char text[] = "[slotboot]\nclient-cert = pkcs11:object=me\nclient-key = key\n"
				   "token-file = token\nheader-file = /etc/headers\n";
	char directory[] = "/tmp/slotboot-test-credentials-XXXXXX", token[64];
	struct config *c;
	struct err err;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(token, sizeof token, "%s/token", directory);
	fclose(fopen(token, "w"));
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
	assert_int_equal(load(text, &c, &err), 0);
	assert_string_equal(c->http.token_file, token);
	assert_string_equal(c->http.client_key, "key");
	assert_string_equal(c->http.client_cert, "pkcs11:object=me");
	assert_string_equal(c->http.header_file, "/etc/headers");
	config_free(c);
	unlink(path);
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	assert_int_equal(load(text, &c, &err), 0);
	assert_string_equal(c->http.token_file, "token");
	config_free(c);
	unlink(path);
	unlink(token);
	rmdir(directory);
}

static void an_empty_file_gives_the_defaults(void **state)
{
	struct config *c;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(load("", &c, &err), 0);
	assert_null(c->compatible);
	assert_int_equal(c->tries, 3);
	assert_int_equal(c->good_limit, 0);
	assert_int_equal(c->watchdog, CONFIG_WATCHDOG_TRIAL);
	assert_int_equal(c->watchdog_s, 120);
	assert_int_equal(c->http.redirects, 8);
	assert_false(c->rules.signing_time);
	assert_string_equal(c->keyring, "/etc/slotboot/keyring.pem");
	config_free(c);
	unlink(path);
}

static void without_the_loader_a_trial_has_one_try(void **state)
{
	struct config *c;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(load("[slotboot]\nactivation = direct\ntries = 5\n", &c, &err), 0);
	assert_int_equal(c->activation, CONFIG_ACTIVATION_DIRECT);
	assert_int_equal(c->tries, 1);
	config_free(c);
	unlink(path);
}

static void a_bad_line_is_named_with_file_line_and_key(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "[slotboot]\ntires = 3\n", ":2: tires: unknown key in [slotboot]" },
		{ "[slotboot]\n\ntries = 0\n", ":3: tries = 0: must be a number from 1 to 255" },
		{ "[slotboot]\ntries = 256\n", ":2: tries = 256" },
		{ "[slotboot]\ntries = -1\n", ":2: tries = -1" },
		{ "[slotboot]\ntries = 3x\n", ":2: tries = 3x" },
		{ "[slotboot]\nwatchdog = on\n",
		  ":2: watchdog = on: must be trial, always or off" },
		{ "[slotboot]\nwatchdog =\n", ":2: watchdog = : must be trial" },
		{ "[slotboot]\ntries = +3\n", ":2: tries = +3: must be a number from 1 to 255" },
		{ "[slotboot]\nwatchdog-timeout = 4\n", ":2: watchdog-timeout = 4: must be a number "
							"from 5 to 600" },
		{ "[slotboot]\nsigners = 0\n", ":2: signers = 0: must be a number from 1 to 8" },
		{ "[slotboot]\nsigning-time = 1\n", ":2: signing-time = 1: must be no or yes" },
		{ "[slotboot]\nredirects = 21\n", ":2: redirects = 21" },
		{ "[slotboot]\nactivation = kexec\n", ":2: activation = kexec: must be loader or direct" },
		{ "[slotboot]\nshim = EFI/shimx64.efi\n", "shim = EFI/shimx64.efi: must be the name of a file" },
		{ "[slotboot]\nshim = .efi\n", "must be the name of a file" },
		{ "[slotboot]\nshim = shimx64\n", "must be the name of a file" },
		{ "[slotboot]\nshim = shim x64.efi\n", "must be the name of a file" },
		{ "[slotboot]\nshim = Slotbootx64.new.efi\n", "must be the name of a file" },
		{ "[slotboot]\nshim = shimx64.efi\nactivation = direct\n", "shim goes with the loader" },
		{ "[slotboot]\nactivation = direct\nesp = /a /b\n", "activation = direct goes with one ESP" },
		{ "[slotboot]\nclient-key = k\n", "client-key without client-cert" },
		{ "[slotboot]\ncompatible =\n", ":2: compatible: has no value" },
		{ "[slotbot]\ncompatible = x\n", ":2: [slotbot] compatible: unknown section" },
		{ "compatible = x\n", ":1: [] compatible: unknown section" },
		{ "[slotboot]\nnonsense\n", ":2: not a [section] or a key = value line" },
		{ "[image rootfs]\nc = x\n", ":2: c: unknown key in [image rootfs]" },
		{ "[image rootfs]\na = x\n", "[image rootfs] has no key b" },
		{ "[slotboot]\ntries = 0\ntires = 1\n", ":2: tries = 0" },
		{ "[slotboot]\ntries = 1\ntries = 2\n", ":3: tries: given twice" },
		{ "[slotboot]\ncompatible = x\n  tries = 2\n", ":3: compatible: given twice" },
		{ "[image r]\na = x\na = y\nb = z\n", ":3: a: given twice" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct config *c;
		struct err err = { 0 };

		assert_int_equal(load(rows[i].text, &c, &err), -1);
		assert_int_equal(err.exit, EX_CONFIG);
		assert_non_null(strstr(err.text, path));
		if (!strstr(err.text, rows[i].want))
			fail_msg("%s does not hold %s", err.text, rows[i].want);
		unlink(path);
	}
}

/* As a power cut leaves of a block that was not written yet. */
static void nul_bytes_are_refused_and_no_key_vanishes_with_them(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} rows[] = {
#define BYTES(text) { text, sizeof text - 1 }
		BYTES("[slotboot]\ncompatible = x\n\0\0\0\0\0\0\0\0\0\0\0\ncrl = c\n"),
		BYTES("[slotboot]\nsigners = 2\n\0"),
		BYTES("[slotboot]\ncompatible = x\0y\n"),
		BYTES("\0"),
#undef BYTES
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct config *c;
		struct err err = { 0 };

		assert_int_equal(load_bytes(rows[i].text, rows[i].len, &c, &err), -1);
		assert_int_equal(err.exit, EX_CONFIG);
		assert_non_null(strstr(err.text, path));
		assert_non_null(strstr(err.text, "NUL bytes"));
		unlink(path);
	}
}

/* inih takes what does not fit its buffer for another line: the end of a long comment
 * would be a key. */
static void a_line_of_198_characters_is_read_and_a_longer_one_is_refused(void **state)
{
	char text[512];
	struct config *c;
	struct err err = { 0 };

	(void)state;
	snprintf(text, sizeof text, "[slotboot]\nkeyring = %0188d\n# %0196d\ntries = 7", 1, 1);
	assert_int_equal(load(text, &c, &err), 0);
	assert_int_equal(strlen(c->keyring), 188);
	assert_int_equal(c->tries, 7);
	config_free(c);
	unlink(path);
	for (int width = 187; width < 250; width++) {
		snprintf(text, sizeof text, "[slotboot]\n# %0*d tries = 9\n", width, 1);
		err.exit = 0;
		assert_int_equal(load(text, &c, &err), -1);
		assert_int_equal(err.exit, EX_CONFIG);
		assert_non_null(strstr(err.text, ":2: longer than 198 characters"));
		unlink(path);
	}
}

static void a_file_that_cannot_be_read_is_no_empty_one(void **state)
{
	static const struct {
		const char *path, *why;
	} rows[] = {
		{ "/tmp", "/tmp: Is a directory" },
		{ "/proc/self/mem", "/proc/self/mem: Input/output error" },
		{ "/dev/null/slotboot.conf", "/dev/null/slotboot.conf: Not a directory" },
		{ "/dev/zero", "/dev/zero: File too large" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct config *c;
		struct err err = { 0 };

		assert_int_equal(config_load(rows[i].path, &c, &err), -1);
		assert_int_equal(err.exit, EX_CONFIG);
		assert_non_null(strstr(err.text, rows[i].why));
	}
}

static void a_named_file_must_exist(void **state)
{
	struct config *c;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(config_load("/nonexistent/slotboot.conf", &c, &err), -1);
	assert_int_equal(err.exit, EX_NOINPUT);
}

/* --- the system's files: /etc, /run and /usr/lib --- */

/* text NULL: a link to /dev/null. */
static void system_file(const struct testdir *dir, const char *name, const char *text)
{
	char all[256];

	snprintf(all, sizeof all, "[slotboot]\n%s\n", text ? text : "");
	testdir_text(dir, name, all);
	if (text)
		return;
	assert_int_equal(unlink(testdir_path(dir, name)), 0);
	assert_int_equal(symlink("/dev/null", testdir_path(dir, name)), 0);
}

#define ETC "etc/slotboot/slotboot.conf"
#define RUN "run/slotboot/slotboot.conf"
#define USR "usr/lib/slotboot/slotboot.conf"

static void of_the_systems_files_the_first_counts_and_each_dropin_sets_keys_anew(void **state)
{
	static const struct {
		struct { const char *path, *text; } files[5];
		unsigned tries, good_limit;
	} rows[] = {
		{ { { NULL, NULL } }, 3, 0 },
		{ { { USR, "tries = 4" } }, 4, 0 },
		{ { { USR, "tries = 4\ngood-limit = 9" }, { RUN, "tries = 5" } }, 5, 0 },
		{ { { USR, "tries = 4" }, { RUN, "tries = 5" }, { ETC, "good-limit = 6" } }, 3, 6 },
		{ { { ETC, "tries = 4\ngood-limit = 6" }, { USR ".d/1.conf", "tries = 5" } }, 5, 6 },
		{ { { USR ".d/2.conf", "tries = 5" }, { ETC ".d/1.conf", "tries = 6\ngood-limit = 7" } }, 5, 7 },
		{ { { USR ".d/1.conf", "tries = 5" }, { RUN ".d/1.conf", "tries = 6" } }, 6, 0 },
		{ { { USR ".d/1.conf", "tries = 5" }, { ETC ".d/1.conf", NULL } }, 3, 0 },
		{ { { ETC, NULL }, { USR, "tries = 4" } }, 3, 0 },
		{ { { ETC ".d/1.conf~", "tries = 4" }, { ETC ".d/README", "tries = 5" } }, 3, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(config_freep) struct config *c = NULL;
		struct testdir dir;
		struct err err = { 0 };

		testdir_make(&dir);
		for (size_t f = 0; f < ARRAY_SIZE(rows[i].files) && rows[i].files[f].path; f++)
			system_file(&dir, rows[i].files[f].path, rows[i].files[f].text);
		assert_int_equal(config_load_below(dir.path, NULL, &c, &err), 0);
		assert_int_equal(c->tries, rows[i].tries);
		assert_int_equal(c->good_limit, rows[i].good_limit);
		testdir_remove(&dir);
	}
}

static void what_is_wrong_in_a_dropin_names_it(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "tries = 0", ".d/1.conf:2: tries = 0" },
		{ "tries = 1\ntries = 2", ".d/1.conf:3: tries: given twice" },
		{ "[image x]\na = /dev/1\na = /dev/2", ".d/1.conf:4: a: given twice" },
		{ "health-settle = 400", "slotboot.conf with its drop-ins: health-settle" },
		{ "[image x]\na = /dev/1", "slotboot.conf with its drop-ins: [image x] has no key b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config *c;
		struct testdir dir;
		struct err err = { 0 };

		testdir_make(&dir);
		system_file(&dir, ETC, "tries = 4");
		system_file(&dir, ETC ".d/1.conf", rows[i].text);
		assert_int_equal(config_load_below(dir.path, NULL, &c, &err), -1);
		assert_int_equal(err.exit, EX_CONFIG);
		assert_non_null(strstr(err.text, rows[i].why));
		testdir_remove(&dir);
	}
}

static void a_dropin_may_set_one_target_of_an_image_anew(void **state)
{
	_cleanup_(config_freep) struct config *c = NULL;
	struct testdir dir;
	struct err err = { 0 };

	(void)state;
	testdir_make(&dir);
	system_file(&dir, USR, "[image x]\na = /dev/1\nb = /dev/2");
	system_file(&dir, ETC ".d/1.conf", "[image x]\nb = /dev/3");
	assert_int_equal(config_load_below(dir.path, NULL, &c, &err), 0);
	assert_int_equal(c->image_count, 1);
	assert_string_equal(c->images[0].target[0], "/dev/1");
	assert_string_equal(c->images[0].target[1], "/dev/3");
	testdir_remove(&dir);
}

static void the_record_is_told_what_the_loader_goes_by(void **state)
{
	struct config config = { .good_limit = 5, .check = CONFIG_CHECK_ALWAYS, .failover = CONFIG_FAILOVER_RESET,
				 .entries = CONFIG_ENTRIES_SHOWN };
	struct record record = { .flags = RECORD_FLAG_PROVISIONAL };

	(void)state;
	config_to_record(&config, &record);
	assert_int_equal(record.good_limit, 5);
	assert_int_equal(record.flags, RECORD_FLAG_PROVISIONAL | RECORD_FLAG_CHECK | RECORD_FLAG_RESET |
					RECORD_FLAG_ENTRIES);
	config.check = CONFIG_CHECK_TRIAL;
	config.failover = CONFIG_FAILOVER_SAME_BOOT;
	config.entries = CONFIG_ENTRIES_HIDDEN;
	config_to_record(&config, &record);
	assert_int_equal(record.flags, RECORD_FLAG_PROVISIONAL);
}

static void esp_names_one_or_two(void **state)
{
	static const char *const bad[] = {
		"esp = /efi /efi2 /efi3\n", "esp = /efi /efi2\nesp-device = d:1\n",
		"esp = /efi\nesp-device = d:1 e:1\n",
	};
	struct err err = { 0 };
	struct config *c;

	(void)state;
	assert_int_equal(load("[slotboot]\nesp = /efi \t/efi2\nesp-device = d:1  e:2\n", &c, &err), 0);
	assert_string_equal(c->esps[0], "/efi");
	assert_string_equal(c->esps[1], "/efi2");
	assert_string_equal(c->esp_devices[1], "e:2");
	unlink(path);
	config_free(c);
	assert_int_equal(load("[slotboot]\nesp = /efi\n", &c, &err), 0);
	assert_string_equal(c->esps[0], "/efi");
	assert_null(c->esps[1]);
	assert_null(c->esp_devices[0]);
	unlink(path);
	config_free(c);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[128];

		(void)snprintf(text, sizeof text, "[slotboot]\n%s", bad[i]);
		assert_int_equal(load(text, &c, &err), -1);
		assert_int_equal(err.exit, EX_CONFIG);
		assert_non_null(strstr(err.text, path));
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(a_secret_without_a_slash_is_a_credential_of_the_unit),
		cmocka_unit_test(an_empty_file_gives_the_defaults),
		cmocka_unit_test(without_the_loader_a_trial_has_one_try),
		cmocka_unit_test(a_bad_line_is_named_with_file_line_and_key),
		cmocka_unit_test(nul_bytes_are_refused_and_no_key_vanishes_with_them),
		cmocka_unit_test(a_line_of_198_characters_is_read_and_a_longer_one_is_refused),
		cmocka_unit_test(a_file_that_cannot_be_read_is_no_empty_one),
		cmocka_unit_test(a_named_file_must_exist),
		cmocka_unit_test(of_the_systems_files_the_first_counts_and_each_dropin_sets_keys_anew),
		cmocka_unit_test(what_is_wrong_in_a_dropin_names_it),
		cmocka_unit_test(a_dropin_may_set_one_target_of_an_image_anew),
		cmocka_unit_test(esp_names_one_or_two),
		cmocka_unit_test(the_record_is_told_what_the_loader_goes_by),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
