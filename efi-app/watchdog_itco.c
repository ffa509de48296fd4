/* SPDX-License-Identifier: MIT */
/*
 * The TCO timer of Intel's ICH6 to ICH10 and of the PCHs up to the 9 series
 * ("version 2"; ICH9 datasheet 316972, 13.9): ports at the LPC bridge's ACPI base,
 * and a bit behind its RCBA that forbids the reset. It counts down twice before
 * it resets. Later PCHs keep it behind other devices (SMBus, power management);
 * they are not looked for.
 */
#include "pci.h"
#include "port.h"
#include "watchdog.h"

/* The LPC bridge's configuration. */
enum { ACPI_BASE = 0x40, ACPI_CONTROL = 0x44, ACPI_ENABLED = 0x80, RCBA = 0xf0 };

/* Behind RCBA, 32 bits. */
enum { GCS = 0x3410, GCS_NO_REBOOT = 0x20 };

/* Ports from the ACPI base on, 16 bits each. */
enum { TCO_RELOAD = 0x60, TCO_STATUS_1 = 0x64, TCO_STATUS_2 = 0x66, TCO_CONTROL_1 = 0x68,
       TCO_TIMER = 0x72 };
enum { STATUS_1_TIMEOUT = 0x0008, STATUS_2_SECOND = 0x0002, STATUS_2_BOOT = 0x0004 };
enum { CONTROL_1_HALT = 0x0800 };

/* Of 0.6 seconds; fewer than 4 are ignored. */
enum { TICKS_MIN = 4, TICKS_MAX = 0x3ff };

static const struct pci_range bridges[] = {
	{ 0x2640, 0x2642 },	/* ICH6 */
	{ 0x2670, 0x267f },	/* 631xESB */
	{ 0x27b0, 0x27bd },	/* ICH7, NM10 */
	{ 0x2810, 0x2815 },	/* ICH8 */
	{ 0x2912, 0x2919 },	/* ICH9; QEMU's q35 */
	{ 0x3a14, 0x3a1a },	/* ICH10 */
	{ 0x3b00, 0x3b16 },	/* 5 series, 3400 */
	{ 0x1c41, 0x1c5f },	/* 6 series */
	{ 0x1d40, 0x1d41 },	/* C600 */
	{ 0x2310, 0x2310 },	/* DH89xxCC */
	{ 0x2390, 0x2390 },	/* Coleto Creek */
	{ 0x1e40, 0x1e5f },	/* 7 series */
	{ 0x8c40, 0x8c5f },	/* 8 series */
	{ 0x9c40, 0x9c47 },	/* 8 series, low power */
	{ 0x8cc1, 0x8cc6 },	/* 9 series */
	{ 0x8d40, 0x8d5f },	/* C610 */
	{ 0x9cc1, 0x9cc9 },	/* 9 series, low power */
};

struct tco {
	uint16_t base;
	volatile uint32_t *gcs;
};

static bool tco_find(struct loader *l, struct tco *ret_tco)
{
	EFI_PCI_IO_PROTOCOL *lpc = pci_find(l, PCI_INTEL, bridges,
					    sizeof bridges / sizeof bridges[0]);
	uint32_t base, rcba;

	if (!lpc)
		return false;
	base = pci_config_read(lpc, ACPI_BASE, 32) & 0xff80;
	rcba = pci_config_read(lpc, RCBA, 32);
	if (base == 0 || base == 0xff80 || !(rcba & 1) || rcba == UINT32_MAX ||
	    !(pci_config_read(lpc, ACPI_CONTROL, 8) & ACPI_ENABLED))
		return false;
	ret_tco->base = (uint16_t)base;
	ret_tco->gcs = (volatile uint32_t *)(uintptr_t)((rcba & 0xffffc000) + GCS);
	return true;
}

static uint32_t tco_read(const struct tco *t, unsigned offset)
{
	uint32_t value;

	return port_read((uint16_t)(t->base + offset), 16, &value) ? value : 0;
}

static void tco_write(const struct tco *t, unsigned offset, uint32_t value)
{
	(void)port_write((uint16_t)(t->base + offset), 16, value);
}

static void halt(const struct tco *t)
{
	tco_write(t, TCO_CONTROL_1, tco_read(t, TCO_CONTROL_1) | CONTROL_1_HALT);
	*t->gcs |= GCS_NO_REBOOT;
}

/* Whether everything reads back: a strap or a lock may be in the way. */
static bool start(const struct tco *t, uint32_t ticks)
{
	*t->gcs &= ~(uint32_t)GCS_NO_REBOOT;
	tco_write(t, TCO_TIMER, (tco_read(t, TCO_TIMER) & ~(uint32_t)TICKS_MAX) | ticks);
	tco_write(t, TCO_RELOAD, 1);
	tco_write(t, TCO_CONTROL_1, tco_read(t, TCO_CONTROL_1) & ~(uint32_t)CONTROL_1_HALT);
	return !(*t->gcs & GCS_NO_REBOOT) && (tco_read(t, TCO_TIMER) & TICKS_MAX) == ticks &&
	       !(tco_read(t, TCO_CONTROL_1) & CONTROL_1_HALT);
}

static enum trace_watchdog arm(struct loader *l, unsigned seconds)
{
	uint32_t ticks = (seconds * 5 + 5) / 6;		/* twice 0.6 seconds */
	struct tco t;

	if (!tco_find(l, &t))
		return TRACE_WATCHDOG_NOT_FOUND;
	ticks = ticks < TICKS_MIN ? TICKS_MIN : ticks > TICKS_MAX ? TICKS_MAX : ticks;
	halt(&t);
	/* A timeout that is on record already would count as the first. */
	tco_write(&t, TCO_STATUS_1, STATUS_1_TIMEOUT);
	return start(&t, ticks) ? TRACE_WATCHDOG_ARMED : TRACE_WATCHDOG_FAILED;
}

static void disarm(struct loader *l)
{
	struct tco t;

	if (tco_find(l, &t))
		halt(&t);
}

static enum trace_reset fired(struct loader *l)
{
	struct tco t;
	bool second;

	if (!tco_find(l, &t))
		return TRACE_RESET_UNKNOWN;
	second = tco_read(&t, TCO_STATUS_2) & STATUS_2_SECOND;
	/* Two writes: the second bit is to be cleared after the first. */
	tco_write(&t, TCO_STATUS_1, STATUS_1_TIMEOUT);
	tco_write(&t, TCO_STATUS_2, STATUS_2_SECOND);
	tco_write(&t, TCO_STATUS_2, STATUS_2_BOOT);
	return second ? TRACE_RESET_WATCHDOG : TRACE_RESET_OTHER;
}

const struct watchdog_driver watchdog_itco = { arm, disarm, fired };
