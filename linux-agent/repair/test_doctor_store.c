/* SPDX-License-Identifier: MIT */
/* What no directory can play: a store that is full, or mounted read-only. */
#include "doctor_checks.h"
#include "io.h"
#include "unittest.h"

static void the_store_is_told_with_its_numbers_and_fitting_advice(void **state)
{
	static const struct {
		struct vars_store store;
		const char *id, *says, *remedy, *not;	/* id NULL: nothing */
	} rows[] = {
		{ { .path = "/v/" }, NULL, NULL, NULL, NULL },
		{ { .path = "/v/", .has_room = true, .used = 100, .free = DOCTOR_STORE_MIN }, NULL, NULL,
		  NULL, NULL },
		{ { .path = "/v/", .dumps = 5 }, NULL, NULL, NULL, NULL },
		{ { .path = "/v/", .has_room = true, .used = 60000, .free = 5000 }, "store-full",
		  "60000 bytes used, 5000 free", "not needed", "dump-" },
		{ { .path = "/v/", .has_room = true, .used = 60000, .free = 0, .dumps = 12 },
		  "store-full", "60000 bytes used, 0 free", "12 variables dump-*", "not needed" },
		{ { .path = "/v/", .read_only = true }, "efivarfs-read-only", "/v/ is mounted read-only",
		  "remount,rw /v/", "ProtectKernelTunables" },
		{ { .path = "/v/", .read_only = true, .confined = true }, "efivarfs-read-only",
		  "/v/ is mounted read-only", "ProtectKernelTunables", "remount,rw" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct findings findings = { 0 };
		struct finding *f;

		doctor_store(&rows[i].store, false, &findings);
		assert_int_equal(findings.count, rows[i].id ? 1 : 0);
		f = findings.list;
		if (f && (strcmp(f->id, rows[i].id) != 0 || f->level != FINDING_FAULT || f->repairable ||
			  !strstr(f->what, rows[i].says) || !strstr(f->remedy, rows[i].remedy) ||
			  strstr(f->remedy, rows[i].not)))
			fail_msg("row %zu: %s: %s; %s", i, f->id, f->what, f->remedy);
		findings_clear(&findings);
	}
}

/* Nobody can mend it, and nothing is wrong. */
static void that_the_firmware_takes_no_variables_is_no_fault(void **state)
{
	const struct vars_store store = { .path = "/v/", .read_only = true };
	struct findings findings = { 0 };

	(void)state;
	doctor_store(&store, true, &findings);
	assert_int_equal(findings.count, 1);
	assert_string_equal(findings.list->id, "variables-closed");
	assert_int_equal(findings.list->level, FINDING_NOTE);
	assert_string_equal(findings.list->remedy, "");
	findings_clear(&findings);
}

static void a_text_is_filtered_and_cut(void **state)
{
	struct findings findings = { 0 };
	struct finding *f = finding_add(&findings, FINDING_NOTE, "x");
	char longer[4096];

	(void)state;
	memset(longer, 'y', sizeof longer);
	longer[sizeof longer - 1] = 0;
	finding_say(f, what, "a\033[2Jb %s", longer);
	assert_int_equal(strlen(f->what), sizeof f->what - 1);
	assert_memory_equal(f->what, "a?[2Jb y", 8);
	findings_clear(&findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_store_is_told_with_its_numbers_and_fitting_advice),
		cmocka_unit_test(that_the_firmware_takes_no_variables_is_no_fault),
		cmocka_unit_test(a_text_is_filtered_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
