/* SPDX-License-Identifier: MIT */
/* A kexec as a transaction, from the intent to the arrival. Staging, saving and the watchdog are
 * this file's own; the ledger and the boot_id are files. */
#include "kexec_intent.h"

#include "testdir.h"
#include "watchdog.h"

#define THIS_BOOT "11111111-1111-4111-8111-111111111111"
#define OLD_BOOT "22222222-2222-4222-8222-222222222222"

enum { NONCE_A = 0x100, NONCE_B = 0x201 };

static struct testdir dir;
static struct config config;
static struct machine m;
static bool load_fails, nonce_fails, save_fails;
static unsigned saves, armed;
static uint64_t loaded_nonce;

int kexec_load(const struct machine *machine, unsigned slot, uint64_t nonce, struct kexec_image *image,
	       struct err *err)
{
	(void)machine, (void)slot, (void)image;
	loaded_nonce = nonce;
	return load_fails ? err_set(err, EX_UNAVAILABLE, "the kernel will not") : 0;
}

int kexec_nonce_new(unsigned slot, uint64_t *ret_nonce, struct err *err)
{
	if (nonce_fails)
		return err_set(err, EX_SOFTWARE, "no random bytes");
	*ret_nonce = 0x400 | slot;
	return 0;
}

int machine_save(struct machine *machine, struct err *err)
{
	(void)machine;
	saves++;
	return save_fails ? err_set(err, EX_IOERR, "not saved") : 0;
}

int watchdog_arm(const struct config *conf, int *ret_fd, char *words, size_t cap)
{
	(void)conf;
	armed++;
	*ret_fd = 7;
	snprintf(words, cap, "armed");
	return 1;
}

static int each_setup(void **state)
{
	(void)state;
	testdir_make(&dir);
	config = (struct config){ .sysroot = dir.path, .tries = 3 };
	m = (struct machine){ .config = &config, .esp.dir = dir.path, .is_running = true,
			      .state.source = STATE_VARIABLE_COPY };
	load_fails = nonce_fails = save_fails = false;
	saves = armed = 0;
	testdir_text(&dir, "proc/sys/kernel/random/boot_id", THIS_BOOT "\n");
	return 0;
}

static int each_teardown(void **state)
{
	(void)state;
	testdir_remove(&dir);
	return 0;
}

/* A jump into slot b that is under way, from the boot of that id. */
static void ledger_put(const char *boot_id)
{
	char json[256];

	snprintf(json, sizeof json, "{\"boot_id\":\"%s\",\"pending\":{\"slot\":\"b\","
		 "\"how\":\"kexec\",\"left\":1}}", boot_id);
	testdir_text(&dir, "EFI/slotboot/ledger.json", json);
}

