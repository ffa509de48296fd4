/* SPDX-License-Identifier: MIT */
#include "record.h"

#include "bytes.h"
#include "crc32.h"

enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_LENGTH = 10,
	AT_SEQUENCE = 16,
	AT_PREFERRED = 24,
	AT_GOOD_LIMIT = 25,
	AT_WATCHDOG = 26,
	AT_WATCHDOG_FLAGS = 27,
	AT_WATCHDOG_S = 28,
	AT_ESPS = 32,
	AT_SLOTS = 64,
	SLOT_BYTES = 80,
	AT_ATTEMPTS = 224,
	ATTEMPT_BYTES = 8,
	AT_NONCE = 288,
	AT_KEXEC_FAILURES = 296,
	AT_FLAGS = 297,
	AT_CRC = 316,
};

_Static_assert(AT_ESPS + RECORD_ESPS * RECORD_GUID_BYTES == AT_SLOTS, "ESPs end at the slots");
_Static_assert(AT_SLOTS + SLOT_COUNT * SLOT_BYTES == AT_ATTEMPTS, "slots end at the ring");
_Static_assert(AT_ATTEMPTS + RECORD_ATTEMPTS * ATTEMPT_BYTES == AT_NONCE,
	       "the ring ends at the nonce");
_Static_assert(AT_CRC + 4 == RECORD_BYTES, "the CRC is last");

static const uint8_t magic[8] = { 'S', 'L', 'O', 'T', 'B', 'O', 'O', 'T' };

static void slot_encode(const struct slot *slot, uint8_t *p)
{
	p[0] = (uint8_t)slot->status;
	p[1] = slot->tries_left;
	p[2] = slot->tries_granted;
	p[3] = (uint8_t)slot->reason;
	p[4] = slot->good_boots;
	p[5] = slot->flags;
	le64_put(p + 8, slot->efi_status);
	le64_put(p + 16, slot->uki_size);
	bytes_copy(p + 24, slot->uki_sha256, sizeof slot->uki_sha256);
	le64_put(p + 56, slot->installed);
}

static bool slot_decode(const uint8_t *p, struct slot *slot)
{
	if (p[0] >= SLOT_STATUS_COUNT || p[1] > p[2] || p[3] >= REASON_COUNT)
		return false;
	slot->status = (enum slot_status)p[0];
	slot->tries_left = p[1];
	slot->tries_granted = p[2];
	slot->reason = (enum slot_reason)p[3];
	slot->good_boots = p[4];
	slot->flags = p[5];
	slot->efi_status = le64_get(p + 8);
	slot->uki_size = le64_get(p + 16);
	bytes_copy(slot->uki_sha256, p + 24, sizeof slot->uki_sha256);
	slot->installed = le64_get(p + 56);
	return true;
}

static bool attempt_decode(const uint8_t *p, struct attempt *attempt)
{
	if (p[0] >= SLOT_COUNT || p[1] >= ATTEMPT_EVENT_COUNT || p[2] >= REASON_COUNT)
		return false;
	attempt->slot = p[0];
	attempt->event = (enum attempt_event)p[1];
	attempt->reason = (enum slot_reason)p[2];
	attempt->sequence = le32_get(p + 4);
	return true;
}

