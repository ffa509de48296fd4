/* SPDX-License-Identifier: MIT */
/*
 * Intel's TCO timer, which shared/tco.c drives. Its ports and the register that forbids its
 * reset are found by the LPC bridge up to the 9 series (ICH9 datasheet 316972, 13.8 and 13.9)
 * and in the first systems on a chip; from the 100 series on the SMBus controller says where
 * the ports are (200 and 300 series datasheets 335193 and 337348). Not looked for: Apollo
 * Lake and Gemini Lake, whose ports and register are told by ACPI's bytecode alone.
 */
#include "pci.h"
#include "port.h"
#include "sideband.h"
#include "tco.h"
#include "watchdog.h"

/* The LPC bridge's configuration. */
enum { ACPI_BASE = 0x40, ACPI_CONTROL = 0x44, ACPI_ENABLED = 0x80, RCBA = 0xf0 };
/* From the ACPI base on; behind RCBA. */
enum { TCO_PORTS_OFFSET = 0x60, GCS = 0x3410 };

/* The same bridge of a system on a chip. */
enum { PMC_BASE = 0x44, PMC_CFG = 0x08, ATOM_ENABLED = 0x02 };

/* The SMBus controller's; on the sideband. */
enum { DEVICE_ID = 0x02, TCO_BASE = 0x50, TCO_CONTROL = 0x54, TCO_ENABLED = 0x100 };
enum { DENVERTON = 0x19df, SMBUS_PORT = 0xc6, SMBUS_PORT_DENVERTON = 0xcf, SMBUS_GC = 0x0c };

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

static const struct pci_range atoms[] = {
	{ 0x0f1c, 0x0f1c },	/* Bay Trail */
	{ 0x1f38, 0x1f3b },	/* Avoton, Rangeley */
	{ 0x229c, 0x229c },	/* Braswell */
};

static const struct pci_range sideband_smbuses[] = {
	{ 0xa123, 0xa123 },	/* 100 series */
	{ 0x9d23, 0x9d23 },	/* 100 and 200 series, low power */
	{ 0xa2a3, 0xa2a3 },	/* 200 series */
	{ 0xa1a3, 0xa1a3 },	/* C620 */
	{ 0xa223, 0xa223 },	/* C620 */
	{ DENVERTON, DENVERTON },
	{ 0xa3a3, 0xa3a3 },	/* 400 series, of the 200's making */
};

/* Only those whose TCO is known from two places to have the bit in its ports. */
static const struct pci_range smbuses[] = {
	{ 0x9da3, 0x9da3 },	/* 300 series, low power */
	{ 0xa323, 0xa323 },	/* 300 series, C240 */
	{ 0x34a3, 0x34a3 },	/* Ice Lake, low power */
	{ 0x02a3, 0x02a3 },	/* 400 series, low power */
	{ 0x06a3, 0x06a3 },	/* 400 series */
	{ 0x4b23, 0x4b23 },	/* Elkhart Lake */
	{ 0x4da3, 0x4da3 },	/* Jasper Lake */
	{ 0xa0a3, 0xa0a3 },	/* 500 series, low power */
	{ 0x43a3, 0x43a3 },	/* 500 series */
	{ 0x1bc9, 0x1bc9 },	/* C740 */
	{ 0x7aa3, 0x7aa3 },	/* 600 series */
	{ 0x51a3, 0x51a3 },	/* Alder Lake P */
	{ 0x54a3, 0x54a3 },	/* Alder Lake M and N */
	{ 0x7a23, 0x7a23 },	/* 700 series */
	{ 0x7e22, 0x7e22 },	/* Meteor Lake P */
};

struct device {
	uint16_t base;
	volatile uint32_t *forbid;
	struct tco_ops ops;
};

static uint16_t register_read(void *ctx, unsigned offset)
{
	const struct device *d = ctx;
	uint32_t value;

	return port_read((uint16_t)(d->base + offset), 16, &value) ? (uint16_t)value : UINT16_MAX;
}

static void register_write(void *ctx, unsigned offset, uint16_t value)
{
	const struct device *d = ctx;

	(void)port_write((uint16_t)(d->base + offset), 16, value);
}

static uint32_t forbid_read(void *ctx)
{
	const struct device *d = ctx;

	return *d->forbid;
}

static void forbid_write(void *ctx, uint32_t value)
{
	const struct device *d = ctx;

	*d->forbid = value;
}

