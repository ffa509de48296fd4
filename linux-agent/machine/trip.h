/* SPDX-License-Identifier: MIT */
/*
 * The ledger's way to and from the machine: clocks, boot_id, the kernel's log
 * and the file on the ESP. Nothing here fails: what cannot be read is unknown,
 * and a ledger that cannot be written is missed by nobody.
 */
#pragma once

#include "ledger.h"
#include "machine.h"

/* Milliseconds of CLOCK_BOOTTIME: for measuring a phase. */
int64_t trip_clock_ms(void);

/* The running system's boot_id, or "". */
void trip_boot_id(const struct machine *machine, char ret_id[static 37]);

/* The file as it is; empty if there is none. */
void trip_read(const struct machine *machine, struct ledger *ret_ledger);

/* How long install and staging took; LEDGER_UNKNOWN: there was none. */
struct trip_times {
	int64_t install_ms, stage_ms;
};

/* About to leave for slot by how: notes the time, the boot_id and times (NULL: neither).
 * ACTIVATE_NONE: nothing. */
void trip_depart(struct machine *machine, enum activate how, unsigned slot,
		 const struct trip_times *times);

/* A reboot was refused: a later one is another, and not measured from here. */
void trip_stay(struct machine *machine);

/* At mark-good: closes the entry that led here. Writes only then. */
void trip_arrive(struct machine *machine);

/* Whether the ledger says that this boot is not the one that was left for slot:
 * its boot_id has changed. False also where there is nothing to compare. */
bool trip_boot_changed(const struct machine *machine, const struct ledger *ledger);

/* Whether the ledger says that this very boot is the one that was left by kexec for slot:
 * then no jump has taken place. */
bool trip_never_left(const struct machine *machine, unsigned slot);

/* When the kernel ran /init, in milliseconds since its start, from the text of
 * its log (/dev/kmsg: "6,339,1204311,-;Run /init as init process"); the first
 * such record. LEDGER_UNKNOWN: there is none. */
int64_t trip_init_ms(const char *log);
