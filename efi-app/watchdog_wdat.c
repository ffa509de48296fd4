/* SPDX-License-Identifier: MIT */
/* Whatever the ACPI table WDAT describes; shared/wdat.c reads and carries it out.
 * Memory is the processor's own: firmware maps all of it one to one (UEFI 2.10,
 * 2.3.4). */
#include "acpi.h"
#include "port.h"
#include "watchdog.h"
#include "wdat.h"

static bool register_read(void *ctx, enum wdat_space space, uint64_t address, unsigned width,
			  uint32_t *ret_value)
{
	volatile void *p = (volatile void *)(uintptr_t)address;

	(void)ctx;
	if (space == WDAT_PORT)
		return port_read((uint16_t)address, width, ret_value);
	*ret_value = width == 8	   ? *(volatile uint8_t *)p
		     : width == 16 ? *(volatile uint16_t *)p
				   : *(volatile uint32_t *)p;
	return true;
}

static bool register_write(void *ctx, enum wdat_space space, uint64_t address, unsigned width,
			   uint32_t value)
{
	volatile void *p = (volatile void *)(uintptr_t)address;

	(void)ctx;
	if (space == WDAT_PORT)
		return port_write((uint16_t)address, width, value);
	if (width == 8)
		*(volatile uint8_t *)p = (uint8_t)value;
	else if (width == 16)
		*(volatile uint16_t *)p = (uint16_t)value;
	else
		*(volatile uint32_t *)p = value;
	return true;
}

static const struct wdat_ops registers = { NULL, register_read, register_write };

static bool table_open(const struct loader *l, struct wdat *ret_wdat)
{
	size_t len = 0;
	const uint8_t *table = acpi_find(l, "WDAT", &len);

	return table && wdat_parse(table, len, ret_wdat) == SB_OK;
}

/* Some tables need no word to run on, some let nobody stop it: what is not there
 * is not an error, but the last step is. */
static bool is_running(const struct wdat *wdat)
{
	uint32_t running = 0;
	enum sb_error error = wdat_run(wdat, &registers, WDAT_GET_RUNNING, 0, &running);

	return error == SB_NOT_FOUND || (error == SB_OK && running);
}

static enum trace_watchdog arm(struct loader *l, unsigned seconds)
{
	struct wdat wdat;

	if (!table_open(l, &wdat))
		return TRACE_WATCHDOG_NOT_FOUND;
	(void)wdat_run(&wdat, &registers, WDAT_SET_STOPPED, 0, NULL);
	(void)wdat_run(&wdat, &registers, WDAT_SET_REBOOT, 0, NULL);
	if (wdat_run(&wdat, &registers, WDAT_SET_COUNTDOWN, wdat_counts(&wdat, seconds),
		     NULL) != SB_OK ||
	    wdat_run(&wdat, &registers, WDAT_SET_RUNNING, 0, NULL) != SB_OK)
		return TRACE_WATCHDOG_FAILED;
	(void)wdat_run(&wdat, &registers, WDAT_RESET, 0, NULL);
	return is_running(&wdat) ? TRACE_WATCHDOG_ARMED : TRACE_WATCHDOG_FAILED;
}

static void disarm(struct loader *l)
{
	struct wdat wdat;

	if (!table_open(l, &wdat))
		return;
	(void)wdat_run(&wdat, &registers, WDAT_RESET, 0, NULL);
	(void)wdat_run(&wdat, &registers, WDAT_SET_STOPPED, 0, NULL);
}

static enum trace_reset fired(struct loader *l)
{
	struct wdat wdat;
	uint32_t status = 0;

	if (!table_open(l, &wdat) ||
	    wdat_run(&wdat, &registers, WDAT_GET_STATUS, 0, &status) != SB_OK)
		return TRACE_RESET_UNKNOWN;
	if (!status)
		return TRACE_RESET_OTHER;
	(void)wdat_run(&wdat, &registers, WDAT_SET_STATUS, 0, NULL);
	return TRACE_RESET_WATCHDOG;
}

const struct watchdog_driver watchdog_wdat = { arm, disarm, fired };
