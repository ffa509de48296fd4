/* SPDX-License-Identifier: MIT */
/*
 * One boot, from reading the record to handing over: the policy's steps, the
 * saves they ask for, and what to do when an image does not start. The loader
 * brings start(), which ends in StartImage; a test brings one that fails as it
 * likes. With a watchdog in the record, it is armed between the save and start(),
 * so that a kernel that hangs costs a reset and the try that is spent already.
 */
#pragma once

#include "policy.h"
#include "trace.h"

struct boot_ops {
	void *ctx;
	struct state_ops storage;
	/* Loads and starts the slot's UKI. digest is the SHA-256 (32 bytes) that
	 * its size bytes must have, or NULL: do not check. Returns only when that
	 * failed or the image came back; says why. */
	enum slot_reason (*start)(void *ctx, unsigned slot, const uint8_t *digest,
				  uint64_t size, uint64_t *ret_efi_status);
	/* Called just before each start() and once at the end. */
	void (*report)(void *ctx, const struct trace *trace);
	/* The hardware watchdog; each may be NULL. None of them is fatal.
	 * Starts it: a reset in so many seconds, or in as many as it can. */
	enum trace_watchdog (*watchdog_arm)(void *ctx, enum record_watchdog kind,
					    unsigned seconds);
	/* Stops what watchdog_arm() started, whatever that returned. */
	void (*watchdog_disarm)(void *ctx);
	/* What the hardware knows of the last reset; it forgets it, so that the next
	 * boot is told of its own. Called at most once, before any save. */
	enum trace_reset (*watchdog_fired)(void *ctx, enum record_watchdog kind);
	/* Resets the machine; returns only if that does not work. May be NULL. */
	void (*reset)(void *ctx);
	/* True if after an image that came back no other can be started without a reset. May be NULL. */
	bool (*needs_reset)(void *ctx);
	/* The slot that somebody wants started in this boot alone, and has it forgotten by
	 * whatever told it; -1: none, or it cannot be forgotten. Asked after hand_over(), whose
	 * loader asks for itself, and before any save. May be NULL. */
	int (*once)(void *ctx);
	/* Gives control to the loader of that ESP (RECORD_GUID_BYTES); returns if it is not
	 * there, or came back. May be NULL. */
	void (*hand_over)(void *ctx, const uint8_t *esp);
	/* Tells the system which entries there are, where the record asks for it. May be NULL. */
	void (*entries)(void *ctx);
};

/* Returns when no slot is left: the caller returns to the firmware. */
void boot_run(const struct boot_ops *ops, struct trace *ret_trace);
