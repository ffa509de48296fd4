/* SPDX-License-Identifier: MIT */
/* Updates of KEK, db and dbx, one a boot; a firmware that refuses, that is full, that lies; and what
 * is known of it all after the next boot. What a slot still needs: linux-agent/verb/test_keys.py. */
#include "key_updates.h"

#include "cms.h"
#include "io.h"
#include "test_vars_mem.h"
#include "testauth.h"

static struct mem store;
static struct testdir dir;
static struct testpki signer;
static struct config config;
static char keyring[128];

static int files_make(void **state)
{
	(void)state;
	testdir_make(&dir);
	signer = testpki_make_full("signer", NULL, EVP_EC_gen("P-256"), false, -DAY, DAY, "codeSigning");
	testpki_write(&signer, &dir, "signer");
	(void)snprintf(keyring, sizeof keyring, "%s/signer.crt", dir.path);
	return 0;
}

static int files_remove(void **state)
{
	(void)state;
	testdir_remove(&dir);
	testpki_free(&signer);
	return 0;
}

static void boot(unsigned number)
{
	char text[40];

	(void)snprintf(text, sizeof text, "00000000-0000-0000-0000-%012u\n", number);
	testdir_text(&dir, "proc/sys/kernel/random/boot_id", text);
}

/* By a KEK that nobody here asks for. */
static void auth_make(const char *name, char ret_sha256[65], size_t *ret_len)
{
	char variable[8], path[96];
	struct testlists lists = { .len = 0 };
	struct testauth auth;
	uint8_t *der = NULL, sha256[32];
	int len = i2d_X509(signer.cert, &der);

	(void)snprintf(variable, sizeof variable, "%.*s", (int)strcspn(name, "-"), name);
	(void)testlists_add(&lists, GUID_X509, der, (size_t)len, 1);
	OPENSSL_free(der);
	testauth_make(&auth, variable, &lists, &signer);
	(void)snprintf(path, sizeof path, "EFI/slotboot/a/uki.efi.extra.d/%s.auth", name);
	testdir_put(&dir, path, auth.bytes, auth.len);
	assert_int_equal(EVP_Digest(auth.bytes, auth.len, sha256, NULL, EVP_sha256(), NULL), 1);
	hex_encode(sha256, sizeof sha256, ret_sha256);
	*ret_len = auth.len;
}

/* Slot a's signed manifest, with updates of these names; NULL ends them. */
static void manifest_make(const char *const *names)
{
	char json[8192], key[128], sha256[65];
	uint8_t *p7s;
	size_t len, at, p7s_len;
	struct err err = { 0 };

	at = (size_t)snprintf(json, sizeof json, "{\"format\":2,\"compatible\":\"a\",\"version\":\"1\",\"payloads\":["
			      "{\"type\":\"uki\",\"file\":\"uki\",\"size\":1,\"sha256\":\"%064d\",\"index\":{\"file\":"
			      "\"i\",\"size\":60,\"sha256\":\"%064d\"}}", 0, 0);
	for (; *names; names++) {
		auth_make(*names, sha256, &len);
		at += (size_t)snprintf(json + at, sizeof json - at, ",{\"type\":\"efi-auth\",\"name\":\"%s\",\"file\":"
				       "\"%s\",\"size\":%zu,\"sha256\":\"%s\",\"index\":{\"file\":\"%s.i\",\"size\":60,"
				       "\"sha256\":\"%064d\"}}", *names, *names, len, sha256, *names, 0);
	}
	at += (size_t)snprintf(json + at, sizeof json - at, "]}");
	assert_true(at < sizeof json);
	(void)snprintf(key, sizeof key, "%s/signer.key", dir.path);
	if (cms_sign_detached((uint8_t *)json, at, key, keyring, &p7s, &p7s_len, &err) < 0)
		fail_msg("%s", err.text);
	testdir_put(&dir, "EFI/slotboot/a/manifest.json", json, at);
	testdir_put(&dir, "EFI/slotboot/a/manifest.p7s", p7s, p7s_len);
	free(p7s);
}

/* Slot a is good and runs; Secure Boot is on. */
static void machine_make(struct machine *m, const char *const *names)
{
	config = (struct config){ .sysroot = dir.path, .keyring = keyring };
	store = (struct mem){ 0 };
	*m = (struct machine){ .config = &config, .disk = disk_posix, .vars = mem_vars(&store), .is_running = true,
			       .esp = { .dir = dir.path }, .state = { .source = STATE_VARIABLE_COPY } };
	m->state.record.slots[0].status = SLOT_GOOD;
	mem_put(&store, VARS_GLOBAL, "SecureBoot", "\1", 1, VARS_BS_RT);
	mem_put(&store, VARS_GLOBAL, "SetupMode", "\0", 1, VARS_BS_RT);
	manifest_make(names);
	(void)remove(testdir_path(&dir, "EFI/slotboot/" KEY_NOTE_FILE));
	boot(1);
}

