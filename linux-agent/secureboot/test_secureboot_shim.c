/* SPDX-License-Identifier: MIT */
/* Each rule of shim's. */
#include "testsecureboot.h"

static void shims_list_counts_only_where_shim_is_in_use(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	sign(&s.pe, STRANGER);
	list_cert(DB, ROOT);
	list_cert(MOK, STRANGER);
	REFUSED(SIGNER, "not in db");
	s.rules = (struct secureboot){ .on = true, .shim = true };
	STARTS(MOK_CERT, "CN=stranger is in MokListRT");
	s.rules = (struct secureboot){ .on = true, .shim = true };
	MOK->len = 0;
	REFUSED(SIGNER, "in neither db nor MokListRT");
	s.rules = (struct secureboot){ .on = true, .shim = true };
	list_image(MOK, &s.pe);
	STARTS(MOK_DIGEST, "is in MokListRT");
	list_image(MOKX, &s.pe);
	s.rules = (struct secureboot){ .on = true, .shim = true };
	REFUSED(MOKX_DIGEST, "is in MokListXRT");
	MOKX->len = 0;
	s.rules = (struct secureboot){ .on = true };
	list_image(MOKX, &s.pe);
	REFUSED(SIGNER, "not in db");
}

static void under_shim_a_revoked_signature_spoils_itself_only(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	sign(&s.pe, STRANGER);
	list_cert(DB, STRANGER);
	list_cert(MOKX, STRANGER);
	s.rules.shim = true;
	REFUSED(MOKX_CERT, "CN=stranger is revoked: it is in MokListXRT");
	sign(&s.pe, SIGNER);
	list_cert(DB, ROOT);
	s.rules = (struct secureboot){ .on = true, .shim = true };
	STARTS(DB_CERT, "CN=root is in db");
}

static void shim_may_be_told_to_leave_db_out_or_to_check_nothing(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	sign(&s.pe, SIGNER);
	list_cert(DB, ROOT);
	s.rules = (struct secureboot){ .on = true, .shim = true, .shim_without_db = true };
	REFUSED(SIGNER, "in neither");
	list_image(DBX, &s.pe);
	s.rules = (struct secureboot){ .on = true, .shim = true, .shim_off = true };
	STARTS(SHIM_OFF, "check nothing");
}

static void a_certificate_for_modules_starts_nothing_under_shim(void **state)
{
	struct scene s;

	(void)state;
	scene_make(&s);
	sign(&s.pe, MODULES);
	list_cert(MOK, MODULES);
	s.rules.shim = true;
	REFUSED(SIGNER, "CN=modules");
	s.rules = (struct secureboot){ .on = true };
	list_cert(DB, MODULES);
	STARTS(DB_CERT, "CN=modules is in db");
}

static void sbat_put(struct testpe *pe, const char *text)
{
	uint8_t *header = pe->bytes + TESTPE_SECTIONS;

	memcpy(header, ".sbat\0\0", 8);
	le32_put(header + 8, (uint32_t)strlen(text));
	memcpy(pe->bytes + le32_get(header + 20), text, strlen(text));
}

static void shim_wants_the_generation_of_its_level(void **state)
{
	static const struct {
		const char *sbat;
		bool second_stage;
		enum secureboot_rule rule;
		const char *words;
	} rows[] = {
		{ "sbat,1,x\nsystemd-stub,2,x\n", false, SECUREBOOT_RULE_DB_CERT, "" },
		{ "sbat,1,x\nsystemd-stub,1,x\n", false, SECUREBOOT_RULE_SBAT,
		  "its systemd-stub has the SBAT generation 1, and shim wants 2 at least" },
		{ "sbat,1,x\nslotboot,1,x\n", true, SECUREBOOT_RULE_DB_CERT, "" },
		{ "no sbat\n", false, SECUREBOOT_RULE_SBAT_MALFORMED, "cannot be understood" },
		{ NULL, false, SECUREBOOT_RULE_DB_CERT, "" },
		{ NULL, true, SECUREBOOT_RULE_SBAT_MISSING, "no .sbat section" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		static const char level[] = "sbat,1,2024\nsystemd-stub,2\n";
		bool shim = i < ARRAY_SIZE(rows);
		enum secureboot_rule rule = shim ? rows[i % 6].rule : SECUREBOOT_RULE_DB_CERT;
		struct scene s;

		scene_make(&s);
		if (rows[i % 6].sbat)
			sbat_put(&s.pe, rows[i % 6].sbat);
		sign(&s.pe, SIGNER);
		list_cert(DB, ROOT);
		s.rules.shim = shim;
		s.rules.level = strdup(level);
		assert_int_equal(sbat_parse("level", s.rules.level, strlen(level), &s.rules.sbat, NULL), 0);
		s.second_stage = rows[i % 6].second_stage;
		expect(&s, rule == SECUREBOOT_RULE_DB_CERT ? SECUREBOOT_STARTS : SECUREBOOT_REFUSED, rule,
		       shim ? rows[i % 6].words : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shims_list_counts_only_where_shim_is_in_use),
		cmocka_unit_test(under_shim_a_revoked_signature_spoils_itself_only),
		cmocka_unit_test(shim_may_be_told_to_leave_db_out_or_to_check_nothing),
		cmocka_unit_test(a_certificate_for_modules_starts_nothing_under_shim),
		cmocka_unit_test(shim_wants_the_generation_of_its_level),
	};

	return cmocka_run_group_tests_name("secureboot shim", tests, people_make, people_free);
}
