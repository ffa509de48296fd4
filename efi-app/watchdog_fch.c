/* SPDX-License-Identifier: MIT */
/* The watchdog of AMD's FCH; shared/fchwdt.c drives it. Its SMBus controller tells that
 * it is there: from this revision on its registers need no ports. All of them are in one page. */
#include "fchwdt.h"
#include "pci.h"
#include "port.h"
#include "watchdog.h"

enum { REVISION = 0x08, REVISION_MIN = 0x51 };

static uint32_t register_read(void *ctx, uint32_t address, unsigned width)
{
	(void)ctx;
	return width == 8 ? *(volatile uint8_t *)(uintptr_t)address
			  : *(volatile uint32_t *)(uintptr_t)address;
}

static void register_write(void *ctx, uint32_t address, unsigned width, uint32_t value)
{
	(void)ctx;
	if (width == 8)
		*(volatile uint8_t *)(uintptr_t)address = (uint8_t)value;
	else
		*(volatile uint32_t *)(uintptr_t)address = value;
}

static const struct fchwdt_ops registers = { NULL, register_read, register_write };

static bool device_open(struct loader *l)
{
	static const struct pci_range ids[] = { { 0x790b, 0x790b } };
	EFI_PCI_IO_PROTOCOL *smbus = pci_find(l, PCI_AMD, ids, 1);

	return smbus && pci_config_read(smbus, REVISION, 8) >= REVISION_MIN &&
	       registers_are_mapped(FCHWDT_PM) && fchwdt_open(&registers) == SB_OK;
}

static enum trace_watchdog arm(struct loader *l, unsigned seconds)
{
	if (!device_open(l))
		return TRACE_WATCHDOG_NOT_FOUND;
	return fchwdt_arm(&registers, seconds) == SB_OK ? TRACE_WATCHDOG_ARMED
							 : TRACE_WATCHDOG_FAILED;
}

static void disarm(struct loader *l)
{
	if (device_open(l))
		fchwdt_disarm(&registers);
}

static enum trace_reset fired(struct loader *l)
{
	if (!device_open(l))
		return TRACE_RESET_UNKNOWN;
	return fchwdt_fired(&registers) ? TRACE_RESET_WATCHDOG : TRACE_RESET_OTHER;
}

const struct watchdog_driver watchdog_fch = { arm, disarm, fired };
