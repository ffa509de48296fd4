/* SPDX-License-Identifier: MIT */
/*
 * Intel 6300ESB, a PCI function of its own (datasheet 300641, chapter 16). Two
 * counters of 20 bits run one after the other; the end of the second resets. A
 * write to them or to the reload register must follow 0x80 and 0x86 to the
 * latter.
 */
#include "pci.h"
#include "watchdog.h"

/* Configuration: how it counts (16 bits), and whether (8 bits). */
enum { CONFIG = 0x60, CONFIG_SLOW_NO_INTERRUPT = 0x0003 };
enum { LOCK = 0x68, LOCK_LOCKED = 0x01, LOCK_ENABLED = 0x02 };

/* BAR 0: two counters (32 bits), reload (16 bits). */
enum { COUNTER_1 = 0x00, COUNTER_2 = 0x04, RELOAD = 0x0c };
enum { RELOAD_NOW = 0x0100, RELOAD_TIMEOUT = 0x0200, COUNTER_MAX = 0xfffff };

/* 33 MHz / 2^15: 1007 Hz, shared by two counters. */
enum { COUNTS_PER_SECOND = 512 };

static void reload_put(EFI_PCI_IO_PROTOCOL *pci, uint8_t value)
{
	(void)pci->Mem.Write(pci, EfiPciIoWidthUint8, 0, RELOAD, 1, &value);
}

static void register_write(EFI_PCI_IO_PROTOCOL *pci, EFI_PCI_IO_PROTOCOL_WIDTH width,
			   uint64_t offset, uint32_t value)
{
	reload_put(pci, 0x80);
	reload_put(pci, 0x86);
	(void)pci->Mem.Write(pci, width, 0, offset, 1, &value);
}

/* With its registers in reach; NULL: it is not there. */
static EFI_PCI_IO_PROTOCOL *device_open(struct loader *l)
{
	static const struct pci_range ids[] = { { 0x25ab, 0x25ab } };
	EFI_PCI_IO_PROTOCOL *pci = pci_find(l, PCI_INTEL, ids, 1);

	if (pci)
		(void)pci->Attributes(pci, EfiPciIoAttributeOperationEnable,
				      EFI_PCI_IO_ATTRIBUTE_MEMORY, NULL);
	return pci;
}

static enum trace_watchdog arm(struct loader *l, unsigned seconds)
{
	EFI_PCI_IO_PROTOCOL *pci = device_open(l);
	uint32_t counts = COUNTER_MAX;

	if (!pci)
		return TRACE_WATCHDOG_NOT_FOUND;
	if (pci_config_read(pci, LOCK, 8) & LOCK_LOCKED)
		return TRACE_WATCHDOG_FAILED;
	if (seconds < COUNTER_MAX / COUNTS_PER_SECOND)
		counts = seconds * COUNTS_PER_SECOND;
	pci_config_write(pci, LOCK, 8, 0);
	pci_config_write(pci, CONFIG, 16, CONFIG_SLOW_NO_INTERRUPT);
	register_write(pci, EfiPciIoWidthUint32, COUNTER_1, counts);
	register_write(pci, EfiPciIoWidthUint32, COUNTER_2, counts);
	register_write(pci, EfiPciIoWidthUint16, RELOAD, RELOAD_NOW);
	pci_config_write(pci, LOCK, 8, LOCK_ENABLED);
	return pci_config_read(pci, LOCK, 8) & LOCK_ENABLED ? TRACE_WATCHDOG_ARMED
							     : TRACE_WATCHDOG_FAILED;
}

static void disarm(struct loader *l)
{
	EFI_PCI_IO_PROTOCOL *pci = device_open(l);

	if (!pci)
		return;
	register_write(pci, EfiPciIoWidthUint16, RELOAD, RELOAD_NOW);
	pci_config_write(pci, LOCK, 8, 0);
}

static enum trace_reset fired(struct loader *l)
{
	EFI_PCI_IO_PROTOCOL *pci = device_open(l);
	uint16_t reload = 0;

	if (!pci || EFI_ERROR(pci->Mem.Read(pci, EfiPciIoWidthUint16, 0, RELOAD, 1, &reload)))
		return TRACE_RESET_UNKNOWN;
	if (!(reload & RELOAD_TIMEOUT))
		return TRACE_RESET_OTHER;
	register_write(pci, EfiPciIoWidthUint16, RELOAD, RELOAD_NOW | RELOAD_TIMEOUT);
	return TRACE_RESET_WATCHDOG;
}

const struct watchdog_driver watchdog_i6300esb = { arm, disarm, fired };
