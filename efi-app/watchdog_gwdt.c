/* SPDX-License-Identifier: MIT */
/* Arm's generic watchdog; shared/gwdt.c finds and drives it. */
#include "acpi.h"
#include "gwdt.h"
#include "port.h"
#include "watchdog.h"

static uint32_t register_read(void *ctx, uint64_t address)
{
	(void)ctx;
	return *(volatile uint32_t *)(uintptr_t)address;
}

static void register_write(void *ctx, uint64_t address, uint32_t value)
{
	(void)ctx;
	*(volatile uint32_t *)(uintptr_t)address = value;
}

static const struct gwdt_ops registers = { NULL, register_read, register_write };

static bool device_open(const struct loader *l, struct gwdt *ret_gwdt)
{
	size_t len = 0;
	const uint8_t *table = acpi_find(l, "GTDT", &len);

	return table && gwdt_parse(table, len, ret_gwdt) == SB_OK &&
	       registers_are_mapped(ret_gwdt->refresh) && registers_are_mapped(ret_gwdt->control);
}

static enum trace_watchdog arm(struct loader *l, unsigned seconds)
{
	struct gwdt gwdt;

	if (!device_open(l, &gwdt))
		return TRACE_WATCHDOG_NOT_FOUND;
	return gwdt_arm(&gwdt, &registers, l->ticks_per_second, seconds) == SB_OK
		       ? TRACE_WATCHDOG_ARMED
		       : TRACE_WATCHDOG_FAILED;
}

static void disarm(struct loader *l)
{
	struct gwdt gwdt;

	if (device_open(l, &gwdt))
		gwdt_disarm(&gwdt, &registers);
}

/* Whether its status outlives the reset, each machine decides: that it is clear says
 * nothing. */
static enum trace_reset fired(struct loader *l)
{
	struct gwdt gwdt;

	return device_open(l, &gwdt) && gwdt_fired(&gwdt, &registers) ? TRACE_RESET_WATCHDOG
								       : TRACE_RESET_UNKNOWN;
}

const struct watchdog_driver watchdog_gwdt = { arm, disarm, fired };
