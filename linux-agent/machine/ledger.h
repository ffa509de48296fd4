/* SPDX-License-Identifier: MIT */
/*
 * How long the last kexec and the last reboot into a new slot took, phase by
 * phase, in EFI/slotboot/ledger.json on the ESP: the one place that both ways
 * of activation leave alone. Statistics, and the boot_id the system had before
 * it left, which mark-good after a kexec looks at; nothing that decides a boot is in
 * it, and without it, or with a damaged one, everything else works.
 *
 * An entry is begun when the agent leaves the old system (pending) and closed
 * by mark-good in the new one. Times across the jump are the difference of two
 * readings of the real-time clock: good to about a second where the clock is
 * read anew from a chip that counts seconds.
 */
#pragma once

#include "activation.h"
#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_FILE "ledger.json"
#define LEDGER_MAX_BYTES 4096
#define LEDGER_UNKNOWN (-1)

enum ledger_phase {
	LEDGER_INSTALL,		/* from opening the bundle to the stored record */
	LEDGER_STAGE,		/* kernel, initrd and command line into memory; kexec only */
	LEDGER_LEAVE,		/* shutdown, then the jump, or firmware and loader, to the
				 * new kernel's first moment */
	LEDGER_KERNEL,		/* to the start of /init */
	LEDGER_HEALTHY,		/* to mark-good */
	LEDGER_PHASES
};

struct ledger_trip {
	bool known;
	unsigned slot;
	int64_t ms[LEDGER_PHASES];	/* or LEDGER_UNKNOWN */
};

struct ledger {
	char boot_id[37];		/* of the system that was left last, or "" */
	bool pending;			/* the fields below are of a trip under way */
	enum activate how;		/* ACTIVATE_REBOOT or ACTIVATE_KEXEC */
	int64_t left_ms;		/* real time, milliseconds since 1970 */
	struct ledger_trip trip;	/* LEDGER_INSTALL and LEDGER_STAGE are filled in */
	struct ledger_trip last[2];	/* of ACTIVATE_REBOOT, of ACTIVATE_KEXEC */
};

/* What the new system knows of its own start. */
struct ledger_arrival {
	unsigned slot;
	bool kexec;
	char boot_id[37];
	int64_t now_ms;			/* real time, milliseconds since 1970 */
	int64_t up_ms;			/* since the kernel's start */
	int64_t init_ms;		/* when it ran /init, since its start; or LEDGER_UNKNOWN */
};

/* Total on any bytes: what cannot be read is unknown. */
void ledger_parse(const uint8_t *json, size_t len, struct ledger *ret_ledger);
/* The caller frees. */
int ledger_format(const struct ledger *ledger, char **ret_json, struct err *err);

/* Closes the pending trip; false, and nothing changes, where there is none, or this is
 * still the boot it is to leave. Where it led to another slot or by another way it is
 * dropped: a later boot that fits it would be measured from here. */
bool ledger_arrive(struct ledger *ledger, const struct ledger_arrival *arrival);

/* { "slot": "b", "install": 4000, ... }: a new reference, or NULL. */
json_t *ledger_trip_json(const struct ledger_trip *trip);

/* "leave", "kernel", ...: the keys of the file and of status --json. */
const char *ledger_phase_text(enum ledger_phase phase);
