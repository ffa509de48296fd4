/* SPDX-License-Identifier: MIT */
/*
 * One boot, from reading the record to handing over: the policy's steps, the
 * saves they ask for, and what to do when an image does not start. The loader
 * brings start(), which ends in StartImage; a test brings one that fails as it
 * likes.
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
};

/* Returns when no slot is left: the caller returns to the firmware. */
void boot_run(const struct boot_ops *ops, struct trace *ret_trace);