static void expect(const struct machine *m, const char *name, enum key_state state, enum key_reason reason,
		   const char *words)
{
	_cleanup_(key_updates_freep) struct key_updates *all = NULL;
	size_t i = 0;

	assert_int_equal(key_updates_find(m, &all, NULL), 0);
	while (i < all->count && strcmp(all->list[i].name, name) != 0)
		i++;
	assert_true(i < all->count);
	if (all->list[i].state != state || all->list[i].reason != reason || !strstr(all->list[i].words, words))
		fail_msg("%s is %s by %s: %s", name, key_state_text(all->list[i].state),
			 key_reason_text(all->list[i].reason), all->list[i].words);
}

static int apply(struct machine *m, struct key_update *ret_update)
{
	struct err err = { 0 };
	int r = key_updates_apply(m, ret_update, &err);

	if (r < 0)
		print_message("  %s\n", err.text);
	return r;
}

static void kek_comes_before_db_and_db_before_dbx_one_a_boot(void **state)
{
	static const char *const names[] = { "dbx-1", "db-2", "KEK-1", "db-1", NULL };
	static const char *const order[] = { "KEK-1", "db-1", "dbx-1" };
	struct key_update update;
	struct machine m;

	(void)state;
	machine_make(&m, names);
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		boot(i + 1);
		assert_int_equal(apply(&m, &update), 1);
		assert_string_equal(update.name, order[i]);
		assert_int_equal(update.state, KEY_APPLIED);
		assert_int_equal(apply(&m, &update), 0);
	}
	/* What db-2 brings, db-1 has brought. */
	assert_string_equal(store.log, "+KEK +db +dbx");
	expect(&m, "db-2", KEY_APPLIED, KEY_REASON_NONE, "");
	boot(9);
	assert_int_equal(apply(&m, &update), 0);
}

static void what_the_firmware_refuses_is_not_tried_again(void **state)
{
	static const char *const names[] = { "KEK-1", "db-1", NULL };
	struct key_update update;
	struct machine m;

	(void)state;
	machine_make(&m, names);
	store.appends = VARS_REFUSED;
	assert_int_equal(apply(&m, &update), 1);
	assert_int_equal(update.state, KEY_FAILED);
	expect(&m, "KEK-1", KEY_FAILED, KEY_REASON_REFUSED, "KEK is changed by whom PK names, and this is signed by "
	       "O=Acme, CN=signer");
	/* It holds nothing back, and this boot has had its one. */
	expect(&m, "db-1", KEY_WAITS, KEY_REASON_BOOT, "this one had its own");
	store.appends = VARS_APPENDED;
	boot(2);
	assert_int_equal(apply(&m, &update), 1);
	assert_string_equal(update.name, "db-1");
	boot(3);
	assert_int_equal(apply(&m, &update), 0);
	assert_string_equal(store.log, "+KEK +db");
}

