/* SPDX-License-Identifier: MIT */
#include "watchdog.h"

static const struct watchdog_driver *const drivers[WATCHDOG_COUNT] = {
	[WATCHDOG_I6300ESB] = &watchdog_i6300esb,
	[WATCHDOG_ITCO] = &watchdog_itco,
	[WATCHDOG_WDAT] = &watchdog_wdat,
	[WATCHDOG_GWDT] = &watchdog_gwdt,
	[WATCHDOG_FCH] = &watchdog_fch,
};

enum trace_watchdog watchdog_arm(void *ctx, enum record_watchdog kind, unsigned seconds)
{
	struct loader *l = ctx;

	if ((unsigned)kind >= WATCHDOG_COUNT || !drivers[kind])
		return TRACE_WATCHDOG_NOT_FOUND;
	l->watchdog = drivers[kind];
	return l->watchdog->arm(l, seconds);
}

void watchdog_disarm(void *ctx)
{
	struct loader *l = ctx;

	if (l->watchdog)
		l->watchdog->disarm(l);
	l->watchdog = NULL;
}

enum trace_reset watchdog_fired(void *ctx, enum record_watchdog kind)
{
	if ((unsigned)kind >= WATCHDOG_COUNT || !drivers[kind])
		return TRACE_RESET_UNKNOWN;
	return drivers[kind]->fired(ctx);
}
