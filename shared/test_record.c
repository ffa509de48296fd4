/* SPDX-License-Identifier: MIT */
#include "record.h"

#include "bytes.h"
#include "crc32.h"
#include "unittest.h"

static struct record sample(void)
{
	struct record r;

	record_init(&r);
	r.sequence = 0x0102030405060708;
	r.preferred = 1;
	r.good_limit = 9;
	r.watchdog = WATCHDOG_ITCO;
	r.watchdog_flags = WATCHDOG_FLAG_TRIAL | 0x80;
	r.watchdog_s = 0x1234;
	r.slots[0] = (struct slot){ .status = SLOT_GOOD, .good_boots = 4,
				    .flags = SLOT_FLAG_DIGEST, .uki_size = 40 << 20,
				    .installed = 1700000000 };
	r.slots[1] = (struct slot){ .status = SLOT_TRIAL, .tries_left = 2, .tries_granted = 3,
				    .efi_status = 0x800000000000000e };
	memset(r.slots[1].uki_sha256, 0xa5, 32);
	record_note(&r, 1, ATTEMPT_STARTED, REASON_NONE);
	r.kexec_nonce = 0x1122334455667788;
	r.kexec_failures = 9;
	r.flags = RECORD_FLAG_PROVISIONAL | 0x80;
	memset(r.esps[0], 0x11, sizeof r.esps[0]);
	memset(r.esps[1], 0x22, sizeof r.esps[1]);
	return r;
}

static void reseal(uint8_t *bytes)
{
	le32_put(bytes + 316, crc32_of(bytes, 316));
}

static void a_record_survives_encoding(void **state)
{
	struct record in = sample(), out;
	uint8_t bytes[RECORD_BYTES], again[RECORD_BYTES];

	(void)state;
	record_encode(&in, bytes);
	assert_int_equal(record_decode(bytes, sizeof bytes, &out), SB_OK);
	record_encode(&out, again);
	assert_memory_equal(bytes, again, sizeof bytes);
	assert_true(out.sequence == in.sequence);
	assert_int_equal(out.watchdog, in.watchdog);
	assert_int_equal(out.watchdog_flags, in.watchdog_flags);
	assert_int_equal(out.watchdog_s, in.watchdog_s);
	assert_int_equal(out.slots[1].tries_left, 2);
	assert_int_equal(out.attempts[RECORD_ATTEMPTS - 1].event, ATTEMPT_STARTED);
	assert_true(out.kexec_nonce == in.kexec_nonce);
	assert_int_equal(out.kexec_failures, in.kexec_failures);
	assert_int_equal(out.flags, in.flags);
	assert_memory_equal(out.esps, in.esps, sizeof in.esps);
}

/* docs/FORMAT.md promises these offsets to other programs. */
static void fields_lie_where_the_format_says(void **state)
{
	struct record r = sample();
	uint8_t b[RECORD_BYTES];

	(void)state;
	record_encode(&r, b);
	assert_memory_equal(b, "SLOTBOOT", 8);
	assert_int_equal(le16_get(b + 8), 2);
	assert_int_equal(le16_get(b + 10), 320);
	assert_true(le64_get(b + 16) == r.sequence);
	assert_int_equal(b[24], 1);
	assert_int_equal(b[25], 9);
	assert_int_equal(b[26], WATCHDOG_ITCO);
	assert_int_equal(b[27], 0x81);
	assert_int_equal(le16_get(b + 28), 0x1234);
	assert_int_equal(le16_get(b + 30), 0);
	assert_int_equal(b[32], 0x11);
	assert_int_equal(b[48], 0x22);
	assert_int_equal(b[64], SLOT_GOOD);
	assert_int_equal(b[144], SLOT_TRIAL);
	assert_int_equal(b[145], 2);
	assert_int_equal(b[146], 3);
	assert_true(le64_get(b + 152) == r.slots[1].efi_status);
	assert_int_equal(b[168], 0xa5);
	assert_int_equal(b[224 + 56 + 1], ATTEMPT_STARTED);
	assert_true(le64_get(b + 288) == r.kexec_nonce);
	assert_int_equal(b[296], r.kexec_failures);
	assert_int_equal(b[297], 0x81);
	assert_int_equal(le32_get(b + 316), crc32_of(b, 316));
}

static void every_flipped_bit_is_noticed(void **state)
{
	struct record in = sample(), out;
	uint8_t bytes[RECORD_BYTES];

	(void)state;
	record_encode(&in, bytes);
	for (unsigned bit = 0; bit < RECORD_BYTES * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(record_decode(bytes, sizeof bytes, &out), SB_OK);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void a_bad_field_is_refused_even_with_a_good_checksum(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
		enum sb_error want;
	} rows[] = {
		{ 0, 'X', SB_MAGIC },	  { 8, 1, SB_VERSION },
		{ 10, 1, SB_LONG },	  { 24, 2, SB_RANGE },
		{ 23, 0x80, SB_RANGE },	  { 26, WATCHDOG_COUNT, SB_RANGE },
		{ 64, SLOT_STATUS_COUNT, SB_RANGE },
		{ 145, 4, SB_RANGE },	  { 147, REASON_COUNT, SB_RANGE },
		{ 224, 2, SB_RANGE },	  { 225, ATTEMPT_EVENT_COUNT, SB_RANGE },
		{ 226, REASON_COUNT, SB_RANGE },
	};
	struct record in = sample(), out;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t bytes[RECORD_BYTES];

		record_encode(&in, bytes);
		bytes[rows[i].at] = rows[i].value;
		reseal(bytes);
		memset(&out, 0x5a, sizeof out);
		assert_int_equal(record_decode(bytes, sizeof bytes, &out), rows[i].want);
		assert_int_equal(((uint8_t *)&out)[0], 0x5a);
	}
}

