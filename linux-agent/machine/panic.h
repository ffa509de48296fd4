/* SPDX-License-Identifier: MIT */
/*
 * What the kernel that brought a slot down said last, where the kernel has kept it: pstore
 * (/sys/fs/pstore, of which efi-pstore is one back end), and where systemd-pstore moves that
 * at boot (/var/lib/systemd/pstore). For status and people: nothing decides by it.
 */
#pragma once

#include "machine.h"

#define PANIC_WORDS_BYTES 160

struct panic {
	char words[PANIC_WORDS_BYTES];	/* filtered: "VFS: Unable to mount root fs on unknown-block(0,0)" */
	int64_t time;			/* seconds since 1970, of the file it is in */
};

/* The first "Kernel panic - not syncing:" in text, up to its line's end: false where there is
 * none. text need not end with a NUL, and may hold anything. */
bool panic_find(const char *text, size_t len, char ret_words[static PANIC_WORDS_BYTES]);

/* The latest panic since the slot was installed; false: it is not bad for something that a panic
 * looks like from outside (tries, watchdog, kexec), or no panic was kept. Which slot's kernel
 * panicked a file does not say: in between it may have been the other's. */
bool panic_read(const struct machine *machine, unsigned slot, struct panic *ret_panic);