void record_encode(const struct record *record, uint8_t ret_bytes[RECORD_BYTES])
{
	uint8_t *p = ret_bytes;

	bytes_zero(p, RECORD_BYTES);
	bytes_copy(p + AT_MAGIC, magic, sizeof magic);
	le16_put(p + AT_VERSION, RECORD_VERSION);
	le16_put(p + AT_LENGTH, RECORD_BYTES);
	le64_put(p + AT_SEQUENCE, record->sequence);
	p[AT_PREFERRED] = record->preferred;
	p[AT_GOOD_LIMIT] = record->good_limit;
	p[AT_WATCHDOG] = (uint8_t)record->watchdog;
	p[AT_WATCHDOG_FLAGS] = record->watchdog_flags;
	le16_put(p + AT_WATCHDOG_S, record->watchdog_s);
	for (int i = 0; i < RECORD_ESPS; i++)
		bytes_copy(p + AT_ESPS + i * RECORD_GUID_BYTES, record->esps[i],
			   RECORD_GUID_BYTES);
	for (int i = 0; i < SLOT_COUNT; i++)
		slot_encode(&record->slots[i], p + AT_SLOTS + i * SLOT_BYTES);
	for (int i = 0; i < RECORD_ATTEMPTS; i++) {
		const struct attempt *a = &record->attempts[i];
		uint8_t *q = p + AT_ATTEMPTS + i * ATTEMPT_BYTES;

		q[0] = a->slot;
		q[1] = (uint8_t)a->event;
		q[2] = (uint8_t)a->reason;
		le32_put(q + 4, a->sequence);
	}
	le64_put(p + AT_NONCE, record->kexec_nonce);
	p[AT_KEXEC_FAILURES] = record->kexec_failures;
	p[AT_FLAGS] = record->flags;
	le32_put(p + AT_CRC, crc32_of(p, AT_CRC));
}

static enum sb_error slot_uki_check(const uint8_t *bytes, size_t len)
{
	if (len < RECORD_BYTES)
		return SB_SHORT;
	if (!bytes_equal(bytes + AT_MAGIC, magic, sizeof magic))
		return SB_MAGIC;
	if (le16_get(bytes + AT_VERSION) != RECORD_VERSION)
		return SB_VERSION;
	if (len > RECORD_BYTES || le16_get(bytes + AT_LENGTH) != RECORD_BYTES)
		return SB_LONG;
	if (le32_get(bytes + AT_CRC) != crc32_of(bytes, AT_CRC))
		return SB_CHECKSUM;
	return SB_OK;
}

enum sb_error record_decode(const uint8_t *bytes, size_t len, struct record *ret_record)
{
	enum sb_error error = slot_uki_check(bytes, len);
	struct record r;
	bool ok = true;

	if (error != SB_OK)
		return error;
	r.sequence = le64_get(bytes + AT_SEQUENCE);
	r.preferred = bytes[AT_PREFERRED];
	r.good_limit = bytes[AT_GOOD_LIMIT];
	r.watchdog = (enum record_watchdog)bytes[AT_WATCHDOG];
	r.watchdog_flags = bytes[AT_WATCHDOG_FLAGS];
	r.watchdog_s = le16_get(bytes + AT_WATCHDOG_S);
	for (int i = 0; i < RECORD_ESPS; i++)
		bytes_copy(r.esps[i], bytes + AT_ESPS + i * RECORD_GUID_BYTES,
			   RECORD_GUID_BYTES);
	for (int i = 0; ok && i < SLOT_COUNT; i++)
		ok = slot_decode(bytes + AT_SLOTS + i * SLOT_BYTES, &r.slots[i]);
	for (int i = 0; ok && i < RECORD_ATTEMPTS; i++)
		ok = attempt_decode(bytes + AT_ATTEMPTS + i * ATTEMPT_BYTES, &r.attempts[i]);
	r.kexec_nonce = le64_get(bytes + AT_NONCE);
	r.kexec_failures = bytes[AT_KEXEC_FAILURES];
	r.flags = bytes[AT_FLAGS];
	if (!ok || r.sequence > RECORD_SEQUENCE_MAX || r.preferred >= SLOT_COUNT || bytes[AT_WATCHDOG] >= WATCHDOG_COUNT)
		return SB_RANGE;
	*ret_record = r;
	return SB_OK;
}

void record_init(struct record *record)
{
	static const struct record empty;

	*record = empty;
}

