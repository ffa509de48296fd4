/* SPDX-License-Identifier: MIT */
/* Any bytes as slot record, with and without a checksum made good, and as trace:
 * what decodes must encode to what decodes the same, and the policy must end. */
#include "fuzz.h"

#include "bytes.h"
#include "crc32.h"
#include "policy.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

static void walk(const struct record *record, bool watchdog_reset)
{
	struct boot_policy policy;
	unsigned steps = 0;

	policy_boot_begin(&policy, record, false, watchdog_reset);
	for (;;) {
		struct boot_step step = policy_boot_next(&policy);

		if (step.save)
			policy_boot_saved(&policy, &step, steps & 1);
		if (step.firmware)
			return;
		if (++steps > 8)
			abort();
		policy_boot_failed(&policy, &step, REASON_LOAD, 1);
	}
}

static void check_record(const uint8_t *data, size_t size)
{
	uint8_t again[RECORD_BYTES], third[RECORD_BYTES];
	struct record record, copy;

	if (record_decode(data, size, &record) != SB_OK)
		return;
	record_encode(&record, again);
	if (record_decode(again, sizeof again, &copy) != SB_OK)
		abort();
	record_encode(&copy, third);
	if (memcmp(again, third, sizeof again) != 0)
		abort();
	fuzz_taken = true;
	walk(&record, false);
	walk(&record, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t sealed[RECORD_BYTES];
	struct trace trace;

	check_record(data, size);
	if (size >= RECORD_BYTES) {
		memcpy(sealed, data, sizeof sealed);
		le32_put(sealed + RECORD_BYTES - 4, crc32_of(sealed, RECORD_BYTES - 4));
		check_record(sealed, sizeof sealed);
	}
	if (trace_decode(data, size, &trace) == SB_OK)
		fuzz_taken = true;
	return 0;
}
