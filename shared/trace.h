/* SPDX-License-Identifier: MIT */
/*
 * SlotTrace, the volatile variable in which the loader says what it saw and did
 * in this boot. Written anew before each StartImage, so that the last writer
 * is the boot that runs; absent after a plain boot, see trace_is_plain(). 128
 * bytes, little-endian:
 *
 *     offset size  field
 *          0    8  magic "SLOTTRCE"
 *          8    1  version, 1
 *          9    1  source of the record (enum state_source)
 *         10    1  what reading the variable gave (enum sb_error)
 *         11    1  what reading the mirror gave
 *         12    1  what the last save gave
 *         13    1  number of steps, at most 8
 *         14    1  the watchdog, as it was armed last (enum trace_watchdog)
 *         15    1  what caused the last reset (enum trace_reset)
 *         16    8  sequence of the record that was read
 *         24   12  step 0, ... step 7
 *        120    1  1: the first step is what somebody wanted for this boot alone
 *        121    7  reserved
 *
 *     step: 0 1 slot; 1 1 what (enum trace_what); 2 1 reason; 3 1 last resort (2: its
 *           digest unchecked); 4 8 EFI_STATUS
 */
#pragma once

#include "state.h"

#define TRACE_BYTES 128
#define TRACE_STEPS 8
#define TRACE_VARIABLE "SlotTrace"

enum trace_what {
	TRACE_STARTED,		/* control was given to it */
	TRACE_FAILED,		/* reason and EFI_STATUS say how */
	TRACE_SKIPPED,		/* not tried; reason says why */
	TRACE_WHAT_COUNT
};

/* Of the slot that is started, or of the last one that was. */
enum trace_watchdog {
	TRACE_WATCHDOG_OFF = 0,		/* not asked for */
	TRACE_WATCHDOG_ARMED,
	TRACE_WATCHDOG_NOT_FOUND,	/* the hardware that the record names is not there */
	TRACE_WATCHDOG_FAILED,		/* it is there, and does not do as it is told */
	TRACE_WATCHDOG_COUNT
};

enum trace_reset {
	TRACE_RESET_UNKNOWN = 0,	/* not asked, or the hardware does not say */
	TRACE_RESET_WATCHDOG,
	TRACE_RESET_OTHER,		/* power loss, a reset button, a reboot */
	TRACE_RESET_COUNT
};

struct trace_step {
	uint8_t slot;
	enum trace_what what;
	enum slot_reason reason;
	bool last_resort;
	bool unchecked;		/* ... and its digest was not looked at any more */
	uint64_t efi_status;
};

struct trace {
	enum state_source source;
	enum sb_error var_error, mirror_error, save_error;
	enum trace_watchdog watchdog;
	enum trace_reset reset;
	bool once;
	uint64_t sequence;
	unsigned step_count;
	struct trace_step steps[TRACE_STEPS];
};

/* Steps beyond the eighth are dropped; a boot has at most four. */
void trace_add(struct trace *trace, const struct trace_step *step);
void trace_encode(const struct trace *trace, uint8_t ret_bytes[TRACE_BYTES]);
/* Total on any bytes. SB_SHORT, SB_LONG, SB_MAGIC, SB_VERSION, SB_RANGE. */
enum sb_error trace_decode(const uint8_t *bytes, size_t len, struct trace *ret_trace);

/* A plain boot: the record was in the variable, the first slot tried was started, and
 * no watchdog or reset is to be told of. Which slot it was says all of it but the
 * sequence, so that no SlotTrace is needed beside LoaderEntrySelected. */
void trace_plain(unsigned slot, struct trace *ret_trace);
bool trace_is_plain(const struct trace *trace);