bool record_belongs(const struct record *record, const uint8_t *esp)
{
	static const uint8_t none[RECORD_GUID_BYTES];

	if (!esp || bytes_equal(esp, none, sizeof none))
		return false;
	for (int i = 0; i < RECORD_ESPS; i++)
		if (bytes_equal(record->esps[i], esp, RECORD_GUID_BYTES))
			return true;
	return false;
}

void record_adopt(struct record *record, const uint8_t esp[RECORD_GUID_BYTES])
{
	if (record_belongs(record, esp))
		return;
	(void)record_name(record, esp, NULL);
}

bool record_name(struct record *record, const uint8_t esp[RECORD_GUID_BYTES], const uint8_t *other)
{
	static const uint8_t none[RECORD_GUID_BYTES];
	const uint8_t *second = other ? other : none;

	for (int i = 0; i < RECORD_ESPS; i++)
		if (bytes_equal(record->esps[i], esp, RECORD_GUID_BYTES) &&
		    bytes_equal(record->esps[1 - i], second, RECORD_GUID_BYTES))
			return false;
	bytes_copy(record->esps[0], esp, RECORD_GUID_BYTES);
	bytes_copy(record->esps[1], second, RECORD_GUID_BYTES);
	return true;
}

void record_note(struct record *record, unsigned slot, enum attempt_event event,
		 enum slot_reason reason)
{
	for (int i = 1; i < RECORD_ATTEMPTS; i++)
		record->attempts[i - 1] = record->attempts[i];
	record->attempts[RECORD_ATTEMPTS - 1] = (struct attempt){
		.slot = (uint8_t)slot,
		.event = event,
		.reason = reason,
		.sequence = (uint32_t)(record->sequence + 1),
	};
}

const char *slot_status_text(enum slot_status status)
{
	static const char *const text[SLOT_STATUS_COUNT] = {
		"empty", "writing", "trial", "kexec-trial", "good", "bad",
	};

	return (unsigned)status < SLOT_STATUS_COUNT ? text[status] : "unknown";
}

static const struct {
	const char *text;
	const char *words;
} reasons[REASON_COUNT] = {
	[REASON_NONE] = { "none", "nothing is wrong with it" },
	[REASON_LOAD] = { "load", "the firmware could not load its UKI" },
	[REASON_DIGEST] = { "digest", "its UKI is not the one that was installed" },
	[REASON_RETURNED] = { "returned", "its UKI gave control back to the loader" },
	[REASON_TRIES] = { "tries", "all its tries were spent without mark-good" },
	[REASON_KEXEC] = { "kexec",
			   "it was started by kexec and the machine came back through "
			   "the firmware before mark-good" },
	[REASON_GOOD_LIMIT] = { "good-limit", "it reached good-limit boots without mark-good" },
	[REASON_OPERATOR] = { "operator", "it was marked bad by slotctl mark-bad" },
	[REASON_ROLLED_BACK] = { "rolled-back", "slotctl rollback left it before mark-good" },
	[REASON_STATE_LOST] = { "state-lost", "the slot record was lost; nothing is known of it" },
	[REASON_UNSAVED] = { "unsaved", "its try could not be stored" },
	[REASON_WATCHDOG] = { "watchdog",
			      "the hardware watchdog reset the machine before mark-good" },
	[REASON_HEALTH] = { "health", "its health check failed" },
};

const char *slot_reason_text(enum slot_reason reason)
{
	return (unsigned)reason < REASON_COUNT ? reasons[reason].text : "unknown";
}

const char *slot_reason_words(enum slot_reason reason)
{
	return (unsigned)reason < REASON_COUNT ? reasons[reason].words
					       : "for a reason this version does not know";
}

const char *record_watchdog_text(enum record_watchdog watchdog)
{
	static const char *const text[WATCHDOG_COUNT] = { "none", "i6300esb", "itco", "wdat",
							  "gwdt", "fch" };

	return (unsigned)watchdog < WATCHDOG_COUNT ? text[watchdog] : "unknown";
}
