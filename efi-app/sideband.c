/* SPDX-License-Identifier: MIT */
/* The bridge has no EFI_PCI_IO_PROTOCOL, since firmware hid it before it counted what there is:
 * PCI's own ports (PCI Local Bus 3.0, 3.2.2.3.2) reach it all the same. With interrupts off, so
 * that nothing of the firmware takes them between address and data, or sees it shown. */
#include "sideband.h"

#include "p2sb.h"
#include "port.h"

/* Bus 0, device 31, function 1. */
enum { ADDRESS = 0xcf8, DATA = 0xcfc };
#define BRIDGE (0x80000000u | 31 << 11 | 1 << 8)

static uint32_t config_read(void *ctx, unsigned offset, unsigned width)
{
	uint32_t value;

	(void)ctx;
	if (!port_write(ADDRESS, 32, BRIDGE | (offset & 0xfc)) ||
	    !port_read((uint16_t)(DATA + (offset & 3)), width, &value))
		return UINT32_MAX >> (32 - width);
	return value;
}

static void config_write(void *ctx, unsigned offset, unsigned width, uint32_t value)
{
	(void)ctx;
	if (port_write(ADDRESS, 32, BRIDGE | (offset & 0xfc)))
		(void)port_write((uint16_t)(DATA + (offset & 3)), width, value);
}

volatile uint32_t *sideband_register(struct loader *l, uint8_t port, uint16_t offset)
{
	static const struct p2sb_ops bridge = { NULL, config_read, config_write };
	EFI_TPL before = l->bs->RaiseTPL(TPL_HIGH_LEVEL);
	uint32_t base = 0;
	enum sb_error error = p2sb_find(&bridge, &base);

	l->bs->RestoreTPL(before);
	return error == SB_OK
		       ? (volatile uint32_t *)(uintptr_t)(base + ((uint32_t)port << 16) + offset)
		       : NULL;
}