static void what_fails_is_tried_three_times_and_holds_back_the_others(void **state)
{
	static const char *const names[] = { "db-1", "dbx-1", NULL };
	static const struct {
		enum vars_append appends;
		bool lie;
		const char *words;
	} rows[] = {
		{ VARS_FULL, false, "store of variables is full" },
		{ VARS_FAILED, false, "did not write it" },
		{ VARS_APPENDED, true, "accepted it, and did not keep it" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct key_update update;
		struct machine m;

		machine_make(&m, names);
		store.appends = rows[i].appends;
		store.appends_lie = rows[i].lie;
		for (unsigned n = 1; n <= KEY_TRIES; n++) {
			boot(n);
			expect(&m, "db-1", KEY_READY, KEY_REASON_NONE, n > 1 ? rows[i].words : "");
			expect(&m, "dbx-1", KEY_WAITS, KEY_REASON_ORDER, "db-1 comes first");
			assert_int_equal(apply(&m, &update), 1);
			assert_int_equal(update.state, n < KEY_TRIES ? KEY_READY : KEY_FAILED);
		}
		expect(&m, "db-1", KEY_FAILED, KEY_REASON_GIVEN_UP, rows[i].words);
		store.appends = VARS_APPENDED;
		store.appends_lie = false;
		boot(KEY_TRIES + 1);
		assert_int_equal(apply(&m, &update), 1);
		assert_string_equal(update.name, "dbx-1");
		assert_string_equal(store.log, "+db +db +db +dbx");
	}
}

/* The power goes in the write, which the firmware has done or not; the note says that it was begun. */
static void a_machine_that_goes_down_in_every_write_stops_trying(void **state)
{
	static const char *const names[] = { "db-1", NULL };
	struct key_update update;
	struct machine m;

	(void)state;
	machine_make(&m, names);
	for (unsigned n = 1; n <= KEY_TRIES; n++) {
		struct key_note note;

		boot(n);
		store.writes_left = 0;
		assert_int_equal(apply(&m, &update), 1);
		/* as the cut would have left it */
		key_note_read(&m, &note);
		assert_int_equal(note.tried[0].tries, n);
		note.tried[0].why = KEY_FAILED_UNKNOWN;
		assert_int_equal(key_note_write(&m, &note, NULL), 0);
	}
	store.writes_left = -1;
	boot(9);
	assert_int_equal(apply(&m, &update), 0);
	expect(&m, "db-1", KEY_FAILED, KEY_REASON_GIVEN_UP, "it was begun, and the machine went down");
}

static void what_cannot_be_noted_is_not_tried(void **state)
{
	static const char *const names[] = { "db-1", NULL };
	struct key_update update;
	struct machine m;

	(void)state;
	machine_make(&m, names);
	testdir_text(&dir, "EFI/slotboot/" KEY_NOTE_FILE "/in-the-way", "");
	assert_int_equal(apply(&m, &update), -1);
	assert_string_equal(store.log, "");
	assert_int_equal(remove(testdir_path(&dir, "EFI/slotboot/" KEY_NOTE_FILE "/in-the-way")), 0);
	assert_int_equal(remove(testdir_path(&dir, "EFI/slotboot/" KEY_NOTE_FILE)), 0);
	assert_int_equal(apply(&m, &update), 1);
}

static void a_variable_that_cannot_be_read_keeps_its_updates(void **state)
{
	static const char *const names[] = { "db-1", NULL };
	struct key_update update;
	struct machine m;

	(void)state;
	machine_make(&m, names);
	store.unreadable = "db";
	assert_int_equal(apply(&m, &update), 0);
	expect(&m, "db-1", KEY_WAITS, KEY_REASON_UNREADABLE, "unreadable");
	store.unreadable = "SecureBoot";
	assert_int_equal(apply(&m, &update), 0);
	expect(&m, "db-1", KEY_WAITS, KEY_REASON_UNREADABLE, "unreadable");
}

static void a_note_that_is_garbage_is_none(void **state)
{
	static const char *const rows[] = {
		"", "{", "[]", "null", "{\"tried\":1}", "{\"tried\":[1,{},{\"sha256\":1},{\"sha256\":\"00\"}]}",
		"{\"boot_id\":\"0123456789012345678901234567890123456\"}",
	};
	struct key_note note;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		key_note_parse((const uint8_t *)rows[i], strlen(rows[i]), &note);
		assert_int_equal(note.count, 0);
		assert_string_equal(note.boot_id, "");
	}
}

/* What is noted of a file that was tried does not become fewer tries by what cannot be read of it. */
static void a_try_that_is_not_understood_is_the_last(void **state)
{
	static const char *const rows[] = { "-1", "99", "\"x\"", "3", "null" };
	struct key_note note;
	char json[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(json, sizeof json, "{\"tried\":[{\"sha256\":\"%064d\",\"tries\":%s,\"why\":\"?\"}]}", 0, rows[i]);
		key_note_parse((const uint8_t *)json, strlen(json), &note);
		assert_int_equal(note.count, 1);
		assert_true(key_try_is_last(&note.tried[0]));
	}
}

static void a_note_is_read_as_it_was_written(void **state)
{
	struct key_note note = { .boot_id = "0123", .count = KEY_NOTE_MAX }, read;
	char *json;

	(void)state;
	for (unsigned i = 0; i < KEY_NOTE_MAX; i++)
		note.tried[i] = (struct key_try){ .sha256 = { (uint8_t)i }, .tries = i % (KEY_TRIES + 1),
						  .why = i % KEY_FAILURES };
	assert_int_equal(key_note_format(&note, &json, NULL), 0);
	assert_true(strlen(json) <= KEY_NOTE_MAX_BYTES);
	key_note_parse((const uint8_t *)json, strlen(json), &read);
	assert_memory_equal(&read, &note, sizeof note);
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kek_comes_before_db_and_db_before_dbx_one_a_boot),
		cmocka_unit_test(what_the_firmware_refuses_is_not_tried_again),
		cmocka_unit_test(what_fails_is_tried_three_times_and_holds_back_the_others),
		cmocka_unit_test(a_machine_that_goes_down_in_every_write_stops_trying),
		cmocka_unit_test(what_cannot_be_noted_is_not_tried),
		cmocka_unit_test(a_variable_that_cannot_be_read_keeps_its_updates),
		cmocka_unit_test(a_note_that_is_garbage_is_none),
		cmocka_unit_test(a_try_that_is_not_understood_is_the_last),
		cmocka_unit_test(a_note_is_read_as_it_was_written),
	};

	return cmocka_run_group_tests_name("key_updates", tests, files_make, files_remove);
}
