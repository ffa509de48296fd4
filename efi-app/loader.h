/* SPDX-License-Identifier: MIT */
/*
 * What every part of the loader needs: the firmware's tables and where the
 * loader itself came from. One struct, made in main.c and handed down; of
 * writable globals there is one, in shim.c.
 */
#pragma once

#include <efi.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loader {
	EFI_HANDLE image;		/* of the loader */
	EFI_SYSTEM_TABLE *st;
	EFI_BOOT_SERVICES *bs;
	EFI_RUNTIME_SERVICES *rt;
	EFI_LOADED_IMAGE *self;
	EFI_DEVICE_PATH *device_path;	/* of the ESP that the loader came from */
	const uint8_t *esp;		/* its GPT partition GUID, within device_path; NULL:
					 * no such partition (network, optical disc, MBR) */
	uint64_t ticks_per_second;	/* see ticks.h */
	unsigned steps_told;		/* steps of the trace already on the console */
	bool record_told;		/* ... and how reading the record went */
	bool by_shim;			/* an image was loaded with shim's word */
	const struct watchdog_driver *watchdog;	/* that may be armed now; NULL: none */
};

/* a44b7925-64fe-4f5f-9e3a-49b0319efd7d: SlotState, SlotTrace */
#define SLOTBOOT_GUID \
	{ 0xa44b7925, 0x64fe, 0x4f5f, { 0x9e, 0x3a, 0x49, 0xb0, 0x31, 0x9e, 0xfd, 0x7d } }

#define VOLATILE_ATTRIBUTES (EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS)
