/* SPDX-License-Identifier: MIT */
/* The floor's two pairs of files on an ESP: what raises it, what is believed of them,
 * and disks that fail in the middle. */
#include "rollback_floor.h"

#include "testpki.h"
#include "io.h"

static struct testdir dir;
static struct testpki signer, lapsed, stranger;
static struct config config;
static struct machine machine;
static char keyring[128], acme[] = "acme";

static void words_make(const char *who, const char *compatible, const char *version,
		       bool raises, struct signed_manifest *ret)
{
	char json[512], key[128], cert[128];
	struct err err = { 0 };

	snprintf(json, sizeof json, "{\"format\":2,\"compatible\":\"%s\",\"version\":\"%s\","
		 "\"raises-floor\":%s,\"payloads\":[{\"type\":\"uki\",\"file\":\"uki.efi.zst\","
		 "\"size\":1,\"sha256\":\"%064d\",\"index\":{\"file\":\"uki.index\",\"size\":60,"
		 "\"sha256\":\"%064d\"}}]}", compatible, version, raises ? "true" : "false", 0, 0);
	snprintf(key, sizeof key, "%s/%s.key", dir.path, who);
	snprintf(cert, sizeof cert, "%s/%s.crt", dir.path, who);
	*ret = (struct signed_manifest){ .json = (uint8_t *)strdup(json), .json_len = strlen(json) };
	if (cms_sign_detached(ret->json, ret->json_len, key, cert, &ret->p7s, &ret->p7s_len,
			      &err) < 0 ||
	    manifest_parse(ret->json, ret->json_len, &ret->manifest, &err) < 0)
		fail_msg("%s", err.text);
}

static void pair_put(unsigned pair, const struct signed_manifest *words)
{
	char name[64];

	snprintf(name, sizeof name, "EFI/slotboot/floor-%u.json", pair);
	testdir_put(&dir, name, words->json, words->json_len);
	snprintf(name, sizeof name, "EFI/slotboot/floor-%u.p7s", pair);
	testdir_put(&dir, name, words->p7s, words->p7s_len);
}

static void put(unsigned pair, const char *who, const char *compatible, const char *version,
		bool raises)
{
	struct signed_manifest words;

	words_make(who, compatible, version, raises, &words);
	pair_put(pair, &words);
	signed_manifest_clear(&words);
}

static int raise_by(const char *version, struct err *err)
{
	struct signed_manifest words;
	int r;

	*err = (struct err){ 0 };
	words_make("signer", "acme", version, true, &words);
	r = rollback_floor_raise(&machine, &words, err);
	signed_manifest_clear(&words);
	return r;
}

static void raise_to(const char *version)
{
	struct err err;

	if (raise_by(version, &err) < 0)
		fail_msg("%s", err.text);
}

