/* SPDX-License-Identifier: MIT */
/*
 * The hardware watchdog, for boot_ops (shared/boot.h). One driver per kind of
 * hardware, in a file of its own; only the one that the record names is asked, so
 * that no register of anything else is touched. Each call finds its hardware anew:
 * a boot makes two or three of them, and none where it is steady.
 */
#pragma once

#include "boot.h"
#include "loader.h"

struct watchdog_driver {
	/* A reset in so many seconds, or as near as the timer comes. What the last
	 * reset left behind has been asked for before. */
	enum trace_watchdog (*arm)(struct loader *l, unsigned seconds);
	void (*disarm)(struct loader *l);
	/* Clears what it reads. */
	enum trace_reset (*fired)(struct loader *l);
};

extern const struct watchdog_driver watchdog_i6300esb, watchdog_itco, watchdog_wdat,
	watchdog_gwdt, watchdog_fch;

/* See struct boot_ops; ctx is the struct loader. */
enum trace_watchdog watchdog_arm(void *ctx, enum record_watchdog kind, unsigned seconds);
void watchdog_disarm(void *ctx);
enum trace_reset watchdog_fired(void *ctx, enum record_watchdog kind);