static void after_a_kexec_that_never_came_only_force_tries_the_next(void **state)
{
	static const struct {
		uint8_t failures;
		bool force;
		const char *why;	/* NULL: allowed */
	} rows[] = {
		{ 0, false, NULL }, { 0, true, NULL }, { 1, false, "(1 in a row)" }, { 1, true, NULL },
		{ 255, false, "(255 in a row)" }, { 255, true, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err err = { 0 };

		m.state.record.kexec_failures = rows[i].failures;
		assert_int_equal(kexec_intent_check_allowed(&m, rows[i].force, &err), rows[i].why ? -1 : 0);
		assert_int_equal(err.exit, rows[i].why ? EX_CONFIG : 0);
		if (rows[i].why)
			assert_non_null(strstr(err.text, rows[i].why));
	}
}

static void the_intent_is_a_nonce_in_the_record_or_nothing(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(kexec_intent_make(&m, 1, &err), 0);
	assert_true(m.state.record.kexec_nonce == 0x401);
	assert_int_equal(saves, 0);		/* that is the caller's */
	nonce_fails = true;
	assert_int_equal(kexec_intent_make(&m, 0, &err), -1);
	assert_true(m.state.record.kexec_nonce == 0x401);
}

static void what_is_staged_is_known_by_a_nonce_that_does_not_run_yet(void **state)
{
	static const struct {
		uint64_t record, running;
		int want;
		unsigned slot;
	} rows[] = {
		{ NONCE_A, 0, 0, 0 }, { NONCE_B, 0, 0, 1 }, { NONCE_B, NONCE_A, 0, 1 },
		{ 0, 0, -1, 9 }, { 0, NONCE_A, -1, 9 }, { NONCE_A, NONCE_A, -1, 9 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err err = { 0 };
		unsigned slot = 9;

		m.state.record.kexec_nonce = rows[i].record;
		m.running.nonce = rows[i].running;
		assert_int_equal(kexec_intent_staged(&m, &slot, &err), rows[i].want);
		assert_int_equal(slot, rows[i].slot);
		assert_int_equal(err.exit, rows[i].want ? EX_CONFIG : 0);
	}
}

/* Slot a runs. */
static void forgetting_takes_back_what_is_staged_and_no_more(void **state)
{
	static const struct {
		uint64_t record, running;
		enum slot_status a, b;
		bool is_running, want;
		uint64_t nonce;			/* then */
		enum slot_status then_a, then_b;
	} rows[] = {
		/* nothing is staged */
		{ 0, 0, SLOT_GOOD, SLOT_GOOD, true, false, 0, SLOT_GOOD, SLOT_GOOD },
		/* what runs keeps its own nonce */
		{ NONCE_A, NONCE_A, SLOT_KEXEC_TRIAL, SLOT_GOOD, true, false, NONCE_A, SLOT_KEXEC_TRIAL, SLOT_GOOD },
		/* a staged slot that is proven, and one that is not */
		{ NONCE_B, 0, SLOT_GOOD, SLOT_GOOD, true, true, 0, SLOT_GOOD, SLOT_GOOD },
		{ NONCE_B, 0, SLOT_GOOD, SLOT_KEXEC_TRIAL, true, true, 0, SLOT_GOOD, SLOT_TRIAL },
		/* a kexec-trial without its nonce is taken back all the same */
		{ 0, 0, SLOT_GOOD, SLOT_KEXEC_TRIAL, true, true, 0, SLOT_GOOD, SLOT_TRIAL },
		/* nobody knows which slot is the other one */
		{ NONCE_B, 0, SLOT_GOOD, SLOT_KEXEC_TRIAL, false, true, 0, SLOT_GOOD, SLOT_KEXEC_TRIAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct record *record = &m.state.record;

		record->kexec_nonce = rows[i].record;
		record->slots[0].status = rows[i].a;
		record->slots[1].status = rows[i].b;
		m.running.nonce = rows[i].running;
		m.is_running = rows[i].is_running;
		assert_int_equal(kexec_intent_forget(&m), rows[i].want);
		assert_true(record->kexec_nonce == rows[i].nonce);
		assert_int_equal(record->slots[0].status, rows[i].then_a);
		assert_int_equal(record->slots[1].status, rows[i].then_b);
		assert_int_equal(saves, 0);
	}
}

static void staging_that_fails_takes_the_intent_back_durably(void **state)
{
	static const struct {
		bool fails;
		enum state_source source;
		uint64_t nonce, then;
		unsigned saves;
	} rows[] = {
		{ false, STATE_VARIABLE_COPY, NONCE_B, NONCE_B, 0 },
		{ true, STATE_VARIABLE_COPY, NONCE_B, 0, 1 },
		{ true, STATE_MIRROR_COPY, NONCE_B, 0, 1 },
		{ true, STATE_LOST, NONCE_B, 0, 0 },	/* there is no record to save */
		{ true, STATE_VARIABLE_COPY, 0, 0, 0 },	/* nothing to take back */
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err err = { 0 };

		load_fails = rows[i].fails;
		m.state.source = rows[i].source;
		m.state.record.kexec_nonce = rows[i].nonce;
		saves = 0;
		assert_int_equal(kexec_intent_load(&m, 1, NULL, &err), rows[i].fails ? -1 : 0);
		assert_true(loaded_nonce == rows[i].nonce);
		assert_true(m.state.record.kexec_nonce == rows[i].then);
		assert_int_equal(saves, rows[i].saves);
		if (rows[i].fails)
			assert_string_equal(err.text, "the kernel will not");
	}
}

static void the_jump_is_noted_before_it_or_does_not_take_place(void **state)
{
	const struct attempt *last = &m.state.record.attempts[RECORD_ATTEMPTS - 1];
	struct err err;

	(void)state;
	m.state.source = STATE_LOST;
	assert_int_equal(kexec_intent_jump(&m, 1, &err), 0);
	assert_int_equal(saves, 0);
	assert_int_equal(last->event, ATTEMPT_NONE);
	m.state.source = STATE_VARIABLE_COPY;
	assert_int_equal(kexec_intent_jump(&m, 1, &err), 0);
	assert_int_equal(saves, 1);
	assert_int_equal(last->event, ATTEMPT_KEXEC);
	assert_int_equal(last->slot, 1);
	save_fails = true;
	assert_int_equal(kexec_intent_jump(&m, 1, &err), -1);
	assert_string_equal(err.text, "not saved");
}

static void the_watchdog_runs_across_the_jump_where_the_loader_would_arm_it(void **state)
{
	static const struct {
		enum config_watchdog configured;
		enum state_source source;
		enum slot_status status;
		uint8_t flags;
		bool want;
	} rows[] = {
		{ CONFIG_WATCHDOG_TRIAL, STATE_VARIABLE_COPY, SLOT_KEXEC_TRIAL, 0, true },
		{ CONFIG_WATCHDOG_TRIAL, STATE_VARIABLE_COPY, SLOT_TRIAL, 0, true },
		{ CONFIG_WATCHDOG_TRIAL, STATE_VARIABLE_COPY, SLOT_TRIAL, SLOT_FLAG_KEXEC_GOOD, false },
		{ CONFIG_WATCHDOG_TRIAL, STATE_VARIABLE_COPY, SLOT_GOOD, 0, false },
		{ CONFIG_WATCHDOG_TRIAL, STATE_LOST, SLOT_KEXEC_TRIAL, 0, false },
		{ CONFIG_WATCHDOG_ALWAYS, STATE_VARIABLE_COPY, SLOT_GOOD, 0, true },
		{ CONFIG_WATCHDOG_ALWAYS, STATE_LOST, SLOT_GOOD, 0, true },
		{ CONFIG_WATCHDOG_OFF, STATE_VARIABLE_COPY, SLOT_KEXEC_TRIAL, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char words[32] = "left";

		config.watchdog = rows[i].configured;
		m.state.source = rows[i].source;
		m.state.record.slots[1] = (struct slot){ .status = rows[i].status, .flags = rows[i].flags };
		armed = 0;
		assert_int_equal(kexec_intent_watch(&m, 1, words, sizeof words), rows[i].want ? 7 : -1);
		assert_int_equal(armed, rows[i].want);
		assert_string_equal(words, rows[i].want ? "armed" : "");
	}
}

/* Slot b runs. The ledger: of the boot before, of this very boot, or none. */
static void what_speaks_for_the_kexec_that_was_meant_and_what_against_it(void **state)
{
	static const struct {
		uint64_t record, running;
		enum running_bootloader bootloader;
		const char *ledger;
		struct kexec_arrival want;	/* nonce, bootloader, boot_id, meant */
	} rows[] = {
		{ NONCE_B, NONCE_B, BOOTLOADER_IS_KEXEC, OLD_BOOT, { true, true, true, true } },
		{ NONCE_B, NONCE_B, BOOTLOADER_IS_KEXEC, NULL, { true, true, false, true } },
		{ NONCE_B, NONCE_B, BOOTLOADER_UNKNOWN, OLD_BOOT, { true, false, true, true } },
		{ NONCE_B, NONCE_B, BOOTLOADER_IS_OTHER, OLD_BOOT, { true, false, true, false } },
		{ NONCE_B, NONCE_B, BOOTLOADER_IS_KEXEC, THIS_BOOT, { true, true, false, false } },
		{ NONCE_B, NONCE_A, BOOTLOADER_IS_KEXEC, OLD_BOOT, { false, true, true, false } },
		{ 0, 0, BOOTLOADER_IS_KEXEC, OLD_BOOT, { false, true, true, false } },
	};

	(void)state;
	m.running.slot = 1;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct kexec_arrival got;

		(void)remove(testdir_path(&dir, "EFI/slotboot/ledger.json"));
		if (rows[i].ledger)
			ledger_put(rows[i].ledger);
		m.state.record.kexec_nonce = rows[i].record;
		m.running.nonce = rows[i].running;
		m.running.bootloader = rows[i].bootloader;
		kexec_intent_look(&m, &got);
		assert_int_equal(got.nonce, rows[i].want.nonce);
		assert_int_equal(got.bootloader, rows[i].want.bootloader);
		assert_int_equal(got.boot_id, rows[i].want.boot_id);
		assert_int_equal(got.meant, rows[i].want.meant);
	}
}

/* Slot b runs by a kexec with the nonce NONCE_B. */
static void an_unproven_slot_is_not_confirmed_by_a_kexec_that_nobody_meant(void **state)
{
	static const struct {
		bool kexec;
		struct slot slot;
		uint64_t record;
		const char *ledger, *why;	/* why NULL: it may be marked good */
	} rows[] = {
		{ true, { .status = SLOT_KEXEC_TRIAL }, NONCE_B, OLD_BOOT, NULL },
		{ true, { .status = SLOT_KEXEC_TRIAL }, NONCE_A, OLD_BOOT, "nonce 0000000000000100 there" },
		{ true, { .status = SLOT_KEXEC_TRIAL }, 0, OLD_BOOT, "mark-active b" },
		{ true, { .status = SLOT_KEXEC_TRIAL }, NONCE_B, THIS_BOOT, "boot_id as before the jump" },
		{ true, { .status = SLOT_TRIAL }, NONCE_A, OLD_BOOT, "slot b cannot be marked good" },
		{ true, { .status = SLOT_BAD, .reason = REASON_TRIES }, NONCE_A, OLD_BOOT, "slot b cannot" },
		{ false, { .status = SLOT_TRIAL }, NONCE_A, OLD_BOOT, NULL },	/* the firmware's boot */
		{ true, { .status = SLOT_GOOD }, NONCE_A, OLD_BOOT, NULL },	/* proven before */
		{ true, { .status = SLOT_TRIAL, .flags = SLOT_FLAG_KEXEC_GOOD }, NONCE_A, OLD_BOOT, NULL },
		{ true, { .status = SLOT_BAD, .reason = REASON_STATE_LOST }, NONCE_A, OLD_BOOT, NULL },
	};

	(void)state;
	m.running = (struct running){ .slot = 1, .nonce = NONCE_B, .bootloader = BOOTLOADER_IS_KEXEC };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err err = { 0 };

		ledger_put(rows[i].ledger);
		m.running.kexec = rows[i].kexec;
		m.state.record.kexec_nonce = rows[i].record;
		m.state.record.slots[1] = rows[i].slot;
		assert_int_equal(kexec_intent_check_arrival(&m, &err), rows[i].why ? -1 : 0);
		assert_int_equal(err.exit, rows[i].why ? EX_CONFIG : 0);
		if (rows[i].why && !strstr(err.text, rows[i].why))
			fail_msg("expected \"%s\", got: %s", rows[i].why, err.text);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, each_setup, each_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(after_a_kexec_that_never_came_only_force_tries_the_next),
		TEST(the_intent_is_a_nonce_in_the_record_or_nothing),
		TEST(what_is_staged_is_known_by_a_nonce_that_does_not_run_yet),
		TEST(forgetting_takes_back_what_is_staged_and_no_more),
		TEST(staging_that_fails_takes_the_intent_back_durably),
		TEST(the_jump_is_noted_before_it_or_does_not_take_place),
		TEST(the_watchdog_runs_across_the_jump_where_the_loader_would_arm_it),
		TEST(what_speaks_for_the_kexec_that_was_meant_and_what_against_it),
		TEST(an_unproven_slot_is_not_confirmed_by_a_kexec_that_nobody_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