/* ignored: words of what is said of a pair that does not count; NULL: nothing is. */
static void expect(const char *version, const char *ignored)
{
	struct err err = { 0 };
	struct rollback_floor floor;

	if (rollback_floor_load(&machine, &floor, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(floor.version, version);
	if (ignored ? !strstr(floor.ignored.text, ignored) : floor.ignored.exit != 0)
		fail_msg("\"%s\" does not say \"%s\"", floor.ignored.text, ignored ? ignored : "");
}

static void it_rises_and_never_falls(void **state)
{
	static const char *const rows[][2] = {
		{ "1.9", "1.9" }, { "1.10", "1.10" }, { "1.9", "1.10" }, { "2~rc1", "2~rc1" },
	};

	(void)state;
	expect("", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		raise_to(rows[i][0]);
		expect(rows[i][1], NULL);
	}
}

static void the_pairs_are_the_bundles_own_bytes(void **state)
{
	static const char *const names[] = { "floor-1.json", "floor-2.json", "floor-1.p7s",
					     "floor-2.p7s" };
	struct signed_manifest words;
	struct err err = { 0 };

	(void)state;
	words_make("signer", "acme", "3", true, &words);
	assert_int_equal(rollback_floor_raise(&machine, &words, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ uint8_t *data = NULL;
		char path[128];
		size_t len;

		snprintf(path, sizeof path, "%s/EFI/slotboot/%s", dir.path, names[i]);
		assert_int_equal(read_file(path, 65536, &data, &len), 0);
		assert_int_equal(len, i < 2 ? words.json_len : words.p7s_len);
		assert_memory_equal(data, i < 2 ? words.json : words.p7s, len);
	}
	signed_manifest_clear(&words);
}

static void either_pair_alone_holds_it_and_the_higher_counts(void **state)
{
	static const char *const gone[] = { "floor-1.json", "floor-1.p7s", "floor-2.json",
					    "floor-2.p7s" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
		char name[64];

		raise_to("3");
		snprintf(name, sizeof name, "EFI/slotboot/%s", gone[i]);
		assert_int_equal(remove(testdir_path(&dir, name)), 0);
		expect("3", strstr(gone[i], "json") ? "is not" : NULL);
		testdir_text(&dir, name, "spoilt");
		expect("3", "is no rollback floor and ignored");
	}
	raise_to("2");		/* mends the last one */
	expect("3", NULL);
	for (unsigned pair = 1; pair <= 2; pair++) {
		put(pair, "signer", "acme", "1.10", true);
		put(3 - pair, "signer", "acme", "1.9", true);
		expect("1.10", NULL);
	}
}

static void what_nobody_vouches_for_is_ignored_and_said(void **state)
{
	static const struct {
		const char *who, *compatible;
		bool raises;
		const char *want;	/* NULL: it counts */
	} rows[] = {
		{ "stranger", "acme", true, "who is not in the keyring" },
		{ "signer", "umbrella", true, "it is for umbrella" },
		{ "signer", "acme", false, "does not raise the floor" },
		{ "lapsed", "acme", true, NULL },
		{ "signer", "acme", true, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put(1, "signer", "acme", "5", true);
		put(2, rows[i].who, rows[i].compatible, "99999", rows[i].raises);
		expect(rows[i].want ? "5" : "99999", rows[i].want);
	}
	raise_to("6");		/* 99999 was genuine */
	expect("99999", NULL);
	put(1, "stranger", "acme", "99999", true);
	put(2, "stranger", "acme", "99999", true);
	expect("", "is no rollback floor and ignored");
	raise_to("6");
	expect("6", NULL);
	testdir_text(&dir, "EFI/slotboot/floor-1.json", "{\"version\": \"99999\"}");
	expect("6", "altered after it was signed");
	assert_int_equal(remove(testdir_path(&dir, "EFI/slotboot/floor-1.p7s")), 0);
	assert_int_equal(mkdir(testdir_path(&dir, "EFI/slotboot/floor-1.p7s"), 0755), 0);
	expect("6", "floor-1.p7s: Is a directory");
}

/* Then it is not known whether there is one: nothing is installed on a guess. */
static void a_keyring_that_cannot_be_read_is_an_error(void **state)
{
	struct err err = { 0 };
	struct rollback_floor floor;

	(void)state;
	expect("", NULL);
	raise_to("3");
	assert_int_equal(remove(keyring), 0);
	assert_int_equal(rollback_floor_load(&machine, &floor, &err), -1);
	assert_int_equal(err.exit, EX_CONFIG);
	assert_non_null(strstr(err.text, "failed to read the rollback floor"));
}

/* A disk that is out of order from the n-th write or flush on. */
static struct broken_disk {
	unsigned left;
	bool lies;
} broken;

static bool is_broken(void)
{
	if (broken.left > 0)
		broken.left--;
	return broken.left == 0;
}

static int broken_write(void *ctx, int file, const void *buf, size_t len, uint64_t offset)
{
	if (!is_broken())
		return disk_posix.write(ctx, file, buf, len, offset);
	errno = EIO;
	return broken.lies ? 0 : -1;
}

static int broken_flush(void *ctx, int file)
{
	if (!is_broken())
		return disk_posix.flush(ctx, file);
	errno = EIO;
	return broken.lies ? 0 : -1;
}

/* Four files, of each a write and a flush. */
static void a_disk_that_fails_loses_no_floor_and_is_no_success(void **state)
{
	(void)state;
	for (unsigned lies = 0; lies < 2; lies++)
		for (unsigned at = 1; at <= 8; at++) {
			struct rollback_floor floor;
			struct err err;
			int r;

			raise_to("1");
			broken = (struct broken_disk){ .left = at, .lies = lies };
			machine.disk.write = broken_write;
			machine.disk.flush = broken_flush;
			r = raise_by("2", &err);
			machine.disk = disk_posix;
			/* Of a lie only what was not written can be told. */
			assert_int_equal(r, lies && at == 8 ? 0 : -1);
			if (r < 0)
				assert_int_equal(err.exit, EX_IOERR);
			/* From the second pair's first byte on, the first pair holds it. */
			assert_int_equal(rollback_floor_load(&machine, &floor, &err), 0);
			assert_string_equal(floor.version, at <= 3 ? "1" : "2");
			assert_int_equal(remove(testdir_path(&dir, "EFI/slotboot/floor-1.p7s")), 0);
			(void)remove(testdir_path(&dir, "EFI/slotboot/floor-2.p7s"));
		}
}

static int each_setup(void **state)
{
	(void)state;
	testdir_make(&dir);
	testdir_put(&dir, "EFI/slotboot/x", "", 0);
	testpki_write(&signer, &dir, "signer");
	testpki_write(&lapsed, &dir, "lapsed");
	testpki_write(&stranger, &dir, "stranger");
	snprintf(keyring, sizeof keyring, "%s/keyring.pem", dir.path);
	testpki_write_cert(&signer, keyring, "w");
	testpki_write_cert(&lapsed, keyring, "a");
	config = (struct config){ .keyring = keyring, .compatible = acme };
	machine = (struct machine){ .config = &config, .disk = disk_posix, .esp.dir = dir.path };
	return 0;
}

static int each_teardown(void **state)
{
	(void)state;
	testdir_remove(&dir);
	return 0;
}

static int all_setup(void **state)
{
	(void)state;
	signer = testpki_make("release");
	stranger = testpki_make("stranger");
	lapsed = testpki_make_full("lapsed", NULL, EVP_EC_gen("P-256"), false, -9 * DAY, -DAY, NULL);
	return 0;
}

static int all_teardown(void **state)
{
	(void)state;
	testpki_free(&signer);
	testpki_free(&stranger);
	testpki_free(&lapsed);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, each_setup, each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_rises_and_never_falls),
		TEST(the_pairs_are_the_bundles_own_bytes),
		TEST(either_pair_alone_holds_it_and_the_higher_counts),
		TEST(what_nobody_vouches_for_is_ignored_and_said),
		TEST(a_keyring_that_cannot_be_read_is_an_error),
		TEST(a_disk_that_fails_loses_no_floor_and_is_no_success),
	};

	return cmocka_run_group_tests(tests, all_setup, all_teardown);
}
