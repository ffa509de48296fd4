/* SPDX-License-Identifier: MIT */
#include "cmdline.h"

#include "unittest.h"

static void the_slot_is_filled_in(void **state)
{
	static const struct {
		const char *in;
		const char *a, *b;
	} rows[] = {
		{ "root=/dev/x slotboot.slot={slot}", "root=/dev/x slotboot.slot=a",
		  "root=/dev/x slotboot.slot=b" },
		{ "{slot}{SLOT}", "aA", "bB" },
		{ "PARTLABEL=root-{SLOT} ro\n", "PARTLABEL=root-A ro", "PARTLABEL=root-B ro" },
		{ "{slo {Slot} {slot", "{slo {Slot} {slot", "{slo {Slot} {slot" },
		{ "", "", "" },
		{ " \t\n", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (unsigned slot = 0; slot < 2; slot++) {
			char out[64];
			size_t len;

			assert_int_equal(cmdline_fill((const uint8_t *)rows[i].in,
						      strlen(rows[i].in), slot, out,
						      sizeof out, &len), SB_OK);
			assert_string_equal(out, slot ? rows[i].b : rows[i].a);
			assert_int_equal(len, strlen(out));
		}
}

static void nuls_at_the_end_are_padding(void **state)
{
	static const uint8_t text[] = "quiet {slot}\0\0\0{SLOT}";
	char out[64];
	size_t len;

	(void)state;
	assert_int_equal(cmdline_fill(text, sizeof text, 0, out, sizeof out, &len), SB_OK);
	assert_string_equal(out, "quiet a");
	assert_true(cmdline_has_slot(text, sizeof text));
	assert_false(cmdline_has_slot(text + 13, sizeof text - 13));
}

static void a_small_buffer_is_refused(void **state)
{
	char out[4];
	size_t len;

	(void)state;
	assert_int_equal(cmdline_fill((const uint8_t *)"abc", 3, 0, out, 4, &len), SB_OK);
	assert_int_equal(cmdline_fill((const uint8_t *)"abcd", 4, 0, out, 4, &len), SB_LONG);
	assert_int_equal(cmdline_fill((const uint8_t *)"", 0, 0, out, 0, &len), SB_LONG);
}

static void the_last_word_of_a_key_counts(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "a=1 slot=x slot=y z", "y" },	  { "slot=", "" },
		{ "xslot=1 slot", NULL },	  { "", NULL },
		{ "q=\"a slot=no\" slot=yes", "yes" },
		{ "slot=yes q=\"a slot=no", "yes" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t len = 0;
		const char *got = cmdline_get(rows[i].text, "slot", &len);

		if (!rows[i].want) {
			assert_null(got);
			continue;
		}
		assert_non_null(got);
		assert_int_equal(len, strlen(rows[i].want));
		assert_memory_equal(got, rows[i].want, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_slot_is_filled_in),
		cmocka_unit_test(nuls_at_the_end_are_padding),
		cmocka_unit_test(a_small_buffer_is_refused),
		cmocka_unit_test(the_last_word_of_a_key_counts),
	};

	return cmocka_run_group_tests_name("cmdline", tests, NULL, NULL);
}
