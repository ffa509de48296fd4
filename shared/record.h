/* SPDX-License-Identifier: MIT */
/*
 * The slot record: 320 bytes that say which disk it is of, which slot is preferred,
 * what is in each and how the last attempts went. Little-endian, encoded field by
 * field; docs/FORMAT.md says the same, bit by bit.
 *
 *     offset size  field
 *          0    8  magic "SLOTBOOT"
 *          8    2  version, 2
 *         10    2  length, 320
 *         12    4  reserved
 *         16    8  sequence; the valid copy with the highest wins
 *         24    1  preferred slot, 0 = a, 1 = b
 *         25    1  good limit, boots of a good slot without mark-good; 0 = off
 *         26    1  watchdog, the hardware that Linux was seen to drive
 *         27    1  watchdog flags
 *         28    2  watchdog timeout, seconds; 0 = do not arm
 *         30    2  reserved
 *         32   32  partition GUIDs of its ESPs, one or two; all zero = none
 *         64   80  slot a
 *        144   80  slot b
 *        224   64  ring of past attempts: 8 entries, the oldest first
 *        288    8  nonce of the staged kexec, its lowest bit the slot; 0 = none
 *        296    1  kexecs in a row that never came to mark-good, at most 255
 *        297    1  flags
 *        298   18  reserved
 *        316    4  CRC-32 of the bytes 0 to 315
 *
 *     slot:                                      attempt:
 *          0    1  status                             0  1  slot
 *          1    1  tries left, at most tries granted  1  1  event; 0 = unused entry
 *          2    1  tries granted                      2  1  reason
 *          3    1  reason it is bad                   3  1  reserved
 *          4    1  good boots since mark-good         4  4  low half of the sequence
 *          5    1  flags
 *          6    2  reserved
 *          8    8  EFI_STATUS of the last failure
 *         16    8  size of the UKI in bytes
 *         24   32  SHA-256 of the UKI
 *         56    8  when it was installed, seconds since 1970
 *         64   16  reserved
 *
 * Reserved bytes are written as zero and not looked at when read.
 */
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_BYTES 320
#define RECORD_VERSION 2
#define RECORD_ATTEMPTS 8
#define RECORD_ESPS 2
#define RECORD_GUID_BYTES 16	/* as in a GPT and in device paths */
#define RECORD_SEQUENCE_MAX INT64_MAX
#define SLOT_COUNT 2

enum slot_status {
	SLOT_EMPTY = 0,		/* nothing installed */
	SLOT_WRITING,		/* an install is under way or was cut off */
	SLOT_TRIAL,		/* complete, unconfirmed, tries left */
	SLOT_KEXEC_TRIAL,	/* complete, jumped to by kexec, unconfirmed */
	SLOT_GOOD,		/* confirmed after a firmware boot */
	SLOT_BAD,		/* failed; reason says why */
	SLOT_STATUS_COUNT
};

enum slot_reason {
	REASON_NONE = 0,
	REASON_LOAD,		/* LoadImage failed, or the file cannot be read */
	REASON_DIGEST,		/* the UKI is not the one that was installed */
	REASON_RETURNED,	/* StartImage returned */
	REASON_TRIES,		/* all tries spent, never marked good */
	REASON_KEXEC,		/* a firmware boot came before mark-good */
	REASON_GOOD_LIMIT,	/* good-limit boots without mark-good */
	REASON_OPERATOR,	/* slotctl mark-bad */
	REASON_ROLLED_BACK,	/* slotctl rollback left it unconfirmed */
	REASON_STATE_LOST,	/* the record was lost; nothing is known of it */
	REASON_UNSAVED,		/* its try could not be stored (trace only) */
	REASON_WATCHDOG,	/* the hardware watchdog reset it before mark-good */
	REASON_HEALTH,		/* its health check failed */
	REASON_COUNT
};

enum attempt_event {
	ATTEMPT_NONE = 0,
	ATTEMPT_STARTED,	/* a try was spent and the image started */
	ATTEMPT_FAILED,		/* reason says how */
	ATTEMPT_KEXEC,		/* jumped to by kexec */
	ATTEMPT_CONFIRMED,	/* mark-good */
	ATTEMPT_INSTALLED,
	ATTEMPT_EVENT_COUNT
};

