/* SPDX-License-Identifier: MIT */
/* What keeps a new loader from being tried is told before anything is written, and what fails
 * while it is put on trial leaves nothing of it. */
#include "loader_update.h"

#include "bootentries.h"
#include "test_vars_mem.h"
#include "testdir.h"
#include "testuki.h"

#define HOME "EFI/slotboot/slotboot" NATIVE_EFI ".efi"
#define TRIAL "EFI/slotboot/slotboot" NATIVE_EFI ".new.efi"

static struct mem store;
static struct testdir dir;
static struct testuki old, new;
static uint64_t room;
static bool store_full;

static int room_left(void *ctx, const char *path, uint64_t *ret_bytes)
{
	(void)ctx, (void)path;
	*ret_bytes = room;
	return 0;
}

static int set(void *ctx, enum vars_guid guid, const char *name, const uint8_t *data, size_t len,
	       uint32_t attributes, struct err *err)
{
	if (store_full)
		return err_set(err, EX_IOERR, "the variable store is full");
	return mem_set(ctx, guid, name, data, len, attributes, err);
}

static void text_put(const char *name, const char *text)
{
	uint8_t wide[256] = { 0 };

	for (size_t i = 0; text[i]; i++)
		wide[2 * i] = (uint8_t)text[i];
	mem_put(&store, VARS_LOADER, name, wide, 2 * strlen(text) + 2, VARS_BS_RT);
}

static void loader_make(struct testuki *uki, const char *version)
{
	char sbat[128];

	testuki_begin(uki, NATIVE_MACHINE);
	(void)snprintf(sbat, sizeof sbat, "sbat,1,x,sbat,1,x\nslotboot,1,slotboot,slotboot,%s,x\n", version);
	(void)testuki_text(uki, ".sbat", sbat);
}

/* Version 1 has started it by its boot entry. */
static void machine_make(struct machine *m)
{
	static struct config config;

	store = (struct mem){ 0 };
	store_full = false;
	room = 16u << 20;
	testdir_make(&dir);
	loader_make(&old, "1");
	loader_make(&new, "2");
	testdir_put(&dir, HOME, old.bytes, sizeof old.bytes);
	config.sysroot = dir.path;
	*m = (struct machine){ .config = &config, .disk = disk_posix, .vars = mem_vars(&store),
			       .esp = { .dir = dir.path, .disk = dir.path, .part = 1, .sector_size = 512,
					.start = 2048, .size = 204800, .guid = { 1 } } };
	m->disk.room = room_left;
	m->vars.set = set;
	text_put("LoaderInfo", "slotboot 1");
	text_put("LoaderImageIdentifier", BOOTENTRIES_LOADER_PATH);
}

static bool is_there(const char *name)
{
	return access(testdir_path(&dir, name), F_OK) == 0;
}

static int try_new(struct machine *m, struct err *err)
{
	struct loader_result result;
	struct loader_file file;

	*err = (struct err){ 0 };
	if (loader_check(new.bytes, sizeof new.bytes, "new.efi", &file, err) < 0 ||
	    loader_check_machine(m, &file, err) < 0)
		return -1;
	return loader_install(m, &file, &result, err);
}

static void a_new_loader_costs_two_variables(void **test)
{
	struct loader_note note;
	struct machine m;
	struct err err;

	(void)test;
	machine_make(&m);
	mem_put(&store, VARS_GLOBAL, "BootOrder", "\1\0", 2, VARS_NV_BS_RT);
	assert_int_equal(machine_sync_entries(&m, NULL), 0);	/* the old one's entry */
	store.log[0] = 0;
	assert_int_equal(try_new(&m, &err), 0);
	assert_string_equal(store.log, "Boot0003 BootNext");
	loader_note_read(&m, &note);
	assert_string_equal(note.promoted.version, "1");
	assert_string_equal(note.trial.version, "2");
	testdir_remove(&dir);
}

static void an_esp_without_room_is_told_before_anything_is_written(void **test)
{
	struct machine m;
	struct err err;

	(void)test;
	machine_make(&m);
	room = sizeof new.bytes + 1024;
	assert_int_equal(try_new(&m, &err), -1);
	assert_int_equal(err.exit, EX_DATAERR);
	assert_non_null(strstr(err.text, "does not fit the ESP"));
	assert_string_equal(store.log, "");
	assert_false(is_there(TRIAL));
	testdir_remove(&dir);
}

static void a_store_that_is_full_leaves_nothing_of_the_trial(void **test)
{
	struct loader_note note;
	struct machine m;
	struct err err;

	(void)test;
	machine_make(&m);
	store_full = true;
	assert_int_equal(try_new(&m, &err), -1);
	assert_int_equal(err.exit, EX_IOERR);
	assert_non_null(strstr(err.text, "store is full"));
	assert_string_equal(store.log, "");
	assert_false(is_there(TRIAL));
	loader_note_read(&m, &note);
	assert_false(note.trial.known);
	testdir_remove(&dir);
}

static void a_note_says_what_was_written_and_nonsense_says_nothing(void **test)
{
	static const char *const nonsense[] = {
		"", "{", "[]", "{\"trial\":1}", "{\"trial\":{\"version\":\"1\"}}",
		"{\"trial\":{\"version\":\"1\",\"sha256\":\"00\"}}",
		"{\"trial\":{\"version\":\"a b\",\"sha256\":\"0000000000000000000000000000000000000000000000000000000000000000\"}}",
	};
	struct loader_note note = { .promoted = { .known = true, .version = "1", .sha256 = { 1 } },
				    .trial = { .known = true, .version = "2~rc1", .sha256 = { 2 } },
				    .boot_id = "00000000-0000-4000-8000-000000000001", .proven = true,
				    .failed = { .known = true, .version = "", .sha256 = { 3 } },
				    .failure = LOADER_FAILED_SLOT }, back;
	char *json, *again;

	(void)test;
	assert_int_equal(loader_note_format(&note, &json, NULL), 0);
	loader_note_parse((const uint8_t *)json, strlen(json), &back);
	assert_int_equal(loader_note_format(&back, &again, NULL), 0);
	assert_string_equal(again, json);
	assert_true(back.proven && back.trial.known && back.failure == LOADER_FAILED_SLOT);
	free(json);
	free(again);
	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		loader_note_parse((const uint8_t *)nonsense[i], strlen(nonsense[i]), &back);
		assert_false(back.trial.known || back.promoted.known || back.failed.known || back.proven);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_loader_costs_two_variables),
		cmocka_unit_test(an_esp_without_room_is_told_before_anything_is_written),
		cmocka_unit_test(a_store_that_is_full_leaves_nothing_of_the_trial),
		cmocka_unit_test(a_note_says_what_was_written_and_nonsense_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
