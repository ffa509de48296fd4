/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include "unittest.h"

static const struct ledger under_way = {
	.pending = true,
	.how = ACTIVATE_KEXEC,
	.boot_id = "11111111-1111-4111-8111-111111111111",
	.left_ms = 1700000000000,
	.trip = { .known = true, .slot = 1, .ms = { 4000, 300, -1, -1, -1 } },
};
static const struct ledger_arrival arrived = {
	.slot = 1,
	.kexec = true,
	.boot_id = "22222222-2222-4222-8222-222222222222",
	.now_ms = 1700000009000,
	.up_ms = 6500,
	.init_ms = 1200,
};

static struct ledger through_json(const struct ledger *ledger)
{
	struct ledger again;
	char *json = NULL;

	assert_int_equal(ledger_format(ledger, &json, NULL), 0);
	assert_true(strlen(json) <= LEDGER_MAX_BYTES);
	ledger_parse((const uint8_t *)json, strlen(json), &again);
	free(json);
	return again;
}

static void a_trip_is_closed_by_the_system_it_led_to(void **state)
{
	static const int64_t expected[LEDGER_PHASES] = { 4000, 300, 2500, 1200, 5300 };
	struct ledger ledger = through_json(&under_way);

	(void)state;
	assert_true(ledger_arrive(&ledger, &arrived));
	ledger = through_json(&ledger);
	assert_false(ledger.pending);
	assert_false(ledger.last[0].known);
	assert_true(ledger.last[1].known);
	assert_int_equal(ledger.last[1].slot, 1);
	assert_memory_equal(ledger.last[1].ms, expected, sizeof expected);
	assert_false(ledger_arrive(&ledger, &arrived));
}

static void a_trip_that_has_not_begun_stays_open(void **state)
{
	struct ledger_arrival here = arrived;
	struct ledger ledger = under_way;

	(void)state;
	memcpy(here.boot_id, under_way.boot_id, sizeof here.boot_id);
	assert_false(ledger_arrive(&ledger, &here));
	assert_memory_equal(&ledger, &under_way, sizeof ledger);
}

/* Or a boot that fits it, perhaps an hour later, would be measured from its departure. */
static void a_trip_that_led_elsewhere_is_dropped(void **state)
{
	struct ledger_arrival other[2] = { arrived, arrived };

	(void)state;
	other[0].slot = 0;
	other[1].kexec = false;
	for (int i = 0; i < 2; i++) {
		struct ledger ledger = under_way;

		assert_true(ledger_arrive(&ledger, &other[i]));
		assert_false(ledger.pending || ledger.last[0].known || ledger.last[1].known);
		assert_string_equal(ledger.boot_id, under_way.boot_id);
		assert_false(ledger_arrive(&ledger, &arrived));
	}
}

static void what_is_not_known_is_not_invented(void **state)
{
	struct ledger_arrival vague = arrived;
	struct ledger ledger = under_way;

	(void)state;
	vague.init_ms = LEDGER_UNKNOWN;
	vague.now_ms = 1600000000000;	/* the clock went back */
	assert_true(ledger_arrive(&ledger, &vague));
	ledger = through_json(&ledger);
	assert_int_equal(ledger.last[1].ms[LEDGER_INSTALL], 4000);
	for (int phase = LEDGER_LEAVE; phase < LEDGER_PHASES; phase++)
		assert_int_equal(ledger.last[1].ms[phase], LEDGER_UNKNOWN);
}

static void a_damaged_file_is_an_empty_ledger(void **state)
{
	static const char *const damaged[] = {
		"", "{", "[]", "7", "{\"pending\":7,\"kexec\":[]}",
		"{\"boot_id\":\"short\",\"pending\":{\"slot\":\"b\",\"how\":\"kexec\",\"left\":1}}",
		("{\"boot_id\":\"11111111-1111-4111-8111-111111111111\","
		 "\"pending\":{\"slot\":\"c\",\"how\":\"kexec\",\"left\":1},\"kexec\":{\"slot\":7}}"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
		struct ledger ledger;

		ledger_parse((const uint8_t *)damaged[i], strlen(damaged[i]), &ledger);
		assert_false(ledger.pending || ledger.last[0].known || ledger.last[1].known);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trip_is_closed_by_the_system_it_led_to),
		cmocka_unit_test(a_trip_that_has_not_begun_stays_open),
		cmocka_unit_test(a_trip_that_led_elsewhere_is_dropped),
		cmocka_unit_test(what_is_not_known_is_not_invented),
		cmocka_unit_test(a_damaged_file_is_an_empty_ledger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