/* Each value is stored. */
enum record_watchdog {
	WATCHDOG_NONE = 0,
	WATCHDOG_I6300ESB,
	WATCHDOG_ITCO,		/* Intel's TCO timer */
	WATCHDOG_WDAT,		/* through the ACPI table of that name */
	WATCHDOG_GWDT,		/* Arm's generic watchdog */
	WATCHDOG_FCH,		/* AMD's FCH */
	WATCHDOG_COUNT
};

/* struct record.watchdog_flags */
#define WATCHDOG_FLAG_TRIAL 0x01u	/* arm it for trial boots */
#define WATCHDOG_FLAG_GOOD 0x02u	/* arm it for boots of good slots */

/* struct slot.flags */
#define SLOT_FLAG_DIGEST 0x01u		/* uki_size and uki_sha256 are known */
#define SLOT_FLAG_KEXEC_GOOD 0x02u	/* marked good after a kexec, not yet after
					 * a firmware boot */
#define SLOT_FLAG_KEXEC_PROVEN 0x04u	/* marked good after a kexec since it was
					 * installed, whatever came then */
#define SLOT_FLAG_INSTALLED 0x08u	/* by slotctl, from a signed bundle: kexec wants the
					 * signed manifest beside the UKI */
#define SLOT_FLAG_HEARSAY 0x10u		/* what it holds is known from the mirror, a file that
					 * anybody with the ESP can write: good enough to boot
					 * by, not to kexec by */

/* struct record.flags */
#define RECORD_FLAG_PROVISIONAL 0x01u	/* made by the loader, because there was none */
#define RECORD_FLAG_CHECK 0x02u		/* good slots too start only with the right digest */
#define RECORD_FLAG_RESET 0x04u		/* what was started and came back ends in a reset */
#define RECORD_FLAG_ENTRIES 0x08u	/* the loader names the slots to systemd, as its entries */

struct slot {
	enum slot_status status;
	uint8_t tries_left;
	uint8_t tries_granted;
	enum slot_reason reason;
	uint8_t good_boots;
	uint8_t flags;
	uint64_t efi_status;
	uint64_t uki_size;
	uint8_t uki_sha256[32];
	uint64_t installed;
};

struct attempt {
	uint8_t slot;
	enum attempt_event event;
	enum slot_reason reason;
	uint32_t sequence;
};

struct record {
	uint64_t sequence;
	uint8_t preferred;
	uint8_t good_limit;
	enum record_watchdog watchdog;
	uint8_t watchdog_flags;
	uint16_t watchdog_s;
	struct slot slots[SLOT_COUNT];
	struct attempt attempts[RECORD_ATTEMPTS];
	uint64_t kexec_nonce;
	uint8_t kexec_failures;
	uint8_t flags;
	uint8_t esps[RECORD_ESPS][RECORD_GUID_BYTES];
};

/* Any record whose fields are in range encodes; others are the caller's bug
 * and yield bytes that record_decode() refuses. */
void record_encode(const struct record *record, uint8_t ret_bytes[RECORD_BYTES]);

/* Total on any bytes; changes nothing but *ret_record, and that only on SB_OK.
 * SB_SHORT, SB_LONG, SB_MAGIC, SB_VERSION, SB_CHECKSUM, SB_RANGE. */
enum sb_error record_decode(const uint8_t *bytes, size_t len, struct record *ret_record);

/* Both slots empty, a preferred, sequence 0, of no ESP. */
void record_init(struct record *record);

/* Whether the record names this ESP. False for NULL and for a GUID of zeros. */
bool record_belongs(const struct record *record, const uint8_t *esp);
/* Makes it the record of this ESP alone, unless it names it already. */
void record_adopt(struct record *record, const uint8_t esp[RECORD_GUID_BYTES]);
/* Makes it the record of these two, or, other NULL, of the first alone. False, and nothing
 * changed, where it is that already, in either order. */
bool record_name(struct record *record, const uint8_t esp[RECORD_GUID_BYTES], const uint8_t *other);

/* Appends to the ring, pushing the oldest entry out. */
void record_note(struct record *record, unsigned slot, enum attempt_event event,
		 enum slot_reason reason);

/* The words of docs/STATES.md: "empty", "kexec-trial", ...; never NULL. */
const char *slot_status_text(enum slot_status status);
/* One word for machines ("tries"), and a sentence's end for people ("all tries
 * were spent without mark-good"). Never NULL. */
const char *slot_reason_text(enum slot_reason reason);
const char *slot_reason_words(enum slot_reason reason);
/* "none", "i6300esb", "itco", "wdat", "gwdt", "fch"; never NULL. */
const char *record_watchdog_text(enum record_watchdog watchdog);
