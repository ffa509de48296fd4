/* SPDX-License-Identifier: MIT */
/*
 * The hardware watchdog on Linux's side: which one it drives, which the loader may
 * therefore arm (an image whose kernel has no driver for it would be reset while
 * healthy), who keeps it fed once the loader has armed it, and arming it before a
 * jump by kexec.
 *
 * All that is only asked comes from sysfs, which needs no permission and no
 * CONFIG_WATCHDOG_SYSFS for the driver's name: opening /dev/watchdogN would start
 * the timer.
 */
#pragma once

#include "config.h"

#include <stdbool.h>

#define WATCHDOG_IDENTITY_BYTES 64

/* One /dev/watchdogN. */
struct watchdog {
	enum record_watchdog kind;	/* WATCHDOG_NONE: none that the loader can arm */
	unsigned number;		/* the N */
	char identity[WATCHDOG_IDENTITY_BYTES];	/* as its driver calls it; "": there is none */
	bool open;			/* a process feeds it, or did and died */
	bool nowayout;			/* once opened it cannot be stopped; also if unknown */
};

/* The best that the loader can arm (i6300ESB, WDAT, TCO, FCH, generic), else the first of all.
 * softdog and drivers of other hardware are WATCHDOG_NONE. */
void watchdog_find(const struct config *config, struct watchdog *ret_watchdog);

/* What the loader is to do from the next boot on, into the record's fields. */
void watchdog_to_record(const struct config *config, const struct watchdog *watchdog,
			struct record *record);

/* All of the configuration that the loader goes by: config_to_record(), and the watchdog
 * that Linux drives now. */
void settings_to_record(const struct config *config, struct record *record);

/* After mark-good in a system that was started with the watchdog `armed`: leaves it
 * to the process that feeds it, or stops it through its driver. 0: the machine will
 * not be reset; -1: it will, or may. say gets a sentence in both cases. */
int watchdog_release(const struct config *config, enum record_watchdog armed, char *say,
		     size_t cap);

/* Before a jump by kexec: has the watchdog run across it, so that a new kernel that
 * hangs is reset. Where systemd runs it is told to do so, else *ret_fd stays open and
 * fed once. 1: armed; 0: there is no watchdog; -1: there is one, and say names what is
 * missing (else it is empty). */
int watchdog_arm(const struct config *config, int *ret_fd, char *say, size_t cap);

/* The jump did not take place: stops what watchdog_arm() left in fd, and closes it.
 * fd -1: nothing. */
void watchdog_disarm(int fd);
