/* SPDX-License-Identifier: MIT */
/*
 * Which slot is running, and how it was started.
 *
 * The slot comes from what is mounted on /: its device (through dm and loop, below an
 * overlay its lower directory's, of btrfs the one it was mounted by), or, where that is no
 * slot's, on /usr; and from slotboot.slot= on the kernel command line. Systems that run
 * wholly from their initrd have the latter only, and after a firmware boot the loader's
 * trace, or, without the loader, the UKI that the firmware started. Where two of these
 * contradict each other there is no answer, but an error. A slot that is mounted elsewhere
 * says nothing of what runs.
 *
 * How: a kernel that was jumped to has our slotboot.nonce= on its command line,
 * or says so itself (x86: /proc/sys/kernel/bootloader_type). Variables that the
 * firmware and the loader wrote are of an earlier boot then, and not looked at.
 */
#pragma once

#include "config.h"
#include "trace.h"

#include <sys/types.h>

/* What the kernel says of its boot loader's type. */
enum running_bootloader {
	BOOTLOADER_UNKNOWN,	/* it does not say: not x86 */
	BOOTLOADER_IS_KEXEC,
	BOOTLOADER_IS_OTHER,
};

struct running {
	unsigned slot;
	bool kexec;		/* else the firmware booted it */
	uint64_t nonce;		/* slotboot.nonce= on its command line; 0: none */
	enum running_bootloader bootloader;
	char *cmdline;		/* of the running kernel */
	char *evidence;		/* "/dev/vda2 is mounted on /", "slotboot.slot=b" */
};

/* trace may be NULL; image: the slot whose UKI the firmware started itself, or -1. The images
 * of config are the configured ones with devices filled in.
 * EX_CONFIG: unknown, or a contradiction, with what was looked at. */
int running_find(const struct config *config, const struct trace *trace, int image,
		 struct running *ret_running, struct err *err);
void running_clear(struct running *running);

/* The block device that / stands on, also below an overlay of a slot; 0: none that is known. */
dev_t running_root_device(const struct config *config);

/* Where a slot is mounted, which must not be written then; NULL: nowhere. The caller
 * frees. */
char *running_where_mounted(const struct config *config, unsigned slot);