#define FIND(l, ranges) pci_find(l, PCI_INTEL, ranges, sizeof(ranges) / sizeof(ranges)[0])

static void set_forbid(struct device *d, enum tco_kind kind, uint32_t address)
{
	d->ops.kind = kind;
	d->forbid = (volatile uint32_t *)(uintptr_t)address;
}

static bool behind_bridge(struct loader *l, struct device *d)
{
	EFI_PCI_IO_PROTOCOL *lpc = FIND(l, bridges);
	uint32_t base, rcba;

	if (!lpc)
		return false;
	base = pci_config_read(lpc, ACPI_BASE, 32) & 0xff80;
	rcba = pci_config_read(lpc, RCBA, 32);
	if (base == 0 || base == 0xff80 || !(rcba & 1) || rcba == UINT32_MAX ||
	    !(pci_config_read(lpc, ACPI_CONTROL, 8) & ACPI_ENABLED))
		return false;
	d->base = (uint16_t)(base + TCO_PORTS_OFFSET);
	set_forbid(d, TCO_ICH, (rcba & 0xffffc000) + GCS);
	return true;
}

static bool in_atom(struct loader *l, struct device *d)
{
	EFI_PCI_IO_PROTOCOL *lpc = FIND(l, atoms);
	uint32_t base, pmc;

	if (!lpc)
		return false;
	base = pci_config_read(lpc, ACPI_BASE, 32);
	pmc = pci_config_read(lpc, PMC_BASE, 32);
	if (base == UINT32_MAX || !(base & ATOM_ENABLED) || !(base & 0xff80) ||
	    pmc == UINT32_MAX || !(pmc & ATOM_ENABLED) || !(pmc & 0xfffffe00))
		return false;
	d->base = (uint16_t)((base & 0xff80) + TCO_PORTS_OFFSET);
	set_forbid(d, TCO_ATOM, (pmc & 0xfffffe00) + PMC_CFG);
	return true;
}

static bool ports_of_smbus(EFI_PCI_IO_PROTOCOL *smbus, struct device *d)
{
	if (!smbus || !(pci_config_read(smbus, TCO_CONTROL, 32) & TCO_ENABLED))
		return false;
	d->base = (uint16_t)(pci_config_read(smbus, TCO_BASE, 32) & 0xffe0);
	return d->base != 0;
}

static bool behind_smbus(struct loader *l, struct device *d)
{
	d->ops.kind = TCO_PORTS;
	return ports_of_smbus(FIND(l, smbuses), d);
}

static bool behind_sideband(struct loader *l, struct device *d)
{
	EFI_PCI_IO_PROTOCOL *smbus = FIND(l, sideband_smbuses);
	bool denverton;

	if (!ports_of_smbus(smbus, d))
		return false;
	denverton = pci_config_read(smbus, DEVICE_ID, 16) == DENVERTON;
	d->ops.kind = TCO_SIDEBAND;
	d->forbid = sideband_register(l, denverton ? SMBUS_PORT_DENVERTON : SMBUS_PORT, SMBUS_GC);
	return d->forbid;
}

static bool device_open(struct loader *l, struct device *ret_device)
{
	ret_device->ops = (struct tco_ops){ ret_device,	    TCO_PORTS,	 register_read,
					    register_write, forbid_read, forbid_write };
	return (behind_bridge(l, ret_device) || in_atom(l, ret_device) ||
		behind_smbus(l, ret_device) || behind_sideband(l, ret_device)) &&
	       tco_is_there(&ret_device->ops);
}

static enum trace_watchdog arm(struct loader *l, unsigned seconds)
{
	struct device d;

	if (!device_open(l, &d))
		return TRACE_WATCHDOG_NOT_FOUND;
	return tco_arm(&d.ops, seconds) == SB_OK ? TRACE_WATCHDOG_ARMED : TRACE_WATCHDOG_FAILED;
}

static void disarm(struct loader *l)
{
	struct device d;

	if (device_open(l, &d))
		tco_disarm(&d.ops);
}

static enum trace_reset fired(struct loader *l)
{
	struct device d;

	if (!device_open(l, &d))
		return TRACE_RESET_UNKNOWN;
	return tco_fired(&d.ops) ? TRACE_RESET_WATCHDOG : TRACE_RESET_OTHER;
}

const struct watchdog_driver watchdog_itco = { arm, disarm, fired };