static void a_wrong_length_is_refused(void **state)
{
	struct record in = sample(), out;
	uint8_t bytes[RECORD_BYTES + 1] = { 0 };

	(void)state;
	record_encode(&in, bytes);
	for (size_t len = 0; len < RECORD_BYTES; len++)
		assert_int_equal(record_decode(bytes, len, &out), SB_SHORT);
	assert_int_equal(record_decode(bytes, sizeof bytes, &out), SB_LONG);
}

static void a_record_belongs_to_the_esps_that_it_names(void **state)
{
	static const uint8_t none[RECORD_GUID_BYTES];
	struct record r = sample();
	uint8_t other[RECORD_GUID_BYTES];

	(void)state;
	memset(other, 0x33, sizeof other);
	assert_true(record_belongs(&r, r.esps[0]) && record_belongs(&r, r.esps[1]));
	assert_false(record_belongs(&r, other) || record_belongs(&r, NULL));
	record_adopt(&r, r.esps[1]);
	assert_int_equal(r.esps[0][0], 0x11);
	record_adopt(&r, other);
	assert_true(record_belongs(&r, other));
	assert_memory_equal(r.esps[1], none, sizeof none);
	record_init(&r);
	assert_false(record_belongs(&r, none));
}

static void a_record_is_named_after_one_esp_or_two_in_any_order(void **state)
{
	const uint8_t a[RECORD_GUID_BYTES] = { 1 }, b[RECORD_GUID_BYTES] = { 2 };
	struct record r;

	(void)state;
	record_init(&r);
	assert_true(record_name(&r, a, NULL));
	assert_false(record_name(&r, a, NULL));
	assert_true(record_belongs(&r, a));
	assert_false(record_belongs(&r, b));
	assert_true(record_name(&r, a, b));
	assert_false(record_name(&r, b, a) || record_name(&r, a, b));
	assert_true(record_belongs(&r, a) && record_belongs(&r, b));
	assert_true(record_name(&r, b, NULL));
	assert_false(record_belongs(&r, a));
}

static void the_ring_keeps_the_last_eight(void **state)
{
	struct record r;

	(void)state;
	record_init(&r);
	for (unsigned i = 0; i < 11; i++) {
		r.sequence = i;
		record_note(&r, i & 1, ATTEMPT_STARTED, REASON_NONE);
	}
	assert_int_equal(r.attempts[0].sequence, 4);
	assert_int_equal(r.attempts[7].sequence, 11);
}

/* Records in the field hold these numbers. */
static void stored_numbers_stay(void **state)
{
	(void)state;
	assert_int_equal(REASON_STATE_LOST, 9);
	assert_int_equal(REASON_UNSAVED, 10);
	assert_int_equal(REASON_WATCHDOG, 11);
	assert_int_equal(REASON_HEALTH, 12);
	assert_int_equal(WATCHDOG_I6300ESB, 1);
	assert_int_equal(WATCHDOG_ITCO, 2);
	assert_int_equal(WATCHDOG_WDAT, 3);
	assert_int_equal(WATCHDOG_GWDT, 4);
	assert_int_equal(WATCHDOG_FCH, 5);
}

static void every_status_and_reason_has_its_own_words(void **state)
{
	(void)state;
	for (int i = 0; i < SLOT_STATUS_COUNT; i++)
		assert_string_not_equal(slot_status_text((enum slot_status)i), "unknown");
	for (int i = 0; i < REASON_COUNT; i++) {
		assert_non_null(slot_reason_text((enum slot_reason)i));
		assert_non_null(slot_reason_words((enum slot_reason)i));
	}
	for (int i = 0; i < WATCHDOG_COUNT; i++)
		assert_string_not_equal(record_watchdog_text((enum record_watchdog)i), "unknown");
	for (int i = 0; i < SB_ERROR_COUNT; i++)
		assert_string_not_equal(sb_error_text((enum sb_error)i), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_survives_encoding),
		cmocka_unit_test(fields_lie_where_the_format_says),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(a_bad_field_is_refused_even_with_a_good_checksum),
		cmocka_unit_test(a_wrong_length_is_refused),
		cmocka_unit_test(a_record_belongs_to_the_esps_that_it_names),
		cmocka_unit_test(a_record_is_named_after_one_esp_or_two_in_any_order),
		cmocka_unit_test(the_ring_keeps_the_last_eight),
		cmocka_unit_test(stored_numbers_stay),
		cmocka_unit_test(every_status_and_reason_has_its_own_words),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
